/** Small calls about this thread and this kernel. Source: sched_yield(2), syslog(2) of man-pages 6.03. */
import { bind, result } from './libc.ts'

const schedYield = bind('int sched_yield()')
const klogctl = bind('int klogctl(int, int64_t, int)')

const SYSLOG_ACTION_SIZE_BUFFER = 10

/** Lets another runnable thread of this processor go first; returns at once when there is none. */
export function yieldProcessor(): void {
	schedYield()
}

/** Size of the kernel's own log buffer in bytes; 0 when the kernel does not tell us. */
export function kernelLogBytes(): number {
	return Math.max(0, result(klogctl(SYSLOG_ACTION_SIZE_BUFFER, 0, 0)))
}
