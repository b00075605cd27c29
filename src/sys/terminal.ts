/**
 * Terminal job control. Source: tcsetpgrp(3), signal(7), man-pages 6.03.
 *
 * Invariant: never stops the calling process.
 */
import { bind, result } from './libc.ts'

const getpgrp = bind('int getpgrp()')
const tcsetpgrp = bind('int tcsetpgrp(int, int)')
const signal = bind('int64_t signal(int, int64_t)')

const SIGTTOU = 22
const SIG_IGN = 1

/** Makes our process group the foreground of the terminal on standard input. 0, or a negative errno (-ENOTTY: none). */
export function takeForeground(): number {
	// Asked for from the background, which stops a process that has not said it does not mind.
	const before = signal(SIGTTOU, SIG_IGN)
	const answer = result(tcsetpgrp(0, getpgrp()))
	signal(SIGTTOU, before)
	return answer
}
