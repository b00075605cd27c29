/**
 * A sender's pid in its container's namespace. Source: NSpid of /proc/PID/status (proc(5)): one pid a namespace, the
 * innermost last.
 *
 * Reading /proc costs about 20 us, so answers are kept for a moment: long enough for a burst, short against the reuse of
 * pids. Invariant: none is used later than that; the clock is asked each time, because a shard's thread runs no timers.
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { LRUCache } from 'lru-cache'

const VALID_MS = 1000
const MAX_PIDS = 4096

interface Known {
	readonly hostPid: number
	readonly pid: number
	readonly untilMs: number
}

const KNOWN = new LRUCache<number, Known>({ max: MAX_PIDS })
/** The sender asked for last: mostly it is the next one too. */
let last: Known = { hostPid: 0, pid: 0, untilMs: 0 }

/** 0 when the kernel told no pid, or the process is gone. */
export function containerPid(hostPid: number): number {
	if (hostPid === 0) return 0
	const nowMs = performance.now()
	const known = last.hostPid === hostPid ? last : KNOWN.get(hostPid)
	if (known !== undefined && nowMs < known.untilMs) {
		last = known
		return known.pid
	}
	const pid = readInnermostPid(hostPid)
	// A process that is gone says nothing of one that gets its pid next.
	if (pid > 0) {
		last = { hostPid, pid, untilMs: nowMs + VALID_MS }
		KNOWN.set(hostPid, last)
	}
	return pid
}

function readInnermostPid(hostPid: number): number {
	try {
		const status = readFileSync(`/proc/${hostPid}/status`, 'latin1')
		const pids = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/)
		return Number(pids?.at(-1) ?? hostPid)
	} catch {
		return 0
	}
}

/** The command name of a process (comm of proc(5)); empty when it is gone. */
export function processName(hostPid: number): string {
	try {
		return readFileSync(`/proc/${hostPid}/comm`, 'utf8').trimEnd()
	} catch {
		return ''
	}
}
