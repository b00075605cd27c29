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
		const found = low - 1
		return found >= ring.tailSeq && isKmsg(ring, found) ? found : this.following(low)
	}

	/** The first kmsg record at or after a ring sequence number; the head when there is none. */
	following(seq: number): number {
		const ring = this.#pog.ring
		let at = Math.max(seq, ring.tailSeq)
		while (at < ring.headSeq && !isKmsg(ring, at)) at++
		return at
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
		floats[FIELD.syslogSeq] = seq
		floats[FIELD.syslogPartial] = partial
	}
}

function isKmsg(ring: Ring, seq: number): boolean {
	return ((ring.words[ring.slot(seq) + DESC.kind] ?? 0) & KMSG_MASK) !== 0
}
