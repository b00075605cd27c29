/**
 * Recognise the tag that names the sending program: `TAG[PID]: ` in front of a message.
 *
 * Source of truth: RFC 3164 section 4.1.3 and what libcs write; `(` `)` `.` `/` `_` `-` occur in real names (`postfix/smtpd`,
 * `(sd-pam)`). The length is bounded (RFC 3164 says 32, real names are longer), so that a megabyte of letters in front of a
 * colon is text. Invariant: when nothing is found, the ranges in `out` are untouched.
 */
import { DIGIT, isOf, skip, TAG } from './byte-class.ts'
import type { Parsed } from './parsed.ts'

/** The longest tag, in bytes. */
export const MAX_TAG_BYTES = 128
const MAX_PID_DIGITS = 10

/**
 * Find a tag at `at`: letters, then `[digits]`, `:` or both, then at most one space. Answers where the text behind it
 * begins, or -1 when the first word is text.
 */
export function findTag(bytes: Uint8Array, at: number, end: number, out: Parsed): number {
	const tagEnd = skip(bytes, at, end, TAG)
	if (tagEnd === at || tagEnd === end || tagEnd - at > MAX_TAG_BYTES) return -1
	const pidEnd = bytes[tagEnd] === OPEN ? closedPid(bytes, tagEnd + 1, end) : -1
	let position = pidEnd < 0 ? tagEnd : pidEnd + 1
	if (position < end && bytes[position] === COLON) {
		position++
		if (pidEnd < 0 && isInsideWord(bytes, position, end)) return -1
		if (position < end && bytes[position] === SPACE) position++
	} else if (pidEnd >= 0 && position < end && bytes[position] === SPACE) {
		position++
	} else {
		return -1
	}
	setTag(out, at, tagEnd, pidEnd)
	return position
}

/**
 * Find a tag written exactly as log lines write it, `TAG: ` or `TAG[PID]: `: the text can be put together again from its
 * parts, byte for byte. Same answer as `findTag`.
 */
export function findExactTag(bytes: Uint8Array, at: number, end: number, out: Parsed): number {
	const tagEnd = skip(bytes, at, end, TAG)
	if (tagEnd === at || tagEnd === end || tagEnd - at > MAX_TAG_BYTES) return -1
	const pidEnd = bytes[tagEnd] === OPEN ? closedPid(bytes, tagEnd + 1, end) : -1
	const colon = pidEnd < 0 ? tagEnd : pidEnd + 1
	if (colon + 1 >= end || bytes[colon] !== COLON || bytes[colon + 1] !== SPACE) return -1
	setTag(out, at, tagEnd, pidEnd)
	return colon + 2
}

/** Where the digits that begin at `at` end, when a `]` follows them; else -1. */
function closedPid(bytes: Uint8Array, at: number, end: number): number {
	const pidEnd = skip(bytes, at, end, DIGIT)
	const digits = pidEnd - at
	return digits > 0 && digits <= MAX_PID_DIGITS && pidEnd < end && bytes[pidEnd] === CLOSE ? pidEnd : -1
}

/** A colon that ends no name: `http://x`, `Foo::bar`, `12:30`, `host:80`. */
function isInsideWord(bytes: Uint8Array, at: number, end: number): boolean {
	return at < end && (bytes[at] === SLASH || bytes[at] === COLON || isOf(bytes, at, DIGIT))
}

function setTag(out: Parsed, at: number, tagEnd: number, pidEnd: number): void {
	out.tagStart = at
	out.tagEnd = tagEnd
	out.pidStart = pidEnd < 0 ? tagEnd : tagEnd + 1
	out.pidEnd = pidEnd < 0 ? tagEnd : pidEnd
}

const SPACE = 0x20
const SLASH = 0x2f
const COLON = 0x3a
const OPEN = 0x5b
const CLOSE = 0x5d
