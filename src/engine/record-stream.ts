/**
 * Records of one or all logs as a stream: filtered, the last N first, then followed.
 *
 * Several logs are merged by time. While following, new records are looked for a few times a second; a log that was
 * overrun meanwhile says how many records were lost.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordFilter } from '../control/service.ts'
import type { RecordInfo } from '../pog/info.ts'
import { passes } from './record-reader.ts'

/** A log that gives its records one by one. */
export interface RecordSource {
	readonly pog: string
	/** Records it lost since the last look at this figure; set back by the stream. */
	lost: number
	next(): RecordInfo | undefined
	close(): void
}

const POLL_MS = 50
/** Records of one source before the others have their turn. */
const BATCH = 4096

/** `more`: sources that came into being since it was asked last (followed as well). */
export async function* streamRecords(
	sources: RecordSource[],
	filter: RecordFilter,
	signal: AbortSignal,
	more: () => RecordSource[] = () => [],
): AsyncGenerator<RecordInfo> {
	try {
		yield* lastOf(sources, filter)
		while (filter.follow === true && !signal.aborted) {
			sources.push(...more())
			const batch = drain(sources, filter)
			yield* batch
			if (batch.length === 0) await sleep(POLL_MS, undefined, { signal }).catch(() => {})
		}
	} finally {
		for (const source of sources) source.close()
	}
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
	if (sources.length > 1) found.sort(byTime)
	return lastN(found, filter.last)
}

function lastN(records: RecordInfo[], n: number | undefined): RecordInfo[] {
	return n === undefined || n >= records.length ? records : records.slice(records.length - n)
}

function drain(sources: readonly RecordSource[], filter: RecordFilter): RecordInfo[] {
	const batch: RecordInfo[] = []
	for (const source of sources) {
		for (let taken = 0; taken < BATCH; taken++) {
			const record = source.next()
			if (record === undefined) break
			if (source.lost > 0) batch.push(lossRecord(source, record))
			if (passes(filter, record)) batch.push(record)
		}
	}
	return sources.length > 1 ? batch.sort(byTime) : batch
}

function byTime(a: RecordInfo, b: RecordInfo): number {
	return a.realtimeUs - b.realtimeUs
}

/** The line in place of records that were overwritten before this stream read them. */
function lossRecord(source: RecordSource, before: RecordInfo): RecordInfo {
	const text = `${source.lost} records lost: overwritten before they were read`
	source.lost = 0
	return { ...before, facility: 5, severity: 4, origin: 'pogs', tag: 'pogs', procid: '', pid: 0, uid: 0, text }
}
