/**
 * What /proc tells of a container by one of its processes: whose root it has, and which process it begins with.
 * Source: proc(5): uid_map, gid_map, ns, task, status.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type Owner, parseIdMap, rootOwner } from './id-map.ts'

/** Host ids of the root of a process's user namespace; the host's root when it has none, undefined when the process is gone. */
export function ownerOfProcess(pid: number): Owner | undefined {
	try {
		const read = (file: string) => parseIdMap(readFileSync(`/proc/${pid}/${file}`, 'latin1'))
		return rootOwner(read('uid_map'), read('gid_map')) ?? { uid: 0, gid: 0 }
	} catch {
		return undefined
	}
}

/**
 * The process that this one (named by any of its threads) has started in a mount namespace of its own: the first process of a
 * container, as seen from its runtime. Undefined when there is none.
 */
export function firstInNewNamespace(thread: number): number | undefined {
	const runtime = tgidOf(thread)
	const namespace = namespaceOf('mnt', runtime)
	if (namespace === undefined) return undefined
	return childrenOf(runtime).find(child => {
		const other = namespaceOf('mnt', child)
		return other !== undefined && other !== namespace
	})
}

function tgidOf(thread: number): number {
	return Number(statusOf(thread, 'Tgid') ?? thread)
}

/** Children are their thread's, and the kernel may be built without the list of them. */
function childrenOf(pid: number): number[] {
	try {
		const threads = readdirSync(`/proc/${pid}/task`)
		const lists = threads.map(thread => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1'))
		return lists.flatMap(list => list.split(' ').filter(Boolean).map(Number))
	} catch {
		const all = readdirSync('/proc').filter(name => /^\d+$/.test(name))
		return all.map(Number).filter(other => statusOf(other, 'PPid') === String(pid))
	}
}

/** The first process of a process's pid namespace; the process itself when that is the namespace we are in, or nobody is found. */
export function firstProcess(pid: number): number {
	const namespace = namespaceOf('pid', pid)
	if (namespace === undefined || namespace === namespaceOf('pid', 'self')) return pid
	for (const name of readdirSync('/proc')) {
		if (!/^\d+$/.test(name) || namespaceOf('pid', name) !== namespace) continue
		if (innermostPid(name) === 1) return Number(name)
	}
	return pid
}

/** A process that its number alone would not name for long. */
export interface ProcessIdentity {
	readonly pid: number
	/** Clock ticks from the machine's start to its own. */
	readonly start: string
}

/** Field 22 of /proc/PID/stat; the second one, in parentheses, may have spaces. */
const START_FIELD = 22

/** Undefined when there is no such process. */
export function identify(pid: number): ProcessIdentity | undefined {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
		const start = fields[START_FIELD - 3]
		return start === undefined ? undefined : { pid, start }
	} catch {
		return undefined
	}
}

/** Whether it is still the same process, and no zombie of it. */
export function isAlive({ pid, start }: ProcessIdentity): boolean {
	return identify(pid)?.start === start
}

function namespaceOf(kind: 'mnt' | 'pid', pid: number | string): string | undefined {
	try {
		return readlinkSync(`/proc/${pid}/ns/${kind}`)
	} catch {
		return undefined
	}
}

function innermostPid(pid: string): number {
	return Number(statusOf(pid, 'NSpid')?.split(/\s+/).at(-1))
}

/** A field of /proc/PID/status; undefined when the process is gone. */
function statusOf(pid: number | string, field: 'NSpid' | 'PPid' | 'Tgid'): string | undefined {
	try {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1')
		return status
			.split('\n')
			.find(line => line.startsWith(`${field}:`))
			?.slice(field.length + 1)
			.trim()
	} catch {
		return undefined
	}
}
