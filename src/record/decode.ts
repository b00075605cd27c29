/**
 * Bytes of a record as text, for JSON and people; off the hot path.
 *
 * Source of truth: WHATWG Encoding (UTF-8 decode without BOM). Invariant: any bytes give a string; what is no UTF-8 becomes
 * U+FFFD, a byte order mark stays.
 */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The bytes `start` to `end` as text. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
	return decoder.decode(bytes.subarray(start, end))
}
