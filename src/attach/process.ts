/**
 * What /proc tells of a container by one of its processes: whose root it has, and which process it begins with.
 * Source: proc(5): uid_map, gid_map, ns/pid, NSpid of status.
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

/** The first process of a process's pid namespace; the process itself when that is the namespace we are in, or nobody is found. */
export function firstProcess(pid: number): number {
	const namespace = pidNamespace(pid)
	if (namespace === undefined || namespace === pidNamespace('self')) return pid
	for (const name of readdirSync('/proc')) {
		if (!/^\d+$/.test(name) || pidNamespace(name) !== namespace) continue
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

function pidNamespace(pid: number | string): string | undefined {
	try {
		return readlinkSync(`/proc/${pid}/ns/pid`)
	} catch {
		return undefined
	}
}

function innermostPid(pid: string): number {
	try {
		const pids = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
		return Number(pids?.trim().split(/\s+/).at(-1))
	} catch {
		return Number.NaN
	}
}
