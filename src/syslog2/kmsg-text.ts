/**
 * The kernel log of one POG as text, the way syslog(2) gives it: sizes, and rendering from any byte of any record.
 * Source: find_first_fitting_seq, syslog_print of kernel/printk/printk.c (v6.12).
 *
 * Invariant: `render` gives exactly the bytes that the sizes promised, as long as nothing is appended in between.
 */
import { KmsgLog } from '../pog/kmsg-log.ts'
import type { Pog } from '../pog/pog.ts'
import { StoredRecord } from '../pog/stored.ts'
import { PROC_KMSG_CAP_BYTES } from '../record/proc-kmsg.ts'

/** A stretch of the text: from a record, without its first bytes. */
export interface Stretch {
	/** Ring sequence number. */
	readonly seq: number
	readonly skipBytes: number
	readonly sizeBytes: number
}

/** The record rendered last, by whichever log of this thread: it is copied before the next one is. */
const LINE = new Uint8Array(PROC_KMSG_CAP_BYTES)

export class KmsgText {
	readonly pog: Pog
	readonly log: KmsgLog
	readonly #record = new StoredRecord()
	readonly #line = LINE

	constructor(pog: Pog) {
		this.pog = pog
		this.log = new KmsgLog(pog)
	}

	/** Bytes of one record. */
	recordBytes(seq: number): number {
		return this.#record.asProcKmsg(undefined, this.pog.ring, seq)
	}

	/** What READ gives: from the shared position on as many whole records as fit; of the first one a part when it does not. */
	unread(roomBytes: number): Stretch {
		const { log } = this
		const { headSeq } = this.pog.ring
		const { seq: first, partial } = log.shared
		let sizeBytes = 0
		let skip = partial
		for (let seq = first; seq < headSeq; seq = log.following(seq + 1)) {
			const rest = this.recordBytes(seq) - skip
			if (sizeBytes + rest > roomBytes) {
				if (sizeBytes === 0) sizeBytes = roomBytes
				break
			}
			sizeBytes += rest
			skip = 0
		}
		return { seq: first, skipBytes: partial, sizeBytes }
	}

	/** Where the shared position is after `bytes` of `unread` were taken, and how many of those make whole records. */
	after({ seq, skipBytes }: Stretch, bytes: number): { seq: number; partial: number; wholeBytes: number } {
		const { headSeq } = this.pog.ring
		let at = seq
		let partial = skipBytes
		let left = bytes
		while (at < headSeq) {
			const rest = this.recordBytes(at) - partial
			if (rest > left) break
			left -= rest
			partial = 0
			at = this.log.following(at + 1)
		}
		return { seq: at, partial, wholeBytes: bytes - left }
	}

	/** What READ_ALL gives: the last whole records since CLEAR that fit, oldest first. */
	last(roomBytes: number): Stretch {
		const { log } = this
		const oldest = log.clearSeq
		let first = this.pog.ring.headSeq
		let sizeBytes = 0
		for (let seq = log.preceding(first, oldest); seq >= 0; seq = log.preceding(seq, oldest)) {
			const bytes = this.recordBytes(seq)
			if (sizeBytes + bytes > roomBytes) break
			sizeBytes += bytes
			first = seq
		}
		return { seq: first, skipBytes: 0, sizeBytes }
	}

	/** Bytes that READ would give in all. */
	get unreadBytes(): number {
		const { log } = this
		const { headSeq } = this.pog.ring
		const { seq: first, partial } = log.shared
		let sizeBytes = -partial
		for (let seq = first; seq < headSeq; seq = log.following(seq + 1)) sizeBytes += this.recordBytes(seq)
		return Math.max(0, sizeBytes)
	}

	/**
	 * Renders a stretch into `target` piece by piece; `give` gets the bytes that lie at its start and answers how many it
	 * took. Ends early when it took less. `target` has room for two records at least. The bytes taken in all.
	 */
	render({ seq, skipBytes, sizeBytes }: Stretch, target: Uint8Array, give: (bytes: number) => number): number {
		const { ring } = this.pog
		let at = seq
		let skip = skipBytes
		let left = sizeBytes
		let taken = 0
		while (left > 0) {
			let filled = 0
			while (left > 0 && filled + PROC_KMSG_CAP_BYTES <= target.length) {
				const line = this.#render(at)
				const bytes = Math.min(line - skip, left)
				target.set(this.#line.subarray(skip, skip + bytes), filled)
				filled += bytes
				left -= bytes
				skip = 0
				at = this.log.following(at + 1)
				if (at >= ring.headSeq) break
			}
			const took = give(filled)
			taken += Math.max(0, took)
			if (took < filled || at >= ring.headSeq) break
		}
		return taken
	}

	#render(seq: number): number {
		return this.#record.asProcKmsg(this.#line, this.pog.ring, seq)
	}
}
