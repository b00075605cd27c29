/**
 * Moves a ring into one of another size, keeping the newest records that fit: piece by piece, while records are appended to the old
 * one.
 *
 * Sequence numbers, text positions and the header's reading positions stay the same, so every cursor goes on where it was.
 * Invariant: until `finish` the old ring is the ring, and the new one is nobody's; what was appended or lost meanwhile is appended
 * or lost in the new one, too.
 */
import { DESC_WORDS, FIELD, HEADER_BYTES } from './layout.ts'
import { Ring, type RingMemory } from './ring.ts'

/** Text and descriptors of one step, at least: some 0.1 ms. */
const STEP_BYTES = 256 * 1024
const STEP_RECORDS = 2048

/** Formats `memory` (zeroed, of `geometry(wishedBytes)`) and copies the newest whole records of `from` into it, at once. */
export function moveRing(from: Ring, memory: RingMemory, wishedBytes: number): Ring {
	const move = new RingMove(from, memory, wishedBytes)
	while (!move.step()) {}
	return move.finish()
}

export class RingMove {
	readonly #from: Ring
	readonly #memory: RingMemory
	readonly #wishedBytes: number
	readonly #words: Uint32Array
	readonly #floats: Float64Array
	readonly #textBytes: number
	readonly #descCount: number
	/** Everything before it that is to be kept is there. */
	#seq: number
	/** The head of the old ring at the last step. */
	#headPosition: number
	#headSeq: number

	readonly #step: { readonly bytes: number; readonly records: number }

	/** `step`: how much is copied at once, at least. */
	constructor(
		from: Ring,
		memory: RingMemory,
		wishedBytes: number,
		step = { bytes: STEP_BYTES, records: STEP_RECORDS },
	) {
		this.#step = step
		this.#from = from
		this.#memory = memory
		this.#wishedBytes = wishedBytes
		Ring.format(memory, wishedBytes, from.headPosition, from.headSeq)
		this.#words = new Uint32Array(memory.head.buffer)
		this.#floats = new Float64Array(memory.head.buffer)
		this.#textBytes = this.#floats[FIELD.textBytes] ?? 0
		this.#descCount = this.#floats[FIELD.descCount] ?? 0
		this.#headPosition = from.headPosition
		this.#headSeq = from.headSeq
		this.#seq = this.#oldest()
	}

	/** The oldest record that fits into the new ring with all behind it. */
	#oldest(): number {
		const from = this.#from
		const floor = from.headPosition - this.#textBytes
		return firstFrom(from, Math.max(from.tailSeq, from.headSeq - this.#descCount), floor)
	}

	/** Copies the next piece; true when all is there but what is appended from now on. */
	step(): boolean {
		const from = this.#from
		const appendedBytes = from.headPosition - this.#headPosition
		const appended = from.headSeq - this.#headSeq
		this.#headPosition = from.headPosition
		this.#headSeq = from.headSeq
		const first = Math.max(this.#seq, this.#oldest())
		// Twice what came since the last step: the writer is caught up with, however fast it is.
		const bytes = Math.max(this.#step.bytes, 2 * appendedBytes)
		const records = Math.max(this.#step.records, 2 * appended)
		const start = positionOf(from, first)
		const end = Math.min(from.headSeq, first + records, Math.max(first + 1, firstFrom(from, first, start + bytes)))
		for (let seq = first; seq < end; seq++) {
			const source = from.slot(seq)
			const target = HEADER_BYTES / 4 + (seq & (this.#descCount - 1)) * DESC_WORDS
			this.#words.set(from.words.subarray(source, source + DESC_WORDS), target)
		}
		this.#copyText(start, positionOf(from, end))
		this.#seq = end
		return end === from.headSeq
	}

	/** The new ring, when `step` said so and nothing was appended since. */
	finish(): Ring {
		const from = this.#from
		if (this.#seq !== from.headSeq) throw new Error(`Records from ${this.#seq} on are not in the new ring`)
		const floats = this.#floats
		Ring.format(this.#memory, this.#wishedBytes, from.headPosition, from.headSeq)
		for (let field: number = FIELD.nextKmsgSeq; field < HEADER_BYTES / 8; field++)
			floats[field] = from.floats[field] ?? 0
		floats[FIELD.tailSeq] = this.#oldest()
		return new Ring(this.#memory)
	}

	#copyText(start: number, end: number): void {
		const from = this.#from
		const textBytes = this.#textBytes
		const target = this.#memory.text.bytes
		for (let position = start; position < end; ) {
			const source = from.offset(position)
			const bytes = Math.min(end - position, from.textBytes, textBytes)
			target.set(from.text.subarray(source, source + bytes), position & (textBytes - 1))
			position += bytes
		}
	}
}

function positionOf(ring: Ring, seq: number): number {
	return seq < ring.headSeq ? ring.position(seq) : ring.headPosition
}

/** The first record at or after `seq` whose text begins at or after `position`; the head when there is none. Positions grow with numbers. */
function firstFrom(ring: Ring, seq: number, position: number): number {
	let low = seq
	let high = ring.headSeq
	while (low < high) {
		const middle = Math.floor((low + high) / 2)
		if (ring.position(middle) < position) low = middle + 1
		else high = middle
	}
	return low
}
