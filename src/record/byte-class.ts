/**
 * What each byte value may be part of, as one bit mask per value: the parsers and renderers ask this table and nothing else.
 *
 * Source of truth: RFC 5424 section 6 (PRINTUSASCII), sysklogd 2.7 (which bytes a log line may carry), kernel/printk/printk.c
 * v6.12 `msg_add_ext_text` (which bytes /dev/kmsg escapes).
 */

export const DIGIT = 1
/** May be part of a BSD tag: `[A-Za-z0-9._/()-]`. */
export const TAG = 2
/** PRINTUSASCII: 33 to 126. */
export const GRAPHIC = 4
/** May not stand in a line of a log file as it is: controls except tab, and DEL. */
export const UNSAFE = 8
/** Written as `\xHH` by /dev/kmsg. */
export const ESCAPED = 16
/** May be part of a name in structured data: PRINTUSASCII except `=`, `]` and `"`. */
export const SD_NAME = 32

const TAG_BYTES = /[A-Za-z0-9._/()-]/
const NOT_IN_SD_NAMES = '=]"'

export const BYTE_CLASS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
	const char = String.fromCharCode(byte)
	const isGraphic = byte > 0x20 && byte < 0x7f
	return (
		(char >= '0' && char <= '9' ? DIGIT : 0) |
		(TAG_BYTES.test(char) ? TAG : 0) |
		(isGraphic ? GRAPHIC : 0) |
		((byte < 0x20 && char !== '\t') || byte === 0x7f ? UNSAFE : 0) |
		(byte < 0x20 || byte >= 0x7f || char === '\\' ? ESCAPED : 0) |
		(isGraphic && !NOT_IN_SD_NAMES.includes(char) ? SD_NAME : 0)
	)
})

/** Whether the byte at `at` is one of a class; a position outside of the bytes is of none. */
export function isOf(bytes: Uint8Array, at: number, mask: number): boolean {
	return ((BYTE_CLASS[bytes[at] as number] as number) & mask) !== 0
}

/** Where the run of bytes of a class that begins at `at` ends, `end` at most. */
export function skip(bytes: Uint8Array, at: number, end: number, mask: number): number {
	let position = at
	while (position < end && ((BYTE_CLASS[bytes[position] as number] as number) & mask) !== 0) position++
	return position
}
