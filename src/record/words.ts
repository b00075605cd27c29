/**
 * Four bytes at a time: the hot loops look at and copy words, because a loop over bytes takes three times as long.
 *
 * Source of truth: the bit tricks are those of "Hacker's Delight" (H. S. Warren, 2nd edition), section 6-1. Invariant: a view of
 * the same bytes is made once, however often they are asked for in a row; nothing else is allocated.
 */

/** The high bit of each byte of a word. */
export const HIGH_BITS = 0x80808080

let source: Uint8Array = new Uint8Array(0)
let viewOfSource = new DataView(source.buffer)
let target: Uint8Array = source
let viewOfTarget = viewOfSource

/** The view of the bytes to read: messages come from the same staging memory again and again. */
export function sourceView(bytes: Uint8Array): DataView {
	if (bytes !== source) {
		source = bytes
		viewOfSource = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
	}
	return viewOfSource
}

/** The view of the bytes to write: lines of one log go to the same ring again and again. */
export function targetView(bytes: Uint8Array): DataView {
	if (bytes !== target) {
		target = bytes
		viewOfTarget = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
	}
	return viewOfTarget
}

/** Where the first NUL between `start` and `end` is; `end` when there is none. */
export function indexOfNul(bytes: Uint8Array, start: number, end: number): number {
	const view = sourceView(bytes)
	let index = start
	for (; index + 4 <= end; index += 4) {
		const word = view.getInt32(index, true)
		if (((word - 0x01010101) & ~word & HIGH_BITS) !== 0) break
	}
	while (index < end && bytes[index] !== 0) index++
	return index
}
