/**
 * What an engine does first when there was one before it: goes on with its POGs, and cleans up what is not whole.
 *
 * Invariant: afterwards every POG directory belongs to a POG of the table or is gone, and every inherited descriptor is in use or
 * given back. A POG is served before anything else of the service is loaded.
 */
import { close } from '../sys/io.ts'
import type { FdStore, Inherited } from './fd-store.ts'
import type { ServeRequest } from './messages.ts'
import type { EngineService } from './pog-service.ts'
import type { TableEntry } from './pog-table.ts'
import type { SavedPog } from './saved-pogs.ts'
import { adoptStore, forgetDescriptors, releaseStore } from './store.ts'

export interface Takeover {
	readonly service: EngineService
	readonly runDir: string
	readonly inherited: Inherited
	readonly fdStore: FdStore
}

/** The POGs that are gone on with, and what of the others was removed and why. */
export interface TakenOver {
	readonly entries: readonly TableEntry[]
	readonly removed: readonly { readonly name: string; readonly why: string }[]
}

/** Goes on with every POG that is whole. */
export async function takeOver(
	{ service, runDir, inherited, fdStore }: Takeover,
	found: readonly { readonly name: string; readonly saved: SavedPog | undefined }[],
): Promise<TakenOver> {
	const removed: { name: string; why: string }[] = []
	const revived = found.map(async ({ name, saved }) => {
		const problem = saved === undefined ? 'it was not whole' : await reviveOne(saved)
		if (typeof problem !== 'string') return problem
		if (saved !== undefined) forgetDescriptors({ fdStore, id: saved.id })
		releaseStore(runDir, name)
		removed.push({ name, why: problem })
		return undefined
	})

	async function reviveOne(saved: SavedPog): Promise<TableEntry | string> {
		const { id, spec, status, process, attached, removeAtMs, ringBytes, quotaBytes } = saved
		const live = status !== 'exited'
		const fuseFd = live ? claim(inherited, `fuse-${id}`) : -1
		const logFd = live ? claim(inherited, `log-${id}`) : -1
		const syslogFds = live ? claimListeners(inherited, id) : []
		const giveUp = (why: string): string => {
			for (const fd of [fuseFd, logFd, ...syslogFds.map(({ fd: each }) => each)]) if (fd >= 0) close(fd)
			return why
		}
		if (live && (fuseFd < 0 || logFd < 0)) return giveUp('its connection was not kept')
		const store = adoptStore(runDir, spec.name, { fuseFd, logFd })
		if (typeof store === 'string') return giveUp(store)
		const entry: TableEntry = {
			id,
			name: spec.name,
			containerId: spec.containerId ?? '',
			spec,
			ringBytes,
			quotaBytes,
			status,
			store,
			...(process === undefined ? {} : { process }),
			...(attached === undefined ? {} : { attached: { pid: attached.pid, parts: new Set(attached.parts) } }),
			...(removeAtMs === undefined ? {} : { removeAtMs }),
		}
		const problem = await service.revive(entry, { resume: live, syslogFds })
		if (problem === undefined) return entry
		close(store.storeFd)
		return giveUp(problem)
	}

	const entries = (await Promise.all(revived)).filter(entry => entry !== undefined)
	return { entries, removed }
}

/** Takes a descriptor out of what was inherited; -1 when it is not there. */
export function claim(inherited: Inherited, name: string): number {
	const fd = inherited.get(name) ?? -1
	inherited.delete(name)
	return fd
}

function claimListeners(inherited: Inherited, id: number): ServeRequest['syslogFds'][number][] {
	const names = [...inherited.keys()].filter(name => name.startsWith(`seccomp-${id}-`))
	return names.map(name => ({ name, fd: claim(inherited, name) }))
}

/** What nobody claimed is of no use to the next engine either. */
export function giveBack(inherited: Inherited, fdStore: FdStore): string[] {
	const names = [...inherited.keys()]
	for (const name of names) {
		close(claim(inherited, name))
		fdStore.forget(name)
	}
	return names
}
