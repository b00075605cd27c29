/**
 * Records of one or all logs as a stream: filtered, the last N first, then followed.
 *
 * Several logs are merged by time. While following, new records are looked for a few times a second; a log that was
 * overrun meanwhile says how many records were lost. Invariant: of what is followed, one record a source is held, and none is
 * given before an earlier one of another log, as long as clocks do not jump.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { RecordFilter } from '../control/service.ts'
import type { RecordInfo } from '../pog/info.ts'
import { passes } from './record-reader.ts'

/** A log that gives its records one by one. */
export interface RecordSource {
	readonly pog: string
	/** Records it lost since the last look at this figure; set back by the stream. */
	lost: number
	next(): RecordInfo | undefined
	/** Nothing will be added any more: its POG was removed. Never, when left out. */
	over?(): boolean
	close(): void
}

/** A message becomes a record so long after it was sent, where many are sent (`reactor.ts`), and has the time at which it was sent. */
const TAKEN_WITHIN_MS = 10
const POLL_MS = 50
/** Records of one turn of the event loop, at most. */
const BATCH = 4096
const US_PER_MS = 1000

/**
 * `more`: sources that came into being since it was asked last (followed as well). Without it the stream ends with the last of its
 * sources.
 */
export async function* streamRecords(
	sources: RecordSource[],
	filter: RecordFilter,
	signal: AbortSignal,
	more?: () => RecordSource[],
): AsyncGenerator<RecordInfo> {
	const merged = new Merged(filter, more === undefined && sources.length === 1)
	try {
		yield* lastOf(sources, filter)
		while (filter.follow === true && !signal.aborted && !isPast(filter)) {
			sources.push(...(more?.() ?? []))
			// Asked before the last records are read, or those of its last moment would be missed.
			const over = sources.filter(source => source.over?.() === true)
			const batch = merged.take(sources)
			yield* batch
			if (batch.length > 0 || merged.behind) {
				// A log that is written to without pause must not keep everybody else waiting.
				await nextTurn()
				continue
			}
			for (const source of over) if (!merged.holds(source)) sources.splice(sources.indexOf(source), 1)[0]?.close()
			if (sources.length === 0 && more === undefined) return
			await sleep(POLL_MS, undefined, { signal }).catch(() => {})
		}
	} finally {
		for (const source of sources) source.close()
	}
}

function isPast({ untilRealtimeUs }: RecordFilter): boolean {
	return untilRealtimeUs !== undefined && Date.now() * US_PER_MS > untilRealtimeUs + POLL_MS * US_PER_MS
}

function lastOf(sources: readonly RecordSource[], filter: RecordFilter): RecordInfo[] {
	const found: RecordInfo[] = []
	for (const source of sources) {
		const own: RecordInfo[] = []
		for (let record = source.next(); record !== undefined; record = source.next()) {
			if (passes(filter, record)) own.push(record)
			// No more than what can be among the last ones is kept.
			if (filter.last !== undefined && own.length >= 2 * filter.last + BATCH) own.splice(0, own.length - filter.last)
		}
		source.lost = 0
		for (const record of lastN(own, filter.last)) found.push(record)
	}
	if (sources.length > 1) found.sort((a, b) => a.realtimeUs - b.realtimeUs)
	return lastN(found, filter.last)
}

function lastN(records: RecordInfo[], n: number | undefined): RecordInfo[] {
	return n === undefined || n >= records.length ? records : records.slice(records.length - n)
}

interface Head {
	readonly record: RecordInfo
	/** The line about those lost before it. */
	readonly loss: RecordInfo | undefined
}

/** The next record of each source, and of these the earliest first. */
class Merged {
	readonly #heads = new Map<RecordSource, Head>()
	readonly #filter: RecordFilter
	/** One source that stays one: nothing earlier can come from another. */
	readonly #alone: boolean
	/** There is more to read at once. */
	behind = false

	constructor(filter: RecordFilter, alone: boolean) {
		this.#filter = filter
		this.#alone = alone
	}

	holds(source: RecordSource): boolean {
		return this.#heads.has(source)
	}

	/** What can be given now. A record made after the look around began waits for the next one: another log may have an earlier one. */
	take(sources: readonly RecordSource[]): RecordInfo[] {
		const cutoffUs = this.#alone ? Number.POSITIVE_INFINITY : (Date.now() - TAKEN_WITHIN_MS) * US_PER_MS
		const batch: RecordInfo[] = []
		this.behind = false
		for (const source of sources) if (!this.#heads.has(source)) this.#read(source)
		while (batch.length < BATCH) {
			const source = this.#earliest()
			const head = source && this.#heads.get(source)
			if (source === undefined || head === undefined || !isDue(head.record, cutoffUs)) break
			if (head.loss !== undefined) batch.push(head.loss)
			if (passes(this.#filter, head.record)) batch.push(head.record)
			this.#read(source)
		}
		return batch
	}

	#earliest(): RecordSource | undefined {
		let [earliest, atUs]: [RecordSource | undefined, number] = [undefined, Number.POSITIVE_INFINITY]
		for (const [source, { record }] of this.#heads) {
			if (record.realtimeUs >= atUs) continue
			earliest = source
			atUs = record.realtimeUs
		}
		return earliest
	}

	/** Skips what does not pass here too, or every record would be compared with all other logs. */
	#read(source: RecordSource): void {
		this.#heads.delete(source)
		for (let skipped = 0; skipped < BATCH; skipped++) {
			const record = source.next()
			if (record === undefined) return
			const loss = source.lost > 0 ? lossRecord(source, record) : undefined
			if (loss === undefined && !passes(this.#filter, record)) continue
			this.#heads.set(source, { record, loss })
			return
		}
		this.behind = true
	}
}

/** A time that is still to come is of a clock that runs ahead (the kernel's log has its own): waiting would not help. */
function isDue({ realtimeUs }: RecordInfo, cutoffUs: number): boolean {
	return realtimeUs <= cutoffUs || realtimeUs > (Date.now() + 1) * US_PER_MS
}

/** The line in place of records that were overwritten before this stream read them. */
function lossRecord(source: RecordSource, before: RecordInfo): RecordInfo {
	const text = `${source.lost} records lost: overwritten before they were read`
	source.lost = 0
	return { ...before, facility: 5, severity: 4, origin: 'pogs', tag: 'pogs', procid: '', pid: 0, uid: 0, text }
}
