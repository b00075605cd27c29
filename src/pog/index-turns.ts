/**
 * Keeps the indexes of views near the head of their ring, so that whoever asks one never waits for hundreds of thousands of records
 * (in another format each takes a third of a microsecond).
 *
 * Invariant: an index is behind by some `RECORDS_PER_LOOK` records for each index there is, at most.
 */
import type { ViewIndex } from '../ring/view-index.ts'

const RECORDS_PER_LOOK = 16

export class IndexTurns {
	/** Those whose turn is to come. */
	#waiting: ViewIndex[] = []

	/** Called for every record: now and then one of the indexes looks at what it has not seen. */
	look(seq: number, indexes: () => Iterable<ViewIndex>): void {
		if (seq % RECORDS_PER_LOOK !== 0) return
		if (this.#waiting.length === 0) this.#waiting = [...indexes()]
		this.#waiting.pop()?.catchUp()
	}

	/** One of them is gone. */
	forget(): void {
		this.#waiting = []
	}
}
