/**
 * The bytes of a ring file: one header page, the descriptor ring, the text ring.
 *
 *     0            4096                     4096 + D*64                       + T
 *     +------------+------------------------+-------------------------------+
 *     | header     | descriptors, 64 B each | text, bytes back to back      |
 *     +------------+------------------------+-------------------------------+
 *                    slot = seq & (D-1)       offset = position & (T-1)
 *
 * Sequence numbers and text positions only grow; the powers of two D and T map them to places. The text is mapped twice
 * in a row, so that a record never has to be split. Little-endian, as the machines this runs on.
 *
 * Invariant: a record exists when tailSeq <= seq < headSeq, and every byte of it was written before headSeq said so;
 * tailSeq moved past a record before a byte of it was overwritten. So a writer killed at any instruction leaves a ring
 * that reads back whole.
 */

export const HEADER_BYTES = 4096
export const DESC_BYTES = 64
export const DESC_WORDS = DESC_BYTES / 4
/** One descriptor for so many bytes of text. */
const TEXT_BYTES_PER_DESC = 128

export const MIN_RING_BYTES = 64 * 1024
export const MAX_RING_BYTES = 64 * 1024 * 1024
export const DEFAULT_RING_BYTES = 256 * 1024

/** 'POGRING1' as two little-endian words. */
export const MAGIC_LOW = 0x52474f50
export const MAGIC_HIGH = 0x31474e49

/** Header fields that are 32-bit words, by word index. */
export const WORD = {
	magicLow: 0,
	magicHigh: 1,
	/** Not zero when a resized ring took this one's place: open the file again. */
	retired: 2,
	/** Written around the publishing stores, so that no compiler or processor moves them. */
	fence: 3,
} as const

/** Header fields that are 64-bit floats holding safe integers, by index in units of 8 bytes. */
export const FIELD = {
	textBytes: 2,
	descCount: 3,
	headSeq: 4,
	headPosition: 5,
	tailSeq: 6,
	/** Sequence number the next kmsg record gets: /dev/kmsg counts only its own. */
	nextKmsgSeq: 8,
	/** First ring sequence number after the last CLEAR (syslog(2) action 5; SEEK_DATA). */
	clearSeq: 9,
	/** The one reading position of /proc/kmsg and syslog(2) READ, and how much of that record was already read. */
	syslogSeq: 10,
	syslogPartial: 11,
	/** The `unique` of the last write request that was committed. */
	lastRequest: 12,
	/** Ledgers: one counter an origin, then one a drop reason, one a reason to deny a call. */
	accepted: 16,
	drops: 32,
	denied: 48,
} as const

/** 32-bit words of a descriptor. Times and position are 64-bit floats over two words. */
export const DESC = {
	seqLow: 0,
	/** facility | severity << 8 | origin << 16 | flags << 24 */
	kind: 1,
	/** One bit for each file view of the configuration. */
	routes: 2,
	/** Bytes of the rendered line, its newline included. */
	lineBytes: 3,
	position: 4,
	monotonicUs: 6,
	realtimeUs: 8,
	kmsgSeqLow: 10,
	pid: 11,
	uid: 12,
	/** Bytes behind the line that no view shows (see `extra.ts`). */
	extraBytes: 13,
	/** tagOffset | tagBytes << 8 | procidBytes << 16 */
	shape: 14,
	gid: 15,
} as const

/** Flags of a record. */
export const FLAG = {
	/** The line is somebody's own bytes (`echo x >> messages`): no head, no tag, maybe no newline. */
	raw: 1,
	/** Sanitising changed the message: its own bytes are in the extra part. */
	altered: 2,
	/** It was cut to the longest length a record may have. */
	truncated: 4,
	/** Shown by /dev/kmsg, /proc/kmsg and syslog(2). */
	kmsg: 16,
	/** Part of the view of all records: any but raw lines. */
	all: 32,
	/** The line's tag is not part of the message (`kernel` before a kernel record). */
	borrowedTag: 8,
} as const

/** Text bytes (a power of two) and descriptors for a wish in bytes, within the bounds. */
export function geometry(wishedBytes: number): { textBytes: number; descCount: number; fileBytes: number } {
	const wish = Math.min(Math.max(wishedBytes, MIN_RING_BYTES), MAX_RING_BYTES)
	const textBytes = 2 ** Math.ceil(Math.log2(wish))
	const descCount = textBytes / TEXT_BYTES_PER_DESC
	return { textBytes, descCount, fileBytes: HEADER_BYTES + descCount * DESC_BYTES + textBytes }
}
