/**
 * Which POG a process or a control group of this host belongs to, for the kernel's messages about them.
 *
 * Source: proc(5) (/proc/PID/cgroup, status, ns/pid), cgroups(7), pid_namespaces(7). A container is known by its first process: its pid
 * namespace, and its control groups where they are its own alone.
 *
 * Invariant: a control group that others share (the service's, that of the process's parent, or another POG's) names nobody.
 */
import { readlinkSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import type { OwnedProcess, Owners } from '../ingest/kernel-messages.ts'
import type { Pog } from '../pog/pog.ts'
import type { CoreDump } from '../sys/proc-connector.ts'
import { readProc } from '../sys/small-file.ts'

/** Far longer than it takes to read the kernel's word, and short against the reuse of numbers. */
const DYING_MS = 1000
const MAX_DYING = 1024

type Controller = 'memory' | 'pids'
const CONTROLLERS: readonly Controller[] = ['memory', 'pids']

interface Known {
	readonly pidNamespace: string
	/** Which of the numbers in NSpid is the container's. */
	readonly level: number
	readonly paths: Readonly<Partial<Record<Controller, string>>>
}

/** Namespaces of the machine itself (include/uapi/linux/nsfs.h, proc_ns.h): what the kernel's messages speak of. */
const MACHINE = { pid: 'pid:[4026531836]', cgroup: 'cgroup:[4026531835]' } as const

/** Whether processes and control groups have the names here that the kernel prints. */
export function seesMachine(): boolean {
	return namespaceOf('self', 'pid') === MACHINE.pid && namespaceOf('self', 'cgroup') === MACHINE.cgroup
}

export class KernelOwners implements Owners<Pog> {
	readonly #known = new Map<Pog, Known>()
	readonly #ownNamespace = namespaceOf('self', 'pid')
	/** Processes that were seen dying: by the time the kernel's word of it is read they may be gone. */
	readonly #dying = new LRUCache<number, OwnedProcess<Pog>>({ max: MAX_DYING, ttl: DYING_MS })

	/** Learns a container by the host's number of its first process. */
	learn(pog: Pog, pid: number): void {
		const pidNamespace = namespaceOf(pid, 'pid')
		const status = statusOf(pid)
		if (pidNamespace === '' || status === undefined) return
		const paths: Partial<Record<Controller, string>> = {}
		const own = cgroupsOf(pid)
		const others = ['self', status.parent].map(cgroupsOf)
		for (const controller of CONTROLLERS) {
			const path = pathIn(own, controller)
			const shared = others.some(other => isWithin(pathIn(other, controller), path))
			if (path !== '' && path !== '/' && !shared) paths[controller] = path
		}
		this.#known.set(pog, {
			pidNamespace: pidNamespace === this.#ownNamespace ? '' : pidNamespace,
			level: status.pids.length - 1,
			paths,
		})
	}

	/** Remembers a process that is about to go. Where it is gone already its parent tells whose it was. */
	noteDying({ tid, pid, parent }: CoreDump): void {
		if (this.#known.size === 0) return
		const process = this.#ofLiving(tid) ?? this.#ofLiving(pid)
		const owner = process?.owner ?? this.#ofLiving(parent)?.owner
		if (owner === undefined) return
		for (const each of new Set([tid, pid])) this.#dying.set(each, process ?? { owner, pid: 0 })
	}

	forget(pog: Pog): void {
		this.#known.delete(pog)
		for (const [pid, { owner }] of this.#dying.entries()) if (owner === pog) this.#dying.delete(pid)
	}

	ofCgroup(controller: Controller, text: string): { owner: Pog; pathBytes: number } | undefined {
		let found: { owner: Pog; pathBytes: number } | undefined
		for (const [owner, { paths }] of this.#known) {
			const path = paths[controller]
			if (path === undefined || !text.startsWith(path) || !/^(?:$|[/,])/.test(text.slice(path.length))) continue
			if (found?.pathBytes === path.length) return undefined
			if (found === undefined || path.length > found.pathBytes) found = { owner, pathBytes: path.length }
		}
		return found
	}

	ofProcess(hostPid: number): OwnedProcess<Pog> | undefined {
		return this.#dying.get(hostPid) ?? this.#ofLiving(hostPid)
	}

	#ofLiving(hostPid: number): OwnedProcess<Pog> | undefined {
		const namespace = namespaceOf(hostPid, 'pid')
		if (namespace === '') return undefined
		const path = pathIn(cgroupsOf(hostPid), 'memory')
		for (const [owner, { pidNamespace, level }] of this.#known) {
			if (pidNamespace !== namespace && this.ofCgroup('memory', path)?.owner !== owner) continue
			return { owner, pid: statusOf(hostPid)?.pids[level] ?? 0 }
		}
		return undefined
	}

	uidIn({ owner }: Pog, uid: number): number {
		return Math.max(0, uid - owner.uid)
	}
}

function namespaceOf(pid: number | string, kind: 'pid' | 'cgroup'): string {
	try {
		return readlinkSync(`/proc/${pid}/ns/${kind}`)
	} catch {
		return ''
	}
}

/** The parent and the numbers in every pid namespace, the host's first. */
function statusOf(pid: number | string): { parent: number; pids: number[] } | undefined {
	const status = readProc(`/proc/${pid}/status`)
	if (typeof status === 'number') return undefined
	const parent = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0)
	const pids = /^NSpid:\s*(.*)$/m.exec(status)?.[1] ?? String(pid)
	return { parent, pids: pids.trim().split(/\s+/).map(Number) }
}

/** The lines of a process's control groups: ids, controllers, path. */
function cgroupsOf(pid: number | string): (RegExpExecArray | null)[] {
	const text = readProc(`/proc/${pid}/cgroup`)
	if (typeof text === 'number') return []
	const lines = text.replace(/ \(deleted\)$/gm, '').split('\n')
	return lines.map(line => /^\d+:([^:]*):(.*)$/.exec(line))
}

/** Path of the control group of a controller, of the unified tree where it has none of its own; empty when unknown. */
function pathIn(lines: readonly (RegExpExecArray | null)[], controller: Controller): string {
	const own = lines.find(line => line?.[1]?.split(',').includes(controller))
	return own?.[2] ?? lines.find(line => line?.[1] === '')?.[2] ?? ''
}

/** Whether a control group is another or lies below it. */
function isWithin(inner: string, outer: string): boolean {
	return inner === outer || inner.startsWith(`${outer}/`)
}
