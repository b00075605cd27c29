/**
 * The two clocks a record carries, in integer microseconds.
 *
 * Monotonic is the host's CLOCK_MONOTONIC since boot, which is what /dev/kmsg's readers turn into wall time; Node's
 * `process.hrtime` reads exactly that clock.
 */
export interface Clock {
	/** Microseconds of CLOCK_MONOTONIC. */
	monotonicUs(): number
	/** Microseconds of CLOCK_REALTIME at a reading of `monotonicUs`. */
	realtimeUs(monotonicUs: number): number
}

/** How long the offset between the two clocks may be used before it is looked at again. */
const OFFSET_VALID_US = 500_000
/** A clock that was set differs by more than what reading it to the millisecond does. */
const CLOCK_STEP_US = 2000

/** The host's clocks. */
export function systemClock(): Clock {
	// hrtime() and performance.now() read the same clock from different origins: one read is a float, with no allocation.
	const [seconds, nanoseconds] = process.hrtime()
	const originUs = seconds * 1e6 + nanoseconds / 1e3 - performance.now() * 1e3
	const monotonicUs = (): number => Math.trunc(originUs + performance.now() * 1e3)
	// To the microsecond; it does not follow a clock that is set later. Date.now() does, to the millisecond.
	let offsetUs = performance.timeOrigin * 1e3 - originUs
	let offsetAtUs = Number.NEGATIVE_INFINITY
	return {
		monotonicUs,
		realtimeUs(readUs) {
			if (readUs - offsetAtUs > OFFSET_VALID_US) {
				const seenUs = Date.now() * 1e3 + 500 - monotonicUs()
				// Only then: records a moment apart would go back and forth by the millisecond.
				if (Math.abs(seenUs - offsetUs) > CLOCK_STEP_US) offsetUs = seenUs
				offsetAtUs = readUs
			}
			return Math.trunc(readUs + offsetUs)
		},
	}
}
