/**
 * Parse one write to /dev/kmsg: one record, whatever newlines are in it.
 *
 * Source of truth: kernel/printk/printk.c v6.12, `devkmsg_write` (prefix) and `vprintk_store` (cutting), measured on 6.18. The
 * text is a C string there. Invariant: the message is exactly what a reader of /dev/kmsg sees before escaping; the tag found in
 * it, for routing, stays part of it. A write longer than the kernel accepts is for the caller to refuse.
 */
import { USER } from './facility.ts'
import { resetParsed } from './parsed.ts'
import type { Parsed } from './parsed.ts'
import { findExactTag } from './tag.ts'
import { indexOfNul } from './words.ts'

/** `default_message_loglevel`: what a write without a prefix gets. */
const DEFAULT_SEVERITY = 4
/** PRINTKRB_RECORD_MAX less its NUL: text bytes that are kept. */
export const MAX_KMSG_TEXT_BYTES = 1023

/** Fill `out` from the bytes `start` to `end`; `maxBytes` of text are kept. */
export function parseKmsgWrite(
	bytes: Uint8Array,
	start: number,
	end: number,
	out: Parsed,
	maxBytes: number = MAX_KMSG_TEXT_BYTES,
): void {
	const at = parsePrefix(bytes, start, end, out)
	// In the kernel's order: the C string ends at a NUL, then it is cut, then loses one newline.
	const limit = end - at > maxBytes ? at + maxBytes : end
	let last = indexOfNul(bytes, at, limit)
	if (last > at && bytes[last - 1] === NEWLINE) last--
	resetParsed(out, at, last)
	const body = findExactTag(bytes, at, last, out)
	if (body < 0) return
	out.dialect = 'bsd'
	out.bodyStart = body
}

/** `<digits>`, perhaps without digits; its number is taken modulo 2^32, of which eight bits are the facility. */
function parsePrefix(bytes: Uint8Array, start: number, end: number, out: Parsed): number {
	out.facility = USER
	out.severity = DEFAULT_SEVERITY
	out.priValid = false
	if (start >= end || bytes[start] !== LESS) return start
	let pri = 0
	let at = start + 1
	while (at < end) {
		const digit = (bytes[at] as number) - ZERO
		if (digit < 0 || digit > 9) break
		pri = (Math.imul(pri, 10) + digit) >>> 0
		at++
	}
	if (at >= end || bytes[at] !== GREATER) return start
	const facility = (pri >>> 3) & 0xff
	out.facility = facility === 0 ? USER : facility
	out.severity = pri & 7
	out.priValid = true
	return at + 1
}

const NEWLINE = 0x0a
const ZERO = 0x30
const LESS = 0x3c
const GREATER = 0x3e
