/**
 * One request in its buffer: header, identity, argument bounds and names.
 * Source: struct fuse_in_header and the arguments per opcode, include/uapi/linux/fuse.h (7.45).
 *
 * Invariant: total. Any bytes are accepted or refused with an errno; nothing beyond `len` is ever read as data.
 */
import { EINVAL, EIO } from '../lib/errno.ts'
import type { Memory } from '../lib/memory.ts'
import { FUSE_IN_HEADER, FUSE_UNIQUE_RESEND_HIGH } from './abi.ts'
import type { Caller, NodeId, RequestId } from './filesystem.ts'
import { InHeader } from './hot.ts'
import { isExact } from './struct.ts'

/** Where every argument begins. */
export const ARGUMENT_AT: number = FUSE_IN_HEADER.sizeBytes

const NUL = 0
const TWO_32 = 0x1_0000_0000

/** The current request. One object for ever: `accept` moves it to the next. */
export class Request {
	readonly memory: Memory
	readonly header: InHeader
	/** The whole buffer, by words. */
	readonly words: Uint32Array
	readonly caller: Caller = { uid: 0, gid: 0, pid: 0 }
	opcode = 0
	node: NodeId = 0
	/** `unique` as two words, as the reply must carry it (with the resend bit). */
	uniqueLow = 0
	uniqueHigh = 0
	/** Byte after the argument: `len` without extensions. */
	end = 0
	/** Up to two names, one character a byte. */
	name = ''
	secondName = ''
	readonly #text: Buffer

	constructor(memory: Memory) {
		this.memory = memory
		this.header = new InHeader(memory.buffer)
		this.words = new Uint32Array(memory.buffer)
		this.#text = Buffer.from(memory.buffer)
	}

	/** The same number for a request and for its resend; inexact only if the kernel counts beyond 2^53. */
	get id(): RequestId {
		return requestId(this.uniqueLow, this.uniqueHigh)
	}

	/** What lies in the buffer, accepted or not. */
	get lying(): RequestId {
		return requestId(this.words[2] ?? 0, this.words[3] ?? 0)
	}

	/** Nothing lies in the buffer. */
	clear(): void {
		this.words.fill(0, 0, ARGUMENT_AT / 4)
	}

	/** The kernel sends this request again, because an earlier reader of the device died with it. */
	get resent(): boolean {
		return (this.uniqueHigh & FUSE_UNIQUE_RESEND_HIGH) !== 0
	}

	/** Takes the `sizeBytes` just read. False when there is not even a header, so nobody to answer. */
	accept(sizeBytes: number): boolean {
		if (sizeBytes < ARGUMENT_AT) return false
		const { header, caller, words } = this
		this.opcode = header.opcode
		this.uniqueLow = words[2] as number
		this.uniqueHigh = words[3] as number
		this.node = header.nodeid
		caller.uid = header.uid
		caller.gid = header.gid
		caller.pid = header.pid
		this.end = header.len === sizeBytes ? sizeBytes - header.total_extlen * 8 : 0
		return true
	}

	/** Checks that the header is sound, the struct is whole, and reads the names behind it. 0, -EIO or -EINVAL. */
	parse(structBytes: number, names: number): number {
		const namesAt = ARGUMENT_AT + structBytes
		if (this.end < namesAt || !isExact(this.node)) return -EIO
		if (names === 0) return 0
		const nameEnd = this.#nameEnd(namesAt)
		if (nameEnd < 0) return -EINVAL
		this.name = this.#text.toString('latin1', namesAt, nameEnd)
		if (names === 1) return 0
		const secondEnd = this.#nameEnd(nameEnd + 1)
		if (secondEnd < 0) return -EINVAL
		this.secondName = this.#text.toString('latin1', nameEnd + 1, secondEnd)
		return 0
	}

	/** Index of the NUL that ends the name at `from`, or -1. An empty name is no name. */
	#nameEnd(from: number): number {
		const { bytes } = this.memory
		for (let at = from; at < this.end; at++) {
			if (bytes[at] === NUL) return at > from ? at : -1
		}
		return -1
	}
}

/** `unique` without its resend bit, from its two words. */
export function requestId(low: number, high: number): RequestId {
	const ownHigh = high & ~FUSE_UNIQUE_RESEND_HIGH
	return ownHigh === 0 ? low : ownHigh * TWO_32 + low
}
