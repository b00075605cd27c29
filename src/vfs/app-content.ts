/** Whole files of a container's, read and written by this daemon itself: configurations, and what becomes a view's content. */
import { EFBIG } from '../lib/errno.ts'
import type { Backing } from './backing.ts'

const O_WRONLY = 1
const SEEK_END = 2
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

/** What is read of a large file at once. */
const PIECE_BYTES = 256 * 1024

/** The content of a file of at most `maxBytes`, in pieces, of which there is one at least; or a negative errno. */
export function* readPieces(
	{ calls, root, scratch }: Backing,
	path: string,
	maxBytes: number,
): Generator<Uint8Array | number, void, void> {
	const fd = calls.open(root, path, O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
	if (fd < 0) return yield fd
	try {
		// What has no end is no file, and says so when it is read.
		const size = calls.lseek(fd, 0, SEEK_END)
		if (size > maxBytes) return yield -EFBIG
		for (let at = 0; at === 0 || at < size; ) {
			const bytes = calls.pread(fd, scratch.address, Math.min(PIECE_BYTES, scratch.bytes.length), at)
			if (bytes < 0 || at + bytes > maxBytes) return yield bytes < 0 ? bytes : -EFBIG
			yield scratch.bytes.slice(0, bytes)
			if (bytes === 0) return
			at += bytes
		}
	} finally {
		calls.close(fd)
	}
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
