/**
 * Render a record as one read of /dev/kmsg gives it: `PRI,SEQ,USEC,-;TEXT\n`, then ` KEY=VALUE\n` lines.
 *
 * Source of truth: Documentation/ABI/testing/dev-kmsg and kernel/printk/printk.c v6.12 (`info_print_ext_header`,
 * `msg_add_ext_text`, `msg_add_dict_text`), measured on 6.18. Invariant: at most `capBytes` come out and the last one is a
 * newline. There is one difference: when plain text fills a cut record, the kernel loses the newline (its `append_char` uses the byte that its
 * `scnprintf` reserves); we keep it, because a record without one runs into the next for every line reader.
 */
import { BYTE_CLASS, ESCAPED } from './byte-class.ts'
import { writeDecimal } from './decimal.ts'

/** PRINTK_MESSAGE_MAX: the most one record takes. */
export const DEV_KMSG_CAP_BYTES = 2048

/**
 * Write the record at `at`, where `capBytes` (64 at least) must be free, and answer the position behind it.
 *
 * `timeUs` is CLOCK_MONOTONIC since host boot. `dict` holds `KEY=VALUE` lines joined by newlines; a line with an empty
 * value is left out, as the kernel does.
 */
export function renderDevKmsg(
	target: Uint8Array,
	at: number,
	facility: number,
	severity: number,
	seq: number,
	timeUs: number,
	text: Uint8Array,
	textStart: number,
	textEnd: number,
	dict?: Uint8Array,
	capBytes: number = DEV_KMSG_CAP_BYTES,
): number {
	// The last byte is kept for the newline.
	const limit = at + capBytes - 1
	let position = writeDecimal(target, at, facility * 8 + severity)
	target[position++] = COMMA
	position = writeDecimal(target, position, seq)
	target[position++] = COMMA
	position = writeDecimal(target, position, timeUs)
	target[position++] = COMMA
	target[position++] = DASH
	target[position++] = SEMICOLON
	position = copyEscaped(target, position, limit, text, textStart, textEnd)
	target[position++] = NEWLINE
	return dict === undefined ? position : renderDict(target, position, limit, dict)
}

function renderDict(target: Uint8Array, at: number, limit: number, dict: Uint8Array): number {
	let position = at
	let start = 0
	while (start < dict.length) {
		let end = dict.indexOf(NEWLINE, start)
		if (end < 0) end = dict.length
		if (end > start && dict[end - 1] !== EQUALS && position < limit) {
			target[position++] = SPACE
			position = copyEscaped(target, position, limit, dict, start, end)
			target[position++] = NEWLINE
		}
		start = end + 1
	}
	return position
}

/** Copy with `\xHH` for what is not plain ASCII; an escape may be cut by the limit, as the kernel's are. */
function copyEscaped(
	target: Uint8Array,
	at: number,
	limit: number,
	source: Uint8Array,
	start: number,
	end: number,
): number {
	let position = at
	for (let index = start; index < end && position < limit; index++) {
		const byte = source[index] as number
		if (((BYTE_CLASS[byte] as number) & ESCAPED) === 0) {
			target[position++] = byte
			continue
		}
		target[position++] = BACKSLASH
		if (position < limit) target[position++] = LOWER_X
		if (position < limit) target[position++] = HEX[byte >> 4] as number
		if (position < limit) target[position++] = HEX[byte & 15] as number
	}
	return position
}

const HEX = new TextEncoder().encode('0123456789abcdef')
const NEWLINE = 0x0a
const SPACE = 0x20
const COMMA = 0x2c
const DASH = 0x2d
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const LOWER_X = 0x78
