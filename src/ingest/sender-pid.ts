/**
 * A sender's pid in its container's namespace. Source: NSpid of /proc/PID/status (proc(5)): one pid a namespace, the
 * innermost last.
 *
 * Reading /proc costs about 20 us, so answers are kept for a moment: long enough for a burst, short against the reuse of
 * pids.
 */
import { readFileSync } from 'node:fs'
import { LRUCache } from 'lru-cache'

const VALID_MS = 1000
const MAX_PIDS = 4096

const KNOWN = new LRUCache<number, number>({ max: MAX_PIDS, ttl: VALID_MS, ttlResolution: 50 })

/** 0 when the kernel told no pid, or the process is gone. */
export function containerPid(hostPid: number): number {
	if (hostPid === 0) return 0
	const known = KNOWN.get(hostPid)
	if (known !== undefined) return known
	const pid = readInnermostPid(hostPid)
	// A process that is gone says nothing of one that gets its pid next.
	if (pid > 0) KNOWN.set(hostPid, pid)
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
