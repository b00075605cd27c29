/**
 * What /proc tells of a container by one of its processes: whose root it has, and which process it begins with.
 * Source: proc(5): uid_map, gid_map, ns, task, status.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { readProc, readProcOrThrow } from '../sys/small-file.ts'
import { type Owner, parseIdMap, rootOwner } from './id-map.ts'

let ownNamespace: string | undefined

/**
 * Our ids of the root of a process's user namespace: our own root's when it has none of its own, undefined when the process is gone.
 * Its map, read in that very namespace, tells the ids of the namespace above (user_namespaces(7)): so it is where a rootless engine and its
 * containers share one.
 */
export function ownerOfProcess(pid: number): Owner | undefined {
	try {
		ownNamespace ??= readlinkSync('/proc/self/ns/user')
		if (readlinkSync(`/proc/${pid}/ns/user`) === ownNamespace) return { uid: 0, gid: 0 }
		const read = (file: string) => parseIdMap(readProcOrThrow(`/proc/${pid}/${file}`))
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
	for (const child of childrenOf(runtime)) {
		const other = namespaceOf('mnt', child)
		if (other !== undefined && other !== namespace) return child
	}
	return undefined
}

function tgidOf(thread: number): number {
	return Number(statusOf(thread, 'Tgid') ?? thread)
}

/** Children are their thread's, and the kernel may be built without the list of them. One that is found ends the search. */
function* childrenOf(pid: number): Generator<number> {
	let listed = false
	for (const thread of namesIn(`/proc/${pid}/task`)) {
		const list = readProc(`/proc/${pid}/task/${thread}/children`)
		// That thread is gone.
		if (typeof list === 'number') continue
		listed = true
		for (const child of list.split(' ')) if (child !== '') yield Number(child)
	}
	if (listed) return
	for (const name of namesIn('/proc'))
		if (/^\d+$/.test(name) && statusOf(name, 'PPid') === String(pid)) yield Number(name)
}

function namesIn(directory: string): string[] {
	try {
		return readdirSync(directory)
	} catch {
		return []
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
	const stat = readProc(`/proc/${pid}/stat`)
	if (typeof stat === 'number') return undefined
	const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD - 3]
	return start === undefined ? undefined : { pid, start }
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
	const status = readProc(`/proc/${pid}/status`)
	if (typeof status === 'number') return undefined
	const line = status.split('\n').find(each => each.startsWith(`${field}:`))
	return line?.slice(field.length + 1).trim()
}
