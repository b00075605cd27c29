/**
 * One reply: a header, then a struct, directory entries or data, sent by a single write(2) or writev(2).
 * Source: struct fuse_out_header and fuse_dirent, include/uapi/linux/fuse.h (7.45); fuse_dev_do_write() (v6.12), which
 * takes a reply only whole, and wants `len` to be exactly what was written.
 *
 * Invariant: data with an address is not copied unless it is small; the iovec never grows beyond its array.
 */
import type { Memory } from '../lib/memory.ts'
import { write, writev } from '../sys/io.ts'
import { allocate, unmap } from '../sys/memory.ts'
import { FUSE_DIRENT, FUSE_OUT_HEADER } from './abi.ts'
import type { DirReply, ReadReply } from './filesystem.ts'
import { writeU64 } from './struct.ts'

/** Where the body begins. */
export const BODY_AT: number = FUSE_OUT_HEADER.sizeBytes
export const BODY_WORD: number = BODY_AT / 4

export interface ReplyLimits {
	/** Largest body. */
	readonly maxBodyBytes: number
	/** Most entries of one writev(2); at least 2. Beyond it data is copied. */
	readonly maxSpans: number
	/** Spans shorter than this are copied: pinning a page costs the kernel more. */
	readonly copyBelowBytes: number
}

const IOVEC_WORDS = 4
const LOOP_COPY_BYTES = 48

/** A reply under construction. One object for ever: `begin` starts the next. */
export class Reply implements ReadReply {
	readonly memory: Memory
	readonly words: Uint32Array
	readonly directory: DirReply
	room = 0
	readonly #limits: ReplyLimits
	readonly #iovec: Memory
	readonly #iovecWords: Uint32Array
	#spans = 0
	#spanEnd = 0
	#staged = 0
	#bodyBytes = 0

	constructor(limits: ReplyLimits) {
		this.#limits = limits
		this.memory = allocate(BODY_AT + limits.maxBodyBytes)
		this.words = new Uint32Array(this.memory.buffer, 0, Math.floor(this.memory.bytes.byteLength / 4))
		this.#iovec = allocate(limits.maxSpans * IOVEC_WORDS * 4)
		this.#iovecWords = new Uint32Array(this.#iovec.buffer)
		this.directory = { add: (name, ino, type, nextOffset) => this.#addEntry(name, ino, type, nextOffset) }
	}

	/** Starts a reply with up to `sizeBytes` of data. */
	begin(sizeBytes: number): void {
		this.room = Math.min(sizeBytes, this.#limits.maxBodyBytes)
		this.#bodyBytes = 0
		this.#staged = 0
		this.#spans = 0
		this.#push(this.memory.address, BODY_AT)
	}

	add(memory: Memory, start: number, sizeBytes: number): void {
		const size = Math.min(sizeBytes, this.room)
		// Beyond its end lies other memory of this process: never let a bad span send that to a container.
		if (start < 0 || start + size > memory.bytes.byteLength) throw new RangeError(`Span ${start}+${size} is outside`)
		if (size <= 0) return
		const { copyBelowBytes, maxSpans } = this.#limits
		if (memory.address === 0 || size < copyBelowBytes || this.#spans >= maxSpans - 1) {
			this.#stage(memory.bytes, start, size)
			return
		}
		this.#push(memory.address + start, size)
		this.#bodyBytes += size
		this.room -= size
	}

	addBytes(bytes: Uint8Array, start: number, end: number): void {
		const size = Math.min(end - start, this.room)
		if (start < 0 || start + size > bytes.byteLength) throw new RangeError(`Bytes ${start}+${size} are outside`)
		if (size > 0) this.#stage(bytes, start, size)
	}

	/** Sends the data gathered since `begin`. Bytes written, or a negative errno. */
	sendData(fd: number, uniqueLow: number, uniqueHigh: number): number {
		const total = BODY_AT + this.#bodyBytes
		this.#header(total, 0, uniqueLow, uniqueHigh)
		if (this.#spans === 1) return write(fd, this.memory.address, total)
		return writev(fd, this.#iovec.address, this.#spans)
	}

	/** Sends the struct of `bodyBytes` at BODY_AT, or (with an `error`, negative) the header alone. */
	sendStruct(fd: number, uniqueLow: number, uniqueHigh: number, error: number, bodyBytes: number): number {
		const total = BODY_AT + bodyBytes
		this.#header(total, error, uniqueLow, uniqueHigh)
		return write(fd, this.memory.address, total)
	}

	/** Unmaps the buffers; the reply must not be used afterwards. */
	free(): void {
		unmap(this.memory)
		unmap(this.#iovec)
	}

	#header(total: number, error: number, uniqueLow: number, uniqueHigh: number): void {
		const { words } = this
		words[0] = total
		words[1] = error
		words[2] = uniqueLow
		words[3] = uniqueHigh
	}

	/** Copies behind what was copied before: the bytes stay in order because the iovec says so. */
	#stage(bytes: Uint8Array, start: number, size: number): void {
		const at = BODY_AT + this.#staged
		copy(this.memory.bytes, at, bytes, start, size)
		this.#push(this.memory.address + at, size)
		this.#staged += size
		this.#bodyBytes += size
		this.room -= size
	}

	#push(address: number, size: number): void {
		const words = this.#iovecWords
		if (this.#spans > 0 && address === this.#spanEnd) {
			const lengthAt = (this.#spans - 1) * IOVEC_WORDS + 2
			words[lengthAt] = (words[lengthAt] as number) + size
		} else {
			writeU64(words, this.#spans * IOVEC_WORDS, address)
			writeU64(words, this.#spans * IOVEC_WORDS + 2, size)
			this.#spans++
		}
		this.#spanEnd = address + size
	}

	#addEntry(name: string, ino: number, type: number, nextOffset: number): boolean {
		const unpadded = FUSE_DIRENT.sizeBytes + name.length
		const size = Math.ceil(unpadded / 8) * 8
		if (size > this.room) return false
		const at = BODY_AT + this.#staged
		const { words, memory } = this
		writeU64(words, at / 4, ino)
		writeU64(words, at / 4 + 2, nextOffset)
		words[at / 4 + 4] = name.length
		words[at / 4 + 5] = type
		const nameAt = at + FUSE_DIRENT.sizeBytes
		for (let i = 0; i < name.length; i++) memory.bytes[nameAt + i] = name.charCodeAt(i)
		memory.bytes.fill(0, at + unpadded, at + size)
		this.#push(memory.address + at, size)
		this.#staged += size
		this.#bodyBytes += size
		this.room -= size
		return true
	}
}

function copy(target: Uint8Array, at: number, source: Uint8Array, start: number, size: number): void {
	if (size <= LOOP_COPY_BYTES) for (let i = 0; i < size; i++) target[at + i] = source[start + i] as number
	else target.set(source.subarray(start, start + size), at)
}
