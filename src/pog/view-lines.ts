/**
 * The lines of a view whose rule says `;RFC5424`, made from the stored records when they are read.
 *
 * Lines of the default format are stored as they are shown; these have the same parts in another order.
 */
import { newParsed } from '../record/parsed.ts'
import { Rfc5424Head, type Rfc5424Parts, renderRfc5424, sizeRfc5424 } from '../record/rfc5424.ts'
import { EXTRA, extraLength } from '../ring/extra.ts'
import { FLAG } from '../ring/layout.ts'
import type { Ring } from '../ring/ring.ts'
import { StoredRecord } from './stored.ts'

export class Rfc5424Lines {
	readonly #head: Rfc5424Head
	readonly #record = new StoredRecord()
	readonly #parts: Rfc5424Parts = newParsed()

	constructor(hostname: string) {
		this.#head = new Rfc5424Head(hostname)
	}

	/** Bytes of a record's line. */
	size(ring: Ring, seq: number): number {
		const r = this.#read(ring, seq)
		return (r.flags & FLAG.raw) !== 0 ? r.lineEnd - r.lineStart : sizeRfc5424(this.#head, ring.text, this.#parts)
	}

	/** A record's line. */
	render(ring: Ring, seq: number): Uint8Array {
		const r = this.#read(ring, seq)
		if ((r.flags & FLAG.raw) !== 0) return ring.text.subarray(r.lineStart, r.lineEnd)
		const line = new Uint8Array(sizeRfc5424(this.#head, ring.text, this.#parts))
		this.#head.update(r.realtimeUs)
		renderRfc5424(line, 0, this.#head, ring.text, this.#parts)
		return line
	}

	#read(ring: Ring, seq: number): StoredRecord {
		const r = this.#record.read(ring, seq, false)
		const parts = this.#parts
		parts.tagStart = r.tagStart
		parts.tagEnd = r.tagEnd
		parts.pidStart = r.procidStart
		parts.pidEnd = r.procidEnd
		parts.bodyStart = r.bodyStart
		parts.msgEnd = r.bodyEnd
		const msgid = r.extra(ring, EXTRA.msgid)
		parts.msgidStart = Math.max(0, msgid)
		parts.msgidEnd = msgid < 0 ? 0 : msgid + extraLength(ring.text, msgid)
		const sd = r.extra(ring, EXTRA.sd)
		parts.sdStart = Math.max(0, sd)
		parts.sdEnd = sd < 0 ? 0 : sd + extraLength(ring.text, sd)
		return r
	}
}
