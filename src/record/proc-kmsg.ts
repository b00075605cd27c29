/**
 * Render a record as /proc/kmsg and syslog(2) give it: `<PRI>[SSSSS.UUUUUU] text\n`, each line of the text with the prefix.
 *
 * Source of truth: kernel/printk/printk.c v6.12, `record_print_text` and `info_print_prefix`. Text is raw. Invariant: what is answered
 * without a target is what is written to one; a line that does not fit is left out with all behind it, and a first line that
 * does not fit (the kernel has none so long) is cut, so that no record is silent.
 */
import { decimalBytes, writeDecimal, writePadded } from './decimal.ts'

/** PRINTK_MESSAGE_MAX: the buffer one record is formatted in, its NUL included. */
export const PROC_KMSG_CAP_BYTES = 2048

/**
 * Write the record at `at`, where `capBytes` must be free, and answer the position behind it; `capBytes - 1` at most are
 * used. `timeUs` is CLOCK_MONOTONIC since host boot. Without a target nothing is written.
 */
export function renderProcKmsg(
	target: Uint8Array | undefined,
	at: number,
	capBytes: number,
	facility: number,
	severity: number,
	timeUs: number,
	text: Uint8Array,
	start: number,
	end: number,
): number {
	const limit = at + capBytes - 1
	const prefixBytes = prefixSize(facility, severity, timeUs)
	let position = at
	let lineStart = start
	do {
		let lineEnd = findLineEnd(text, lineStart, end)
		if (position + prefixBytes + (lineEnd - lineStart) + 1 > limit) {
			if (lineStart > start) break
			lineEnd = lineStart + Math.max(0, limit - position - prefixBytes - 1)
		}
		if (target === undefined) {
			position += prefixBytes + (lineEnd - lineStart) + 1
		} else {
			position = writePrefix(target, position, facility, severity, timeUs)
			for (let index = lineStart; index < lineEnd; index++) target[position++] = text[index] as number
			target[position++] = NEWLINE
		}
		lineStart = lineEnd + 1
	} while (lineStart <= end)
	return position
}

function findLineEnd(text: Uint8Array, start: number, end: number): number {
	let at = start
	while (at < end && text[at] !== NEWLINE) at++
	return at
}

/** Length of `<PRI>[SSSSS.UUUUUU] `. */
function prefixSize(facility: number, severity: number, timeUs: number): number {
	const seconds = decimalBytes(Math.floor(timeUs / 1e6))
	return decimalBytes(facility * 8 + severity) + Math.max(seconds, SECONDS_WIDTH) + '<>[.] '.length + 6
}

function writePrefix(target: Uint8Array, at: number, facility: number, severity: number, timeUs: number): number {
	const seconds = Math.floor(timeUs / 1e6)
	let position = at
	target[position++] = LESS
	position = writeDecimal(target, position, facility * 8 + severity)
	target[position++] = GREATER
	target[position++] = OPEN
	for (let pad = SECONDS_WIDTH - decimalBytes(seconds); pad > 0; pad--) target[position++] = SPACE
	position = writeDecimal(target, position, seconds)
	target[position++] = DOT
	position = writePadded(target, position, timeUs - seconds * 1e6, 6)
	target[position++] = CLOSE
	target[position++] = SPACE
	return position
}

/** `%5lu` */
const SECONDS_WIDTH = 5
const NEWLINE = 0x0a
const SPACE = 0x20
const DOT = 0x2e
const LESS = 0x3c
const GREATER = 0x3e
const OPEN = 0x5b
const CLOSE = 0x5d
