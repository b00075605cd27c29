/**
 * Files of /proc, read whole and at once. `readFileSync` takes 64 KiB of fresh memory for each of them, because they have no size,
 * and gives it back to the kernel: a container's start reads some thirty.
 *
 * Source: proc(5): a file of /proc is made at each read from its beginning, so a buffer that is too short is tried again with a
 * longer one. One object serves one thread; the bytes are gone with the next call.
 */
import { errnoName } from '../lib/errno.ts'
import { close, O_CLOEXEC, O_RDONLY, openPath, pread } from './io.ts'
import { allocate, unmap } from './memory.ts'

const FIRST_BYTES = 16 * 1024
const MOST_BYTES = 64 * 1024 * 1024

let memory = allocate(FIRST_BYTES)
let bytes = Buffer.from(memory.buffer)

/** The text, one character a byte; or a negative errno. */
export function readProc(path: string): string | number {
	const fd = openPath(path, O_RDONLY | O_CLOEXEC)
	if (fd < 0) return fd
	const read = readFrom(fd)
	close(fd)
	return read < 0 ? read : bytes.toString('latin1', 0, read)
}

/** The same, for callers to whom a file that cannot be read is the end of a process: throws. */
export function readProcOrThrow(path: string): string {
	const text = readProc(path)
	if (typeof text === 'number') throw new Error(`Cannot read ${path}: ${errnoName(text)}`)
	return text
}

/** A read of a mount table ends where a line does, with more to come; the end is a read of nothing. */
function readFrom(fd: number): number {
	for (let have = 0; ; ) {
		if (have === bytes.length && !grow()) return have
		const got = pread(fd, memory.address + have, bytes.length - have, have)
		if (got <= 0) return got < 0 && have === 0 ? got : have
		have += got
	}
}

/** Twice the memory, with what is in it; whether there may be more. */
function grow(): boolean {
	if (bytes.length >= MOST_BYTES) return false
	const longer = allocate(bytes.length * 2)
	longer.bytes.set(bytes)
	unmap(memory)
	memory = longer
	bytes = Buffer.from(memory.buffer)
	return true
}
