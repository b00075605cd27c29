/**
 * The ring of one POG: append at the head, lose whole records at the tail. See `layout.ts` for the bytes and the
 * invariant.
 *
 * One writer (the shard that owns the POG). Appending is O(1) in everything but the record's own bytes; it allocates
 * nothing. The hot words are public on purpose: readers of views run over millions of descriptors.
 */
import type { Memory } from '../lib/memory.ts'
import { DESC, DESC_WORDS, FIELD, FLAG, geometry, HEADER_BYTES, MAGIC_HIGH, MAGIC_LOW, WORD } from './layout.ts'

/** The mapped file: header and descriptors; and the text, mapped twice in a row. */
export interface RingMemory {
	readonly head: Memory
	readonly text: Memory
}

/** What `commit` stores beside the text. One object is reused for all records of a POG. */
export interface Descriptor {
	facility: number
	severity: number
	origin: number
	flags: number
	routes: number
	lineBytes: number
	extraBytes: number
	monotonicUs: number
	realtimeUs: number
	pid: number
	uid: number
	gid: number
	tagOffset: number
	tagBytes: number
	procidBytes: number
}

export function newDescriptor(): Descriptor {
	return {
		facility: 0,
		severity: 0,
		origin: 0,
		flags: 0,
		routes: 0,
		lineBytes: 0,
		extraBytes: 0,
		monotonicUs: 0,
		realtimeUs: 0,
		pid: 0,
		uid: 0,
		gid: 0,
		tagOffset: 0,
		tagBytes: 0,
		procidBytes: 0,
	}
}

/** Whether a record is one that was not whole when the ring was opened again (`salvage.ts`): of no view, without text. */
export function isLost(ring: Ring, seq: number): boolean {
	return (ring.words[ring.slot(seq) + DESC.kind] ?? 0) >>> 24 === 0
}

export class Ring {
	readonly memory: RingMemory
	readonly text: Uint8Array
	readonly textBytes: number
	readonly descCount: number
	/** Header and descriptors as words and as 64-bit floats. */
	readonly words: Uint32Array
	readonly floats: Float64Array
	readonly #fence: Int32Array
	readonly #slotMask: number
	readonly #textMask: number

	/** Oldest retained record, and the one the next append makes. */
	tailSeq: number
	headSeq: number
	headPosition: number
	#tailPosition: number

	/** Who must see a record before it goes asks for it here: eviction beyond `guardSeq` calls `onGuard` first. */
	guardSeq = Number.POSITIVE_INFINITY
	onGuard: () => void = () => {}

	constructor(memory: RingMemory) {
		this.memory = memory
		this.words = new Uint32Array(memory.head.buffer)
		this.floats = new Float64Array(memory.head.buffer)
		this.#fence = new Int32Array(memory.head.buffer, 0, 4)
		this.text = memory.text.bytes
		this.textBytes = this.floats[FIELD.textBytes] ?? 0
		this.descCount = this.floats[FIELD.descCount] ?? 0
		this.#slotMask = this.descCount - 1
		this.#textMask = this.textBytes - 1
		this.tailSeq = this.floats[FIELD.tailSeq] ?? 0
		this.headSeq = this.floats[FIELD.headSeq] ?? 0
		this.headPosition = this.floats[FIELD.headPosition] ?? 0
		this.#tailPosition = this.tailSeq < this.headSeq ? this.position(this.tailSeq) : this.headPosition
	}

	/** Writes an empty ring's header into zeroed memory of this geometry. */
	static format(memory: RingMemory, wishedBytes: number, firstPosition = 0, firstSeq = 0): void {
		Ring.mark(memory, geometry(wishedBytes))
		const floats = new Float64Array(memory.head.buffer)
		floats[FIELD.headPosition] = firstPosition
		floats[FIELD.headSeq] = firstSeq
		floats[FIELD.tailSeq] = firstSeq
		floats[FIELD.clearSeq] = firstSeq
		floats[FIELD.syslogSeq] = firstSeq
	}

	/** Writes what the file is, and nothing of what is in it. */
	static mark(memory: RingMemory, { textBytes, descCount }: { textBytes: number; descCount: number }): void {
		const words = new Uint32Array(memory.head.buffer)
		const floats = new Float64Array(memory.head.buffer)
		words[WORD.magicLow] = MAGIC_LOW
		words[WORD.magicHigh] = MAGIC_HIGH
		floats[FIELD.textBytes] = textBytes
		floats[FIELD.descCount] = descCount
	}

	/** A record longer than this does not fit: a quarter of the text, so that one record never empties the ring. */
	get maxRecordBytes(): number {
		return this.textBytes / 4
	}

	get usedBytes(): number {
		return this.headPosition - this.#tailPosition
	}

