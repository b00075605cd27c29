/**
 * Compose the line of a log file: `Mmm dd hh:mm:ss HOST TAG[PID]: MSG`.
 *
 * Source of truth: sysklogd 2.7 syslogd.c, `fmt3164`, as it writes to files (without the PRI); it cuts the tag at 32 bytes, we keep
 * it. The time is when the record arrived, in the time zone of this process. Hot path: composing allocates nothing. Invariant: one
 * call writes exactly one newline, as the last byte.
 */
import type { Parsed } from './parsed.ts'
import { copyBytes, copySafe, copySanitised, hostnameBytes } from './sanitise.ts'
import { MONTHS } from './timestamp.ts'
import { writePadded } from './decimal.ts'
import { targetView } from './words.ts'

/** `Mmm dd hh:mm:ss HOST `, made again only when the second changes. One for each host name. */
export class LineHead {
	readonly bytes: Uint8Array
	readonly length: number
	readonly #words: DataView
	#second = Number.NaN

	constructor(hostname: string) {
		const host = hostnameBytes(hostname)
		this.length = TIME_BYTES + 1 + host.length + 1
		this.bytes = new Uint8Array(this.length).fill(SPACE)
		this.bytes.set(host, TIME_BYTES + 1)
		this.#words = new DataView(this.bytes.buffer)
	}

	/** Copy it to `at` and answer the position behind it. */
	copyTo(target: Uint8Array, at: number): number {
		const { bytes, length } = this
		const words = this.#words
		const to = targetView(target)
		let index = 0
		for (; index + 4 <= length; index += 4) to.setInt32(at + index, words.getInt32(index))
		for (; index < length; index++) target[at + index] = bytes[index] as number
		return at + length
	}

	/** Show this time: microseconds of CLOCK_REALTIME. */
	update(realtimeUs: number): void {
		const second = Math.floor(realtimeUs / 1e6)
		if (second === this.#second) return
		this.#second = second
		const time = new Date(second * 1000)
		const month = MONTHS[time.getMonth()] ?? '???'
		for (let index = 0; index < 3; index++) this.bytes[index] = month.charCodeAt(index)
		const day = time.getDate()
		writePadded(this.bytes, 4, day, 2)
		if (day < 10) this.bytes[4] = SPACE
		writePadded(this.bytes, 7, time.getHours(), 2)
		this.bytes[9] = COLON
		writePadded(this.bytes, 10, time.getMinutes(), 2)
		this.bytes[12] = COLON
		writePadded(this.bytes, 13, time.getSeconds(), 2)
	}
}

/** Where the parts of a composed line are, relative to its first byte; absent parts have no bytes. */
export interface Composed {
	tagOffset: number
	tagBytes: number
	pidOffset: number
	pidBytes: number
	/** The text behind the tag; it ends before the newline. */
	msgOffset: number
	/** The message is in the line byte for byte as it came. */
	clean: boolean
}

/** The parts of the line that `composeLine` wrote last: read it before the next call. */
export const composed: Composed = { tagOffset: 0, tagBytes: 0, pidOffset: 0, pidBytes: 0, msgOffset: 0, clean: true }

/** Bytes that `composeLine` may write at most. */
export function maxLineBytes(p: Parsed, head: LineHead, fallbackTag?: Uint8Array): number {
	const tag = p.tagEnd - p.tagStart + (p.pidEnd - p.pidStart) + (fallbackTag?.length ?? 0)
	return head.length + tag + '[]: '.length + 2 * (p.msgEnd - p.bodyStart) + '\n'.length
}

/**
 * Write the line of a parsed message at `at`, where `maxLineBytes` must be free, and answer the position behind it; `composed`
 * then tells where its parts are. A message without a tag gets `fallbackTag` (`kernel` for the kernel's), or none.
 */
export function composeLine(
	target: Uint8Array,
	at: number,
	head: LineHead,
	source: Uint8Array,
	p: Parsed,
	fallbackTag?: Uint8Array,
): number {
	let position = head.copyTo(target, at)
	composed.tagOffset = position - at
	if (p.tagEnd > p.tagStart) {
		position = copyBytes(target, position, source, p.tagStart, p.tagEnd)
	} else if (fallbackTag !== undefined) {
		position = copyBytes(target, position, fallbackTag, 0, fallbackTag.length)
	}
	composed.tagBytes = position - at - composed.tagOffset
	composed.pidOffset = position - at
	composed.pidBytes = 0
	if (composed.tagBytes > 0) {
		if (p.pidEnd > p.pidStart) {
			target[position++] = OPEN
			composed.pidOffset = position - at
			composed.pidBytes = p.pidEnd - p.pidStart
			position = copyBytes(target, position, source, p.pidStart, p.pidEnd)
			target[position++] = CLOSE
		}
		target[position++] = COLON
		target[position++] = SPACE
	}
	composed.msgOffset = position - at
	const unsafe = copySafe(target, position, source, p.bodyStart, p.msgEnd)
	composed.clean = unsafe === p.msgEnd
	position += unsafe - p.bodyStart
	if (!composed.clean) position = copySanitised(target, position, source, unsafe, p.msgEnd)
	target[position++] = NEWLINE
	return position
}

/** Length of `Mmm dd hh:mm:ss`. */
const TIME_BYTES = 15
const NEWLINE = 0x0a
const SPACE = 0x20
const COLON = 0x3a
const OPEN = 0x5b
const CLOSE = 0x5d
