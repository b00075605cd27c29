/**
 * An engine that was killed and cannot go: one of its threads waits for an answer to a look at a mount that the engine itself served
 * (request_wait_answer() in fs/fuse/dev.c, v6.12: what was taken is waited for whatever comes), and so nobody is told of its end.
 *
 * Its first thread is a zombie then, proc(5). Invariant: an end that is told in the ordinary way is not told here.
 */
import { readFileSync } from 'node:fs'

const LOOK_MS = 100

/** Calls `onRemains` once, when the process is dead and has not ended for a while. To be cleared when its end is known. */
export function lookForRemains(pid: number | undefined, onRemains: () => void): NodeJS.Timeout {
	let seen = 0
	const looks = setInterval(() => {
		seen = isZombie(pid) ? seen + 1 : 0
		if (seen < 2) return
		clearInterval(looks)
		onRemains()
	}, LOOK_MS)
	return looks.unref()
}

function isZombie(pid: number | undefined): boolean {
	try {
		return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
	} catch {
		return false
	}
}
