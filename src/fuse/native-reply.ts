/**
 * What the tree answers, as fuse-native wants it: bytes in libfuse's own buffer, attributes as its plain object.
 *
 * Invariant: nothing is written beyond the buffer, and nothing outside a span is copied into it.
 */
import type { Memory } from '../lib/memory.ts'
import type { Attr, ReadReply } from './filesystem.ts'
import type { NativeStat } from './native-package.ts'

/** Copies into the buffer that libfuse sends. One object for ever: `begin` starts the next. */
export class BufferReply implements ReadReply {
	room = 0
	#buffer: Uint8Array = new Uint8Array()
	#size = 0

	begin(buffer: Uint8Array, sizeBytes: number): void {
		this.#buffer = buffer
		this.#size = Math.min(sizeBytes, buffer.length)
		this.room = this.#size
	}

	/** Bytes added since `begin`. */
	get sizeBytes(): number {
		return this.#size - this.room
	}

	/** They as a string, one character a byte. */
	get text(): string {
		return Buffer.from(this.#buffer.buffer, this.#buffer.byteOffset, this.sizeBytes).toString('latin1')
	}

	add(memory: Memory, start: number, sizeBytes: number): void {
		this.addBytes(memory.bytes, start, start + sizeBytes)
	}

	addBytes(bytes: Uint8Array, start: number, end: number): void {
		const size = Math.min(end - start, this.room)
		if (start < 0 || start + size > bytes.length) throw new RangeError(`Bytes ${start}+${size} are outside`)
		if (size <= 0) return
		this.#buffer.set(bytes.subarray(start, start + size), this.sizeBytes)
		this.room -= size
	}
}

/** Times lose their microseconds: the package has milliseconds. */
export function toStat(attr: Attr): NativeStat {
	return {
		mode: attr.mode,
		uid: attr.uid,
		gid: attr.gid,
		size: attr.size,
		nlink: attr.nlink,
		ino: attr.ino,
		rdev: attr.rdev,
		blksize: attr.blksize,
		blocks: attr.blocks,
		atime: Math.floor(attr.atimeUs / 1e3),
		mtime: Math.floor(attr.mtimeUs / 1e3),
		ctime: Math.floor(attr.ctimeUs / 1e3),
	}
}
