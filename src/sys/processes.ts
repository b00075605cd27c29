/** Descriptors of processes. Source: pidfd_open(2), man-pages 6.03. */
import { bind, result } from './libc.ts'

const syscall3 = bind('int64_t syscall(int64_t, int64_t, int64_t, int64_t)')

/** The same number on every architecture (asm-generic/unistd.h, v5.3). */
const SYS_PIDFD_OPEN = 434

/** A descriptor that becomes readable when the process ends; or a negative errno (-ESRCH: there is none). */
export function openPidfd(pid: number): number {
	return result(syscall3(SYS_PIDFD_OPEN, pid, 0, 0))
}
