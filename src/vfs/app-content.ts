/** Whole files of a container's, read and written by this daemon itself: configurations, and what becomes a view's content. */
import { EFBIG } from '../lib/errno.ts'
import type { Backing } from './backing.ts'

const O_WRONLY = 1
const O_CREAT = 0o100
const O_TRUNC = 0o1000
const O_NONBLOCK = 0o4000
const O_NOFOLLOW = 0o400000
const O_CLOEXEC = 0o2000000

/** Writes a whole new file. 0, or a negative errno. */
export function writeFile({ calls, root, scratch }: Backing, path: string, bytes: Uint8Array): number {
	const fd = calls.open(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o644)
	if (fd < 0) return fd
	let answer = 0
	for (let at = 0; at < bytes.length && answer >= 0; at += scratch.bytes.length) {
		const piece = bytes.subarray(at, at + scratch.bytes.length)
		scratch.bytes.set(piece)
		answer = calls.pwrite(fd, scratch.address, piece.length, at)
	}
	calls.close(fd)
	return Math.min(0, answer)
}

/** The whole content of a file of at most `maxBytes`, or a negative errno. */
export function readFile({ calls, root, scratch }: Backing, path: string, maxBytes: number): Uint8Array | number {
	const fd = calls.open(root, path, O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
	if (fd < 0) return fd
	const pieces: Uint8Array[] = []
	let total = 0
	for (;;) {
		const bytes = calls.pread(fd, scratch.address, scratch.bytes.length, total)
		if (bytes <= 0 || total + bytes > maxBytes) {
			calls.close(fd)
			return bytes < 0 ? bytes : bytes === 0 ? Buffer.concat(pieces) : -EFBIG
		}
		pieces.push(scratch.bytes.slice(0, bytes))
		total += bytes
	}
}
