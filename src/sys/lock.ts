/** One holder at a time of a directory. Source: flock(2), man-pages 6.03: the lock goes with its descriptor. */
import { close, O_CLOEXEC, O_RDONLY, openPath } from './io.ts'
import { bind, result } from './libc.ts'

const flock = bind('int flock(int, int)')

const LOCK_EX = 2
const LOCK_NB = 4

/** A descriptor that holds the lock until it is closed; or a negative errno (-EAGAIN: somebody else holds it). */
export function lockDirectory(path: string): number {
	const fd = openPath(path, O_RDONLY | O_CLOEXEC)
	if (fd < 0) return fd
	const locked = result(flock(fd, LOCK_EX | LOCK_NB))
	if (locked === 0) return fd
	close(fd)
	return locked
}
