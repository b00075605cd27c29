/**
 * What a parser found in the bytes of one message: numbers and offsets, no copies.
 *
 * One object is made once and filled again for every message, so that the hot path allocates nothing. All offsets index
 * the bytes that were parsed; an empty range (start equal to end) means the message has no such part. Invariant after any
 * parse: `start <= end` for every range, and all of them lie within the input.
 */

/** `bare`: nothing but text (and perhaps a PRI). */
export type Dialect = 'bsd' | 'rfc5424' | 'bare'

export interface Parsed {
	/** 0 to 23 from the socket, 0 to 255 from a write to /dev/kmsg. */
	facility: number
	/** 0 to 7. */
	severity: number
	/** The message began with a valid `<PRI>`; otherwise the defaults apply and the text is kept whole. */
	priValid: boolean
	dialect: Dialect
	tagStart: number
	tagEnd: number
	/** The process id as the sender claims it: digits in the BSD dialect, any printable ASCII in RFC 5424. */
	pidStart: number
	pidEnd: number
	msgidStart: number
	msgidEnd: number
	/** Structured data with its brackets. */
	sdStart: number
	sdEnd: number
	msgStart: number
	msgEnd: number
	/**
	 * Where the text behind the tag begins. A datagram's message has no tag in it (`bodyStart` is `msgStart`); the text
	 * of a kernel log record does, when it begins with one.
	 */
	bodyStart: number
	/** The sender's own timestamp. */
	timeStart: number
	timeEnd: number
	hostStart: number
	hostEnd: number
}

/** An empty one, to be filled by `parseDatagram` or `parseKmsgWrite`. */
export function newParsed(): Parsed {
	return {
		facility: 1,
		severity: 5,
		priValid: false,
		dialect: 'bare',
		tagStart: 0,
		tagEnd: 0,
		pidStart: 0,
		pidEnd: 0,
		msgidStart: 0,
		msgidEnd: 0,
		sdStart: 0,
		sdEnd: 0,
		msgStart: 0,
		msgEnd: 0,
		bodyStart: 0,
		timeStart: 0,
		timeEnd: 0,
		hostStart: 0,
		hostEnd: 0,
	}
}

/** Every range empty, the message being `start` to `end`: what a parser starts from. */
export function resetParsed(out: Parsed, start: number, end: number): void {
	out.dialect = 'bare'
	out.tagStart = out.tagEnd = start
	out.pidStart = out.pidEnd = start
	out.msgidStart = out.msgidEnd = start
	out.sdStart = out.sdEnd = start
	out.timeStart = out.timeEnd = start
	out.hostStart = out.hostEnd = start
	out.msgStart = out.bodyStart = start
	out.msgEnd = end
}
