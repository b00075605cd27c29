/**
 * An engine that was killed and cannot go: one of its threads waits for an answer to a look at a mount that the engine itself served
 * (request_wait_answer() in fs/fuse/dev.c, v6.12: what was taken is waited for whatever comes), and so nobody is told of its end.
 *
 * Its first thread is a zombie then, and says how the process ended, proc(5). Invariant: an end that is told in the ordinary way is not
 * told here: on a busy machine the other threads of a process that exits may take long to do so, and it did not die of that.
 */
import { readFileSync } from 'node:fs'

const LOOK_MS = 100
/** Looks in a row: at one that was killed, whose users wait; and at one that exits, which is asked for its code first. */
const KILLED_LOOKS = 2
const EXITED_LOOKS = 50
/** Fields of /proc/PID/stat, counted from the state on. */
const STATE = 0
const EXIT_STATUS = 49
const SIGNAL_BITS = 0x7f

/** As in ChildProcess's `exit`. */
type OnRemains = (code: number | null, signal: NodeJS.Signals | null) => void

/** Calls `onRemains` once, when the process is dead and has not ended for a while. To be cleared when its end is known. */
export function lookForRemains(pid: number | undefined, onRemains: OnRemains): NodeJS.Timeout {
	let seen = 0
	const looks = setInterval(() => {
		const status = statusOfZombie(pid)
		seen = status === undefined ? 0 : seen + 1
		if (status === undefined) return
		const isKilled = (status & SIGNAL_BITS) !== 0
		if (seen < (isKilled ? KILLED_LOOKS : EXITED_LOOKS)) return
		clearInterval(looks)
		if (isKilled) onRemains(null, 'SIGKILL')
		else onRemains(status >>> 8, null)
	}, LOOK_MS)
	return looks.unref()
}

/** As waitpid(2) would tell it. */
function statusOfZombie(pid: number | undefined): number | undefined {
	try {
		const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
			.replace(/^.*\) /s, '')
			.split(' ')
		return fields[STATE] === 'Z' ? Number(fields[EXIT_STATUS]) : undefined
	} catch {
		return undefined
	}
}
