/** Small calls about this thread and this kernel. Source: sched_yield(2), clock_gettime(2), syslog(2) of man-pages 6.03. */
import type { Memory } from '../lib/memory.ts'
import { bind, result } from './libc.ts'
import { allocate } from './memory.ts'

const schedYield = bind('int sched_yield()')
const clockGettime = bind('int clock_gettime(int, int64_t)')
const klogctl = bind('int klogctl(int, int64_t, int)')

const SYSLOG_ACTION_SIZE_BUFFER = 10
const CLOCK_THREAD_CPUTIME_ID = 3

/** Lets another runnable thread of this processor go first; returns at once when there is none. */
export function yieldProcessor(): void {
	schedYield()
}

/** Milliseconds of processor time that this thread has used: what others took meanwhile does not count. */
export function threadMs(): number {
	scratch ??= allocate(16)
	const view = new DataView(scratch.buffer)
	clockGettime(CLOCK_THREAD_CPUTIME_ID, scratch.address)
	return view.getUint32(0, true) * 1e3 + view.getUint32(8, true) / 1e6
}

let scratch: Memory | undefined

/** Size of the kernel's own log buffer in bytes; 0 when the kernel does not tell us. */
export function kernelLogBytes(): number {
	return Math.max(0, result(klogctl(SYSLOG_ACTION_SIZE_BUFFER, 0, 0)))
}
