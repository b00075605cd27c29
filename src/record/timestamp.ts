/**
 * Recognise the timestamps that senders write; they are kept as text, never trusted (musl's are in UTC, glibc's local).
 *
 * Source of truth: RFC 3164 section 4.1.2 (`Mmm dd hh:mm:ss`, the day padded by a space; some pad by a zero), RFC 5424
 * section 6.2.3 (a profile of RFC 3339: upper-case `T` and `Z`, at most six digits of a second).
 */
import { DIGIT, isOf, skip } from './byte-class.ts'

/** Length of `Mmm dd hh:mm:ss`. */
export const BSD_TIMESTAMP_BYTES = 15

/** Whether a BSD timestamp and the space behind it begin at `at`. */
export function hasBsdTimestamp(bytes: Uint8Array, at: number, end: number): boolean {
	return (
		end - at > BSD_TIMESTAMP_BYTES &&
		bytes[at + 3] === SPACE &&
		bytes[at + 6] === SPACE &&
		bytes[at + 9] === COLON &&
		bytes[at + 12] === COLON &&
		bytes[at + 15] === SPACE &&
		(bytes[at + 4] === SPACE || isOf(bytes, at + 4, DIGIT)) &&
		isOf(bytes, at + 5, DIGIT) &&
		twoDigits(bytes, at + 7) &&
		twoDigits(bytes, at + 10) &&
		twoDigits(bytes, at + 13) &&
		isMonth(bytes, at)
	)
}

/** Where the RFC 3339 timestamp that begins at `at` ends, or -1 when there is none. */
export function isoTimestampEnd(bytes: Uint8Array, at: number, end: number): number {
	const shortest = '2026-11-21T23:23:00Z'.length
	if (end - at < shortest) return -1
	if (bytes[at + 4] !== DASH || bytes[at + 7] !== DASH || bytes[at + 10] !== UPPER_T) return -1
	if (bytes[at + 13] !== COLON || bytes[at + 16] !== COLON) return -1
	if (!twoDigits(bytes, at) || !twoDigits(bytes, at + 2) || !twoDigits(bytes, at + 5) || !twoDigits(bytes, at + 8))
		return -1
	if (!twoDigits(bytes, at + 11) || !twoDigits(bytes, at + 14) || !twoDigits(bytes, at + 17)) return -1
	let position = at + 19
	if (bytes[position] === DOT) {
		const fraction = skip(bytes, position + 1, end, DIGIT)
		const digits = fraction - position - 1
		if (digits < 1 || digits > 6) return -1
		position = fraction
	}
	if (position >= end) return -1
	if (bytes[position] === UPPER_Z) return position + 1
	if (bytes[position] !== PLUS && bytes[position] !== DASH) return -1
	if (end - position < 6 || bytes[position + 3] !== COLON) return -1
	return twoDigits(bytes, position + 1) && twoDigits(bytes, position + 4) ? position + 6 : -1
}

function twoDigits(bytes: Uint8Array, at: number): boolean {
	return isOf(bytes, at, DIGIT) && isOf(bytes, at + 1, DIGIT)
}

function isMonth(bytes: Uint8Array, at: number): boolean {
	const key = monthKey(bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number)
	for (let month = 0; month < MONTH_KEYS.length; month++) if (MONTH_KEYS[month] === key) return true
	return false
}

function monthKey(first: number, second: number, third: number): number {
	return (first << 16) | (second << 8) | third
}

/** English whatever the locale, as every sender writes them. */
export const MONTHS: readonly string[] = [
	'Jan',
	'Feb',
	'Mar',
	'Apr',
	'May',
	'Jun',
	'Jul',
	'Aug',
	'Sep',
	'Oct',
	'Nov',
	'Dec',
]
const MONTH_KEYS = Int32Array.from(MONTHS, name => monthKey(name.charCodeAt(0), name.charCodeAt(1), name.charCodeAt(2)))

const SPACE = 0x20
const PLUS = 0x2b
const DASH = 0x2d
const DOT = 0x2e
const COLON = 0x3a
const UPPER_T = 0x54
const UPPER_Z = 0x5a
