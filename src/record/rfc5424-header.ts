/**
 * Parse the header of an RFC 5424 message: what stands behind `<PRI>1 `.
 *
 * Source of truth: RFC 5424 section 6. Header fields keep the RFC's lengths and alphabet, so that a caller may copy them into a
 * line unseen; structured data is checked for its shape only, its values may hold any byte. Invariant: the answer is false as soon
 * as one field is not as the RFC says, and the caller then takes the message as text.
 */
import { GRAPHIC, SD_NAME, skip } from './byte-class.ts'
import type { Parsed } from './parsed.ts'
import { isoTimestampEnd } from './timestamp.ts'

const MAX_HOST_BYTES = 255
const MAX_APP_BYTES = 48
const MAX_PROCID_BYTES = 128
const MAX_MSGID_BYTES = 32

/** Fill all ranges of `out` from `start`, the first byte of the timestamp, on; false when the header is broken. */
export function parseRfc5424(bytes: Uint8Array, start: number, end: number, out: Parsed): boolean {
	let at = start
	if (!isNil(bytes, at, end)) {
		const timeEnd = isoTimestampEnd(bytes, at, end)
		if (timeEnd < 0 || timeEnd >= end || bytes[timeEnd] !== SPACE) return false
		out.timeStart = at
		out.timeEnd = timeEnd
		at = timeEnd + 1
	} else {
		at += 2
	}

	let fieldEnd = wordEnd(bytes, at, end, MAX_HOST_BYTES)
	if (fieldEnd < 0) return false
	out.hostStart = isDash(bytes, at, fieldEnd) ? fieldEnd : at
	out.hostEnd = fieldEnd
	at = fieldEnd + 1

	fieldEnd = wordEnd(bytes, at, end, MAX_APP_BYTES)
	if (fieldEnd < 0) return false
	out.tagStart = isDash(bytes, at, fieldEnd) ? fieldEnd : at
	out.tagEnd = fieldEnd
	at = fieldEnd + 1

	fieldEnd = wordEnd(bytes, at, end, MAX_PROCID_BYTES)
	if (fieldEnd < 0) return false
	out.pidStart = isDash(bytes, at, fieldEnd) ? fieldEnd : at
	out.pidEnd = fieldEnd
	at = fieldEnd + 1

	fieldEnd = wordEnd(bytes, at, end, MAX_MSGID_BYTES)
	if (fieldEnd < 0) return false
	out.msgidStart = isDash(bytes, at, fieldEnd) ? fieldEnd : at
	out.msgidEnd = fieldEnd
	at = fieldEnd + 1

	return parseRest(bytes, at, end, out)
}

/** Structured data, then the end or a space and the message. */
function parseRest(bytes: Uint8Array, start: number, end: number, out: Parsed): boolean {
	let at = start
	if (at < end && bytes[at] === DASH) {
		at++
		out.sdStart = out.sdEnd = at
	} else {
		at = structuredDataEnd(bytes, at, end)
		if (at < 0) return false
		out.sdStart = start
		out.sdEnd = at
	}
	if (at < end) {
		if (bytes[at] !== SPACE) return false
		at++
	}
	// A byte order mark says "this is UTF-8"; it is no part of the text (section 6.4).
	if (end - at >= 3 && bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) at += 3
	out.msgStart = out.bodyStart = at
	out.msgEnd = end
	out.dialect = 'rfc5424'
	return true
}

/** Where the elements that begin at `at` end, or -1: `1*("[" SD-ID *(SP NAME="VALUE") "]")`. */
function structuredDataEnd(bytes: Uint8Array, start: number, end: number): number {
	let at = start
	while (at < end && bytes[at] === OPEN) {
		const idEnd = skip(bytes, at + 1, end, SD_NAME)
		if (idEnd === at + 1) return -1
		at = idEnd
		while (at < end && bytes[at] === SPACE) {
			const nameEnd = skip(bytes, at + 1, end, SD_NAME)
			if (nameEnd === at + 1 || nameEnd + 1 >= end) return -1
			if (bytes[nameEnd] !== EQUALS || bytes[nameEnd + 1] !== QUOTE) return -1
			at = nameEnd + 2
			while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
			at++
		}
		if (at >= end || bytes[at] !== CLOSE) return -1
		at++
	}
	return at === start ? -1 : at
}

/** `- ` in place of a field: absent. */
function isNil(bytes: Uint8Array, at: number, end: number): boolean {
	return end - at >= 2 && bytes[at] === DASH && bytes[at + 1] === SPACE
}

function isDash(bytes: Uint8Array, at: number, end: number): boolean {
	return end - at === 1 && bytes[at] === DASH
}

/** Where the word of printable ASCII at `at` ends, when a space follows and it is not too long; else -1. */
function wordEnd(bytes: Uint8Array, at: number, end: number, maxBytes: number): number {
	const last = skip(bytes, at, end, GRAPHIC)
	return last > at && last - at <= maxBytes && last < end && bytes[last] === SPACE ? last : -1
}

const SPACE = 0x20
const QUOTE = 0x22
const DASH = 0x2d
const EQUALS = 0x3d
const OPEN = 0x5b
const BACKSLASH = 0x5c
const CLOSE = 0x5d
