/**
 * The records of POGs and of the host, for those who may see them all: the host. They are read beside the shard that writes them.
 *
 * Invariant: a reader keeps nothing of a POG that is gone but until it has been told so.
 */
import type { Outcome, RecordFilter } from '../control/service.ts'
import type { RecordInfo } from '../pog/info.ts'
import { goesBy } from './events.ts'
import { HostLog, isHost } from './host-log.ts'
import type { PogTable, TableEntry } from './pog-table.ts'
import { RecordReader } from './record-reader.ts'
import { type RecordSource, streamRecords } from './record-stream.ts'
import { noEarlierLife, unknownPog } from './refusals.ts'

export class Logs {
	readonly #table: PogTable

	constructor(table: PogTable) {
		this.#table = table
	}

	/** Of one log, or of all that pass the filter in order; ends when `signal` aborts or, without `follow`, with what there is. */
	records(name: string | null, filter: RecordFilter, signal: AbortSignal): Outcome<AsyncIterable<RecordInfo>> {
		if (name !== null) {
			const entry = filter.previous === true ? this.#table.findPrevious(name) : this.#table.find(name)
			const source = isHost(name) ? new HostLog() : this.#reader(entry)
			if (source === undefined) return filter.previous === true ? noEarlierLife(name) : unknownPog(name)
			return { value: streamRecords([source], filter, signal) }
		}
		const wanted = filter.pogs
		const unknown = wanted?.find(each => !isHost(each) && this.#table.find(each) === undefined)
		if (unknown !== undefined) return unknownPog(unknown)
		const known = new Set<number>()
		const fresh = (): RecordSource[] => {
			const sources: RecordSource[] = []
			for (const entry of this.#table.entries) {
				if (known.has(entry.id) || (wanted !== undefined && !wanted.some(each => goesBy(entry, each)))) continue
				known.add(entry.id)
				const reader = this.#reader(entry)
				if (reader !== undefined) sources.push(reader)
			}
			return sources
		}
		const host = wanted === undefined || wanted.some(isHost) ? [new HostLog()] : []
		return { value: streamRecords([...host, ...fresh()], filter, signal, fresh) }
	}

	/** The last record of each. */
	newest(): RecordInfo[] {
		const sources: (HostLog | RecordReader)[] = [new HostLog()]
		for (const entry of this.#table.entries) {
			const reader = this.#reader(entry)
			if (reader !== undefined) sources.push(reader)
		}
		return sources.flatMap(source => {
			source.skipToLast()
			const record = source.next()
			source.close()
			return record ?? []
		})
	}

	#reader(entry: TableEntry | undefined): RecordReader | undefined {
		if (entry === undefined) return undefined
		return new RecordReader(entry.name, entry.store.ringPath, () => this.#table.byId(entry.id) !== entry)
	}
}
