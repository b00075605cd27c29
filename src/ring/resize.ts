/**
 * Moves a ring into one of another size, keeping the newest records that fit.
 *
 * Sequence numbers, text positions and the header's reading positions stay the same, so every cursor goes on where it was.
 */
import { DESC_WORDS, FIELD, HEADER_BYTES } from './layout.ts'
import { Ring, type RingMemory } from './ring.ts'

/** Formats `memory` (zeroed, of `geometry(wishedBytes)`) and copies the newest whole records of `from` into it. */
export function moveRing(from: Ring, memory: RingMemory, wishedBytes: number): Ring {
	Ring.format(memory, wishedBytes, from.headPosition, from.headSeq)
	const words = new Uint32Array(memory.head.buffer)
	const floats = new Float64Array(memory.head.buffer)
	const textBytes = floats[FIELD.textBytes] ?? 0
	const descCount = floats[FIELD.descCount] ?? 0
	let seq = from.headSeq
	while (
		seq > from.tailSeq &&
		from.headPosition - from.position(seq - 1) <= textBytes &&
		from.headSeq - (seq - 1) <= descCount
	)
		seq--
	for (let field: number = FIELD.nextKmsgSeq; field < HEADER_BYTES / 8; field++) floats[field] = from.floats[field] ?? 0
	for (let s = seq; s < from.headSeq; s++) {
		const source = from.slot(s)
		const target = HEADER_BYTES / 4 + (s & (descCount - 1)) * DESC_WORDS
		words.set(from.words.subarray(source, source + DESC_WORDS), target)
	}
	const start = seq < from.headSeq ? from.position(seq) : from.headPosition
	copyText(from, memory.text.bytes, start, from.headPosition, textBytes)
	floats[FIELD.tailSeq] = seq
	return new Ring(memory)
}

function copyText(from: Ring, target: Uint8Array, start: number, end: number, textBytes: number): void {
	for (let position = start; position < end; ) {
		const source = from.offset(position)
		const bytes = Math.min(end - position, from.textBytes, textBytes)
		target.set(from.text.subarray(source, source + bytes), position & (textBytes - 1))
		position += bytes
	}
}
