/**
 * The records that /dev/kmsg, /proc/kmsg and syslog(2) show, by their own gapless sequence numbers.
 * Source: kernel/printk/printk.c (v6.12).
 *
 * Three positions, as in the kernel: each open of /dev/kmsg has its own; /proc/kmsg and syslog(2) READ share one, kept
 * in the ring's header; the clear point is there too. Sequence numbers of kmsg records grow with ring sequence numbers,
 * so one finds the other by bisection.
 */
import { DESC, FIELD, FLAG } from '../ring/layout.ts'
import type { Ring } from '../ring/ring.ts'
import type { Pog } from './pog.ts'

const KMSG_MASK = FLAG.kmsg << 24
/** How many records are looked at one by one before bisecting. */
const NEAR_RECORDS = 16

export class KmsgLog {
	readonly #pog: Pog

	constructor(pog: Pog) {
		this.#pog = pog
	}

	/** kmsg sequence number of the oldest retained record (the next one's when there is none). */
	get oldest(): number {
		return this.sequenceAt(this.#pog.ring.tailSeq)
	}

	/** The kmsg sequence number the next record gets. */
	get next(): number {
		return this.#pog.ring.floats[FIELD.nextKmsgSeq] ?? 0
	}

	/** The kmsg sequence number of the first record after the last CLEAR. */
	get clearPoint(): number {
		return this.sequenceAt(this.#pog.ring.floats[FIELD.clearSeq] ?? 0)
	}

	/** The ring sequence number that CLEAR left off at: records before it are not shown by READ_ALL. */
	get clearSeq(): number {
		return Math.max(this.#pog.ring.tailSeq, this.#pog.ring.floats[FIELD.clearSeq] ?? 0)
	}

	set clearSeq(seq: number) {
		this.#pog.ring.floats[FIELD.clearSeq] = seq
	}

	/** The last kmsg record before a ring sequence number that is not older than `oldest`; -1 when there is none. */
	preceding(seq: number, oldest: number): number {
		const ring = this.#pog.ring
		let at = Math.min(seq, ring.headSeq) - 1
		while (at >= oldest && !isKmsg(ring, at)) at--
		return at >= oldest ? at : -1
	}

	/** kmsg sequence number of the first kmsg record at or after a ring sequence number. */
	sequenceAt(seq: number): number {
		const ring = this.#pog.ring
		const first = Math.max(seq, ring.tailSeq)
		return first >= ring.headSeq ? this.next : ring.kmsgSeq(first)
	}

	/** The ring sequence number of a kmsg record, or of the oldest retained one after it; the head when there is none. */
	find(kmsgSeq: number): number {
		const ring = this.#pog.ring
		if (kmsgSeq >= this.next) return ring.headSeq
		let low = ring.tailSeq
		let high = ring.headSeq
		// The first ring record whose number (its own, or of the next kmsg record) is above `kmsgSeq` is behind the one sought.
		while (low < high) {
			const middle = low + Math.floor((high - low) / 2)
			if (ring.kmsgSeq(middle) > kmsgSeq) high = middle
			else low = middle + 1
		}
		// What is behind has a greater number, so this is the last record with its own: the kmsg record itself.
		const found = low - 1
		return found >= ring.tailSeq ? found : this.find(this.oldest)
	}

	/** The first kmsg record at or after a ring sequence number; the head when there is none. */
	following(seq: number): number {
		const ring = this.#pog.ring
		const first = Math.max(seq, ring.tailSeq)
		const near = Math.min(first + NEAR_RECORDS, ring.headSeq)
		for (let at = first; at < near; at++) if (isKmsg(ring, at)) return at
		// Its number is known here already, and there may be very many others before it.
		return near >= ring.headSeq ? ring.headSeq : this.find(ring.kmsgSeq(near))
	}

	/** The shared position: the next record /proc/kmsg and syslog(2) READ give, and how much of it was read already. */
	get shared(): { seq: number; partial: number } {
		const ring = this.#pog.ring
		const stored = ring.floats[FIELD.syslogSeq] ?? 0
		const seq = this.following(stored)
		return { seq, partial: seq === stored ? (ring.floats[FIELD.syslogPartial] ?? 0) : 0 }
	}

	setShared(seq: number, partial: number): void {
		const { floats } = this.#pog.ring
		// Killed between two stores, a reader gets a record again, never the middle of another one.
		if (floats[FIELD.syslogSeq] !== seq) floats[FIELD.syslogPartial] = 0
		floats[FIELD.syslogSeq] = seq
		floats[FIELD.syslogPartial] = partial
	}
}

function isKmsg(ring: Ring, seq: number): boolean {
	return ((ring.words[ring.slot(seq) + DESC.kind] ?? 0) & KMSG_MASK) !== 0
}
