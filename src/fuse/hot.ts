/**
 * Hand-written readers and writers of the structs that cross with nearly every request. Source: the tables in `abi.ts`,
 * against which each is property-tested; the same interface, so that a table overlay can replace any of them.
 *
 * Invariant: no allocation; a 64-bit field is built from two words, and stays a small integer while it is small.
 */
import type { FUSE_IN_HEADER, FUSE_READ_IN, FUSE_WRITE_IN } from './abi.ts'
import type { Attr } from './filesystem.ts'
import { type OverlayOf, readU64, writeU64 } from './struct.ts'

const US_PER_SECOND = 1_000_000

/** struct fuse_in_header at the start of the request buffer. */
export class InHeader implements Readonly<OverlayOf<typeof FUSE_IN_HEADER>> {
	readonly #words: Uint32Array

	constructor(buffer: ArrayBuffer) {
		this.#words = new Uint32Array(buffer, 0, 10)
	}

	get len(): number {
		return this.#words[0] as number
	}
	get opcode(): number {
		return this.#words[1] as number
	}
	get unique(): number {
		return readU64(this.#words, 2)
	}
	get nodeid(): number {
		return readU64(this.#words, 4)
	}
	get uid(): number {
		return this.#words[6] as number
	}
	get gid(): number {
		return this.#words[7] as number
	}
	get pid(): number {
		return this.#words[8] as number
	}
	get total_extlen(): number {
		return (this.#words[9] as number) & 0xffff
	}
}

/** struct fuse_read_in at byte `at`; struct fuse_write_in has the same shape. */
export class ReadIn implements Readonly<OverlayOf<typeof FUSE_READ_IN>>, Readonly<OverlayOf<typeof FUSE_WRITE_IN>> {
	readonly #words: Uint32Array

	constructor(buffer: ArrayBuffer, at: number) {
		this.#words = new Uint32Array(buffer, at, 10)
	}

	get fh(): number {
		return readU64(this.#words, 0)
	}
	get offset(): number {
		return readU64(this.#words, 2)
	}
	get size(): number {
		return this.#words[4] as number
	}
	get read_flags(): number {
		return this.#words[5] as number
	}
	get write_flags(): number {
		return this.#words[5] as number
	}
	get lock_owner(): number {
		return readU64(this.#words, 6)
	}
	get flags(): number {
		return this.#words[8] as number
	}
}

/** Stores `attr` as a struct fuse_attr at word `at`. */
export function writeAttr(words: Uint32Array, at: number, attr: Attr): void {
	writeU64(words, at, attr.ino)
	writeU64(words, at + 2, attr.size)
	writeU64(words, at + 4, attr.blocks)
	writeTime(words, at + 6, at + 12, attr.atimeUs)
	writeTime(words, at + 8, at + 13, attr.mtimeUs)
	writeTime(words, at + 10, at + 14, attr.ctimeUs)
	words[at + 15] = attr.mode
	words[at + 16] = attr.nlink
	words[at + 17] = attr.uid
	words[at + 18] = attr.gid
	words[at + 19] = attr.rdev
	words[at + 20] = attr.blksize
	words[at + 21] = 0
}

/** A time of the kernel's: whole seconds (they may be negative) and nanoseconds, as microseconds. */
export function microseconds(seconds: number, nanoseconds: number): number {
	return seconds * US_PER_SECOND + Math.floor(nanoseconds / 1000)
}

function writeTime(words: Uint32Array, secondsAt: number, nanosecondsAt: number, timeUs: number): void {
	const seconds = Math.floor(timeUs / US_PER_SECOND)
	writeU64(words, secondsAt, seconds)
	words[nanosecondsAt] = (timeUs - seconds * US_PER_SECOND) * 1000
}
