/**
 * Reads records of a POG from the main thread, by mapping the same file the shard writes: following a log costs the
 * shard no turn.
 *
 * Invariant: what is answered was whole when it was copied: a record is read, and then believed only if the tail has not
 * passed it meanwhile.
 */
import type { RecordFilter } from '../control/service.ts'
import { ORIGINS, type RecordInfo } from '../pog/info.ts'
import { StoredRecord } from '../pog/stored.ts'
import { textOf } from '../record/decode.ts'
import { FIELD, FLAG, WORD } from '../ring/layout.ts'
import { isLost, type Ring } from '../ring/ring.ts'
import { closeRing, openRingForReading } from './ring-file.ts'

export class RecordReader {
	readonly pog: string
	readonly #path: string
	#ring: Ring | undefined
	/** The record to read next. */
	#seq = 0
	/** Records that were overwritten before they were read. */
	lost = 0
	readonly #record = new StoredRecord()
	/** Whether its POG was removed. */
	readonly over: () => boolean

	constructor(pog: string, ringPath: string, over: () => boolean = () => false) {
		this.pog = pog
		this.over = over
		this.#path = ringPath
		this.#ring = openRingForReading(ringPath)
		this.#seq = this.#ring?.tailSeq ?? 0
	}

	/** The next record, or undefined when there is none now. */
	next(): RecordInfo | undefined {
		for (;;) {
			const ring = this.#current()
			if (ring === undefined) return undefined
			const tail = ring.floats[FIELD.tailSeq] ?? 0
			if (this.#seq < tail) {
				this.lost += tail - this.#seq
				this.#seq = tail
			}
			if (this.#seq >= (ring.floats[FIELD.headSeq] ?? 0)) return undefined
			if (isLost(ring, this.#seq)) {
				this.#seq++
				this.lost++
				continue
			}
			const info = this.#read(ring, this.#seq)
			if ((ring.floats[FIELD.tailSeq] ?? 0) > this.#seq) continue
			this.#seq++
			return info
		}
	}

	/** Goes on with the newest record there is. */
	skipToLast(): void {
		const head = this.#current()?.floats[FIELD.headSeq] ?? 0
		this.#seq = Math.max(this.#seq, head - 1)
	}

	/** The ring, opened anew when it was resized. */
	#current(): Ring | undefined {
		const ring = this.#ring
		if (ring === undefined || ring.words[WORD.retired] === 0) return ring
		const fresh = openRingForReading(this.#path)
		if (fresh === undefined) return undefined
		closeRing(ring)
		this.#ring = fresh
		return fresh
	}

	#read(ring: Ring, seq: number): RecordInfo {
		const r = this.#record.read(ring, seq, false)
		const raw = (r.flags & FLAG.raw) !== 0
		return {
			pog: this.pog,
			seq,
			facility: r.facility,
			severity: r.severity,
			origin: ORIGINS[r.origin] ?? 'pogs',
			realtimeUs: r.realtimeUs,
			monotonicUs: r.monotonicUs,
			tag: textOf(ring.text, r.tagStart, r.tagEnd),
			procid: textOf(ring.text, r.procidStart, r.procidEnd),
			pid: r.pid,
			uid: r.uid,
			text: textOf(ring.text, r.textStart, r.textEnd).replace(raw ? /\n$/ : /$^/, ''),
		}
	}

	close(): void {
		if (this.#ring !== undefined) closeRing(this.#ring)
		this.#ring = undefined
	}
}

/** Whether a filter lets a record pass. */
export function passes(filter: RecordFilter, record: RecordInfo): boolean {
	if (filter.severity !== undefined && record.severity > filter.severity) return false
	if (filter.sinceRealtimeUs !== undefined && record.realtimeUs < filter.sinceRealtimeUs) return false
	if (filter.untilRealtimeUs !== undefined && record.realtimeUs > filter.untilRealtimeUs) return false
	if (filter.facilities !== undefined && !filter.facilities.includes(record.facility)) return false
	return filter.text === undefined || contains(record.text, filter.text) || contains(record.tag, filter.text)
}

/** Case counts only where the wanted text has capitals, as in journalctl --grep. Not a pattern: nobody can make one that takes for ever. */
function contains(text: string, wanted: string): boolean {
	return text.includes(wanted) || text.toLowerCase().includes(wanted)
}
