/**
 * When an engine that died is started again: at once, unless it died again and again sooner than it had served.
 *
 * Invariant: the wait is bounded, and there is no number of deaths after which nobody tries any more: what containers
 * wait for is only answered by an engine.
 */

/** An engine makes good for one death by so much service: the longest that is forgiven at once is a whole row of them. */
const FORGIVES_ONE_MS = 100
/** The first deaths in a row cost nothing: a request that kills is found out by its second. */
const FREE_DEATHS = 5
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 30_000

export class Backoff {
	#deaths = 0

	/** Deaths that were not made good for by serving. */
	get deaths(): number {
		return this.#deaths
	}

	/** An engine ended that had served for `servedMs`: how long to wait before the next, in ms. */
	wait(servedMs: number): number {
		this.#deaths = Math.max(0, this.#deaths - Math.floor(servedMs / FORGIVES_ONE_MS)) + 1
		const waits = this.#deaths - FREE_DEATHS
		return waits <= 0 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (waits - 1))
	}
}
