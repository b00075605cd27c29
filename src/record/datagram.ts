/**
 * Parse one message as local programs send it to /dev/log.
 *
 * Source of truth: RFC 3164 section 4, RFC 5424 section 6, and what glibc, musl, busybox, Go, Python, Perl, util-linux logger
 * and systemd really send. Where the two disagree, programs win. Hot path: no allocation, no string, no exception. Invariant:
 * any bytes give a message; what cannot be understood stays in the text, nothing is refused and nothing is cut.
 */
import { USER } from './facility.ts'
import { resetParsed } from './parsed.ts'
import type { Parsed } from './parsed.ts'
import { parseRfc5424 } from './rfc5424-header.ts'
import { findTag } from './tag.ts'
import { BSD_TIMESTAMP_BYTES, hasBsdTimestamp, isoTimestampEnd } from './timestamp.ts'

/** RFC 3164 section 4.3.3: no PRI, or an impossible one, means user.notice. */
const DEFAULT_PRI = 13
const MAX_PRI = 191

/** Fill `out` from the bytes `start` to `end`. Trailing newlines and NULs are not part of the message. */
export function parseDatagram(bytes: Uint8Array, start: number, end: number, out: Parsed): void {
	let last = end
	while (last > start && (bytes[last - 1] === NEWLINE || bytes[last - 1] === NUL)) last--
	const at = parsePri(bytes, start, last, out)
	resetParsed(out, at, last)
	if (out.priValid && last - at >= 2 && bytes[at] === ONE && bytes[at + 1] === SPACE) {
		if (parseRfc5424(bytes, at + 2, last, out)) return
		// Not RFC 5424 after all: the text is kept from the version on, whatever was found on the way is forgotten.
		resetParsed(out, at, last)
	}
	parseBsd(bytes, at, last, out)
}

/** Facility, severity and where the rest begins: at `start` when there is no valid PRI. */
function parsePri(bytes: Uint8Array, start: number, end: number, out: Parsed): number {
	let pri = 0
	let at = start
	if (start < end && bytes[start] === LESS) {
		at = start + 1
		while (at < end && at - start <= 3) {
			const digit = (bytes[at] as number) - ZERO
			if (digit < 0 || digit > 9) break
			pri = pri * 10 + digit
			at++
		}
	}
	out.priValid = at - start > 1 && at < end && bytes[at] === GREATER && pri <= MAX_PRI
	if (!out.priValid) pri = DEFAULT_PRI
	// Facility kern is the kernel's own: a sender of the socket that says so (or says nothing, as `openlog(3)` with 0 does) is a user.
	out.facility = pri >> 3 === 0 ? USER : pri >> 3
	out.severity = pri & 7
	return out.priValid ? at + 1 : start
}

function parseBsd(bytes: Uint8Array, start: number, end: number, out: Parsed): void {
	let at = start
	if (hasBsdTimestamp(bytes, at, end)) {
		out.timeStart = at
		out.timeEnd = at + BSD_TIMESTAMP_BYTES
		at = out.timeEnd + 1
	} else {
		const timeEnd = isoTimestampEnd(bytes, at, end)
		if (timeEnd >= 0 && timeEnd < end && bytes[timeEnd] === SPACE) {
			out.timeStart = at
			out.timeEnd = timeEnd
			at = afterHost(bytes, timeEnd + 1, end, out)
		}
	}
	const body = findTag(bytes, at, end, out)
	out.msgStart = out.bodyStart = body < 0 ? at : body
	if (body >= 0 || out.timeEnd > out.timeStart) out.dialect = 'bsd'
}

/**
 * Local messages carry no host name, so none is guessed, except behind an ISO timestamp, whose writers always put one: the
 * first word is a host when it is no tag and the second word is one.
 */
function afterHost(bytes: Uint8Array, at: number, end: number, out: Parsed): number {
	if (findTag(bytes, at, end, out) >= 0) return at
	let wordEnd = at
	while (wordEnd < end && bytes[wordEnd] !== SPACE) wordEnd++
	if (wordEnd === at || wordEnd === end || findTag(bytes, wordEnd + 1, end, out) < 0) return at
	out.hostStart = at
	out.hostEnd = wordEnd
	return wordEnd + 1
}

const NUL = 0x00
const NEWLINE = 0x0a
const SPACE = 0x20
const ZERO = 0x30
const ONE = 0x31
const LESS = 0x3c
const GREATER = 0x3e