	/** Index of a record's first descriptor word in `words`. Only for tailSeq <= seq < headSeq. */
	slot(seq: number): number {
		return HEADER_BYTES / 4 + (seq & this.#slotMask) * DESC_WORDS
	}

	/** Absolute text position of a record. */
	position(seq: number): number {
		return this.floats[(this.slot(seq) + DESC.position) / 2] ?? 0
	}

	/** Where a position lies in `text`; up to `textBytes` bytes from there are contiguous. */
	offset(position: number): number {
		return position & this.#textMask
	}

	/** Makes room for a record of up to `bytes` and answers where in `text` to write it. `bytes` <= `maxRecordBytes`. */
	reserve(bytes: number): number {
		const floor = this.headPosition + bytes - this.textBytes
		const oldest = this.headSeq - this.descCount + 1
		if (this.#tailPosition < floor || this.tailSeq < oldest) this.#evict(floor, oldest)
		return this.headPosition & this.#textMask
	}

	#evict(floor: number, oldest: number): void {
		let seq = this.tailSeq
		let position = this.#tailPosition
		while (seq < this.headSeq && (position < floor || seq < oldest)) {
			if (seq >= this.guardSeq) this.onGuard()
			seq++
			position = seq < this.headSeq ? this.position(seq) : this.headPosition
		}
		this.tailSeq = seq
		this.#tailPosition = position
		this.floats[FIELD.tailSeq] = seq
		Atomics.add(this.#fence, WORD.fence, 1)
	}

	/** Makes the record that was written at `reserve`'s offset visible. Answers its sequence number. */
	commit(d: Descriptor): number {
		const seq = this.headSeq
		const at = this.slot(seq)
		const { words, floats } = this
		words[at + DESC.seqLow] = seq
		words[at + DESC.kind] = d.facility | (d.severity << 8) | (d.origin << 16) | (d.flags << 24)
		words[at + DESC.routes] = d.routes
		words[at + DESC.lineBytes] = d.lineBytes
		floats[(at + DESC.position) / 2] = this.headPosition
		floats[(at + DESC.monotonicUs) / 2] = d.monotonicUs
		floats[(at + DESC.realtimeUs) / 2] = d.realtimeUs
		words[at + DESC.pid] = d.pid
		words[at + DESC.uid] = d.uid
		words[at + DESC.gid] = d.gid
		words[at + DESC.extraBytes] = d.extraBytes
		words[at + DESC.shape] = d.tagOffset | (d.tagBytes << 8) | (d.procidBytes << 16)
		if ((d.flags & FLAG.kmsg) !== 0) {
			const kmsgSeq = floats[FIELD.nextKmsgSeq] ?? 0
			words[at + DESC.kmsgSeqLow] = kmsgSeq
			floats[FIELD.nextKmsgSeq] = kmsgSeq + 1
		} else words[at + DESC.kmsgSeqLow] = floats[FIELD.nextKmsgSeq] ?? 0
		this.headPosition += d.lineBytes + d.extraBytes
		this.headSeq = seq + 1
		floats[FIELD.headPosition] = this.headPosition
		Atomics.add(this.#fence, WORD.fence, 1)
		floats[FIELD.headSeq] = seq + 1
		return seq
	}

	/** The /dev/kmsg sequence number of a record (for one without the kmsg flag: of the next that has it). */
	kmsgSeq(seq: number): number {
		const next = this.floats[FIELD.nextKmsgSeq] ?? 0
		const low = this.words[this.slot(seq) + DESC.kmsgSeqLow] ?? 0
		return next - ((next - low) >>> 0)
	}

	/**
	 * Puts right what a writer that was killed between two stores left: for the next writer, before its first record. The number
	 * of a kmsg record is counted before the record is there.
	 */
	recover(): void {
		this.#account()
		const last = this.headSeq - 1
		// The newest record's descriptor is there even when the record was evicted for one that did not come.
		const at = this.slot(last)
		if (last < 0) this.floats[FIELD.nextKmsgSeq] = 0
		else if (this.words[at + DESC.seqLow] === last >>> 0) {
			const shown = ((this.words[at + DESC.kind] ?? 0) >>> 24) & FLAG.kmsg
			this.floats[FIELD.nextKmsgSeq] = this.kmsgSeq(last) + (shown !== 0 ? 1 : 0)
		}
	}

	/**
	 * Takes back the newest records, as if they had never been: those of a request that was not finished. What they took the
	 * place of stays gone.
	 */
	rewind(headSeq: number, headPosition: number, nextKmsgSeq: number): void {
		const { floats } = this
		if (headSeq >= this.headSeq) return
		while (this.headSeq > headSeq) {
			this.headSeq--
			floats[FIELD.headSeq] = this.headSeq
			this.#account()
		}
		this.headPosition = headPosition
		floats[FIELD.headPosition] = headPosition
		floats[FIELD.nextKmsgSeq] = nextKmsgSeq
		if (this.tailSeq < headSeq) return
		this.tailSeq = headSeq
		this.#tailPosition = headPosition
		floats[FIELD.tailSeq] = headSeq
	}

	/** Each record is counted once under its origin: puts right the one whose count and whose record are of two minds. */
	#account(): void {
		const { floats, headSeq } = this
		let counted = 0
		for (let field: number = FIELD.accepted; field < FIELD.drops; field++) counted += floats[field] ?? 0
		const missing = headSeq - counted
		if (Math.abs(missing) !== 1) return
		const seq = missing > 0 ? headSeq - 1 : headSeq
		const at = this.slot(seq)
		if (this.words[at + DESC.seqLow] !== seq >>> 0) return
		const field = FIELD.accepted + (((this.words[at + DESC.kind] ?? 0) >>> 16) & 0xff)
		floats[field] = (floats[field] ?? 0) + missing
	}

	/** Tells readers of this mapping that another file has taken its place. */
	retire(): void {
		Atomics.store(this.#fence, WORD.retired, 1)
	}
}
