/**
 * When an engine that died is started again: at once, unless it died soon again and again.
 *
 * Invariant: the wait is bounded, and there is no number of deaths after which nobody tries any more: what containers
 * wait for is only answered by an engine.
 */

/** An engine that served so long was not killed by what it found when it began. */
const SETTLED_MS = 1_000
/** The first deaths in a row cost nothing: a request that kills is found out by its second. */
const FREE_DEATHS = 5
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 30_000

export class Backoff {
	#deaths = 0

	/** Deaths in a row, none of which came after the engine had settled. */
	get deaths(): number {
		return this.#deaths
	}

	/** An engine ended that had served for `servedMs`: how long to wait before the next, in ms. */
	wait(servedMs: number): number {
		if (servedMs >= SETTLED_MS) this.#deaths = 0
		this.#deaths++
		const waits = this.#deaths - FREE_DEATHS
		return waits <= 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (waits - 1))
	}
}
