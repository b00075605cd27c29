/**
 * The rate limit of a POG: a bucket of tokens, one a record, refilled evenly. Invariant: over any time of T seconds at
 * most `burst + T * perSecond` records pass.
 */
export interface Rate {
	readonly perSecond: number
	/** Records that may come at once. */
	readonly burst: number
}

export class RateLimit {
	readonly rate: Rate
	#tokens: number
	#filledUs = Number.NEGATIVE_INFINITY
	/** Records refused since the owner was told last. */
	refused = 0

	constructor(rate: Rate) {
		this.rate = rate
		this.#tokens = rate.burst
	}

	/** Whether a record at this time (CLOCK_MONOTONIC) passes. */
	admits(monotonicUs: number): boolean {
		const { perSecond, burst } = this.rate
		const elapsedUs = Math.max(0, monotonicUs - this.#filledUs)
		this.#tokens = Math.min(burst, this.#tokens + (elapsedUs / 1e6) * perSecond)
		this.#filledUs = monotonicUs
		if (this.#tokens < 1) {
			this.refused++
			return false
		}
		this.#tokens--
		return true
	}
}
