/**
 * The time of a record: when its message was sent, as the kernel vouches for it, or else now. So logs can be told apart in time by when
 * something happened, not by whose turn came first.
 *
 * Invariant: the times of one log never go back on the monotonic clock.
 */
import type { Clock } from '../lib/clock.ts'

/** A message that is said to have waited longer: the clock was set meanwhile. */
const LONGEST_WAIT_US = 1_000_000

export class Stamps {
	readonly #clock: Clock
	/** The last record's time; what was sent before this engine took over has the time of that. */
	#lastUs: number

	constructor(clock: Clock) {
		this.#clock = clock
		this.#lastUs = clock.monotonicUs()
	}

	/** Stamps a record whose message was sent at `sentUs` (microseconds of CLOCK_REALTIME, 0: now). */
	stamp(record: { monotonicUs: number; realtimeUs: number }, sentUs: number): void {
		const nowUs = this.#clock.monotonicUs()
		const waitedUs = sentUs > 0 ? this.#clock.realtimeUs(nowUs) - sentUs : 0
		const isBelieved = waitedUs > 0 && waitedUs < LONGEST_WAIT_US
		this.#lastUs = isBelieved ? Math.max(this.#lastUs, nowUs - waitedUs) : nowUs
		record.monotonicUs = this.#lastUs
		record.realtimeUs = this.#clock.realtimeUs(this.#lastUs)
	}
}
