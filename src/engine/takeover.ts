/**
 * What an engine does first when there was one before it: goes on with its POGs, and cleans up what is not whole.
 *
 * Invariant: afterwards every POG directory belongs to a POG of the table or is gone, and every inherited descriptor is in use or
 * given back. A POG is served before anything else of the service is loaded.
 */
import { isAlive } from '../attach/process.ts'
import { close } from '../sys/io.ts'
import type { Inherited, NamedDescriptor } from '../sys/upbringing.ts'
import type { FdStore } from './fd-store.ts'
import type { EngineService } from './pog-service.ts'
import type { TableEntry } from './pog-table.ts'
import type { SavedPog } from './saved-pogs.ts'
import { adoptStore, forgetDescriptors, reconnectStore, releaseMount, releaseStore, type Store } from './store.ts'
import type { Transport } from './transports.ts'

/** Whatever the policy says is less; a timer runs no longer. */
const LONGEST_RETENTION_MS = 2 ** 31 - 1

export interface Takeover {
	readonly service: EngineService
	readonly runDir: string
	readonly inherited: Inherited
	readonly fdStore: FdStore
	readonly transport: Transport
}

/** The POGs that are gone on with, and what of the others was removed and why. */
export interface TakenOver {
	readonly entries: readonly TableEntry[]
	/** Those of them whose containers have a dead mount and a dead socket. */
	readonly cutOff: readonly TableEntry[]
	readonly removed: readonly { readonly name: string; readonly why: string }[]
}

/** Goes on with every POG that is whole. */
export async function takeOver(
	{ service, runDir, inherited, fdStore, transport }: Takeover,
	found: readonly { readonly name: string; readonly saved: SavedPog | undefined }[],
): Promise<TakenOver> {
	const removed: { name: string; why: string }[] = []
	const cutOff: TableEntry[] = []
	const revived = found.map(async ({ name, saved }) => {
		if (saved === undefined) return undefined
		const problem = await reviveOne(saved)
		if (typeof problem !== 'string') return problem
		forgetDescriptors({ fdStore, id: saved.id })
		releaseStore(runDir, name)
		removed.push({ name, why: problem })
		return undefined
	})

	async function reviveOne(saved: SavedPog): Promise<TableEntry | string> {
		const { id, spec, process } = saved
		const fuseFd = claim(inherited, `fuse-${id}`)
		const logFd = claim(inherited, `log-${id}`)
		const syslogFds = claimAll(inherited, `seccomp-${id}-`)
		const giveUp = (why: string): string => {
			for (const fd of [fuseFd, logFd, ...syslogFds.map(({ fd: each }) => each)]) if (fd >= 0) close(fd)
			return why
		}
		const kept = fuseFd >= 0 && logFd >= 0
		// Nobody was there to see it: it would have ended just now.
		const endedMeanwhile = !kept && process !== undefined && !isAlive(process)
		const status = endedMeanwhile ? 'exited' : saved.status
		const lost = !kept && status !== 'exited'
		const store = lost
			? reconnectStore(runDir, spec.name, transport, { fdStore, id })
			: adoptStore(runDir, spec.name, { fuseFd, logFd })
		if (typeof store === 'string') return giveUp(store)
		const entry = entryOf({ ...saved, status }, store)
		if (endedMeanwhile) entry.removeAtMs = Date.now() + LONGEST_RETENTION_MS
		if (status === 'exited') releaseMount(runDir, spec.name)
		const problem = await service.revive(entry, { resume: kept && status !== 'exited', syslogFds })
		if (problem === undefined) {
			if (lost) cutOff.push(entry)
			return entry
		}
		for (const fd of [store.storeFd, ...(lost ? [store.fuseFd, store.logFd] : [])]) if (fd >= 0) close(fd)
		return giveUp(problem)
	}

	const entries = (await Promise.all(revived)).filter(entry => entry !== undefined)
	// Those that live come first.
	for (const { name, saved } of found) {
		if (saved !== undefined) continue
		releaseStore(runDir, name)
		removed.push({ name, why: 'it was not whole' })
	}
	return { entries, cutOff, removed }
}

function entryOf(saved: SavedPog, store: Store): TableEntry {
	const { id, spec, ringBytes, quotaBytes, status, process, parts, keep, attached, previousOf, chargeDue, removeAtMs } =
		saved
	return {
		id,
		name: spec.name,
		containerId: spec.containerId ?? '',
		spec,
		ringBytes,
		quotaBytes,
		status,
		store,
		...(process === undefined ? {} : { process }),
		...(parts === undefined ? {} : { parts }),
		...(keep ? { keep } : {}),
		...(attached === undefined ? {} : { attached: { pid: attached.pid, parts: new Set(attached.parts) } }),
		...(previousOf === undefined ? {} : { previousOf }),
		...(chargeDue ? { chargeDue } : {}),
		...(removeAtMs === undefined ? {} : { removeAtMs }),
	}
}

/** Takes a descriptor out of what was inherited; -1 when it is not there. */
export function claim(inherited: Inherited, name: string): number {
	const fd = inherited.get(name) ?? -1
	inherited.delete(name)
	return fd
}

/** Takes all whose names begin so. */
export function claimAll(inherited: Inherited, prefix: string): NamedDescriptor[] {
	const names = [...inherited.keys()].filter(name => name.startsWith(prefix))
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
