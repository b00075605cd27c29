/**
 * The part of a record behind its line, that no view shows: fields of type, length and bytes.
 *
 *     | type u8 | length u32, little-endian | bytes |  ...
 */

export const EXTRA = {
	/** The message's own bytes, where the line holds them sanitised. */
	text: 1,
	/** RFC 5424 MSGID and STRUCTURED-DATA. */
	msgid: 2,
	sd: 3,
	/** `KEY=VALUE` lines of a kernel record (SUBSYSTEM, DEVICE). */
	dictionary: 4,
} as const

const PREFIX_BYTES = 5

/** Bytes a field takes. */
export function extraBytes(valueBytes: number): number {
	return PREFIX_BYTES + valueBytes
}

/** Writes one field at `at` and answers where it ends. */
export function putExtra(
	target: Uint8Array,
	at: number,
	type: number,
	source: Uint8Array,
	start: number,
	end: number,
): number {
	const bytes = end - start
	target[at] = type
	target[at + 1] = bytes
	target[at + 2] = bytes >>> 8
	target[at + 3] = bytes >>> 16
	target[at + 4] = bytes >>> 24
	for (let i = 0; i < bytes; i++) target[at + PREFIX_BYTES + i] = source[start + i] ?? 0
	return at + PREFIX_BYTES + bytes
}

/** Where a field's bytes start, `extraLength` long and within the range; -1 when the record has none of this type. */
export function findExtra(text: Uint8Array, start: number, end: number, type: number): number {
	for (let at = start; at + PREFIX_BYTES <= end; ) {
		const value = at + PREFIX_BYTES
		const next = value + extraLength(text, value)
		// A length that leads out of the record is nobody's: the text has no checksum.
		if (next > end) return -1
		if (text[at] === type) return value
		at = next
	}
	return -1
}

/** Length of the field whose bytes start at `at`. */
export function extraLength(text: Uint8Array, at: number): number {
	return (
		((text[at - 4] ?? 0) | ((text[at - 3] ?? 0) << 8) | ((text[at - 2] ?? 0) << 16) | ((text[at - 1] ?? 0) << 24)) >>> 0
	)
}
