/**
 * Render a record as a line of a file whose rule says `;RFC5424`: `TIME HOST APP PROCID MSGID SD MSG`.
 *
 * Source of truth: sysklogd 2.7 syslogd.c, `fmt5424` and `fprintlog_write`: to a file goes everything but the first part, which is
 * `<PRI>1 `; the time has six digits of a second and the local zone's offset; a space precedes the message even when that is empty.
 * Structured data and message are sanitised as in any line of a file. Invariant: `sizeRfc5424` of the same arguments is what
 * `renderRfc5424` writes, and the one newline is its last byte.
 */
import { writePadded } from './decimal.ts'
import type { Parsed } from './parsed.ts'
import { copyBytes, copySanitised, hostnameBytes, sanitisedBytes } from './sanitise.ts'

/** `2026-11-21T23:23:00.229525+00:00 HOST `; everything but the microseconds is made again only when the second changes. */
export class Rfc5424Head {
	readonly bytes: Uint8Array
	readonly length: number
	#second = Number.NaN

	constructor(hostname: string) {
		const host = hostnameBytes(hostname)
		this.length = TEMPLATE.length + 1 + host.length + 1
		this.bytes = new Uint8Array(this.length).fill(SPACE)
		this.bytes.set(new TextEncoder().encode(TEMPLATE))
		this.bytes.set(host, TEMPLATE.length + 1)
	}

	/** Show this time: microseconds of CLOCK_REALTIME. */
	update(realtimeUs: number): void {
		const second = Math.floor(realtimeUs / 1e6)
		writePadded(this.bytes, 20, realtimeUs - second * 1e6, 6)
		if (second === this.#second) return
		this.#second = second
		const time = new Date(second * 1000)
		writePadded(this.bytes, 0, time.getFullYear(), 4)
		writePadded(this.bytes, 5, time.getMonth() + 1, 2)
		writePadded(this.bytes, 8, time.getDate(), 2)
		writePadded(this.bytes, 11, time.getHours(), 2)
		writePadded(this.bytes, 14, time.getMinutes(), 2)
		writePadded(this.bytes, 17, time.getSeconds(), 2)
		// Minutes that local time is behind UTC.
		const behind = time.getTimezoneOffset()
		const offset = Math.abs(behind)
		this.bytes[26] = behind > 0 ? DASH : PLUS
		writePadded(this.bytes, 27, Math.floor(offset / 60), 2)
		writePadded(this.bytes, 30, offset % 60, 2)
	}
}

/** The parts of a record that its line shows, as ranges of the same bytes; an empty one is shown as `-`. `Parsed` is one. */
export type Rfc5424Parts = Pick<
	Parsed,
	| 'tagStart'
	| 'tagEnd'
	| 'pidStart'
	| 'pidEnd'
	| 'msgidStart'
	| 'msgidEnd'
	| 'sdStart'
	| 'sdEnd'
	| 'bodyStart'
	| 'msgEnd'
>

/** Write the line at `at`, where `sizeRfc5424` must be free, and answer the position behind it. */
export function renderRfc5424(
	target: Uint8Array,
	at: number,
	head: Rfc5424Head,
	source: Uint8Array,
	parts: Rfc5424Parts,
): number {
	let position = copyBytes(target, at, head.bytes, 0, head.length)
	position = writeField(target, position, source, parts.tagStart, parts.tagEnd)
	position = writeField(target, position, source, parts.pidStart, parts.pidEnd)
	position = writeField(target, position, source, parts.msgidStart, parts.msgidEnd)
	position = writeField(target, position, source, parts.sdStart, parts.sdEnd)
	position = copySanitised(target, position, source, parts.bodyStart, parts.msgEnd)
	target[position++] = NEWLINE
	return position
}

/** How many bytes `renderRfc5424` writes. */
export function sizeRfc5424(head: Rfc5424Head, source: Uint8Array, parts: Rfc5424Parts): number {
	return (
		head.length +
		fieldBytes(source, parts.tagStart, parts.tagEnd) +
		fieldBytes(source, parts.pidStart, parts.pidEnd) +
		fieldBytes(source, parts.msgidStart, parts.msgidEnd) +
		fieldBytes(source, parts.sdStart, parts.sdEnd) +
		sanitisedBytes(source, parts.bodyStart, parts.msgEnd) +
		'\n'.length
	)
}

/** A field, or `-`, and the space behind it. */
function writeField(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
	let position = at
	if (end > start) position = copySanitised(target, position, source, start, end)
	else target[position++] = DASH
	target[position++] = SPACE
	return position
}

function fieldBytes(source: Uint8Array, start: number, end: number): number {
	return end > start ? sanitisedBytes(source, start, end) + 1 : '- '.length
}

const TEMPLATE = '0000-00-00T00:00:00.000000+00:00'
const NEWLINE = 0x0a
const SPACE = 0x20
const PLUS = 0x2b
const DASH = 0x2d
