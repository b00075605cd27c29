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

/** How long the offset between the two clocks may be used before it is read again. */
const OFFSET_VALID_US = 500_000

/** The host's clocks. */
export function systemClock(): Clock {
	// hrtime() and performance.now() read the same clock from different origins: one read is a float, with no allocation.
	const [seconds, nanoseconds] = process.hrtime()
	const originUs = seconds * 1e6 + nanoseconds / 1e3 - performance.now() * 1e3
	let offsetUs = 0
	let offsetAtUs = Number.NEGATIVE_INFINITY
	return {
		monotonicUs: () => Math.trunc(originUs + performance.now() * 1e3),
		realtimeUs(monotonicUs) {
			if (monotonicUs - offsetAtUs > OFFSET_VALID_US) {
				offsetUs = (performance.timeOrigin + performance.now()) * 1e3 - (originUs + performance.now() * 1e3)
				// timeOrigin does not follow a clock that is set later; Date.now() does, to the millisecond.
				const drift = Date.now() * 1e3 - (performance.timeOrigin + performance.now()) * 1e3
				if (Math.abs(drift) > 2000) offsetUs += drift
				offsetAtUs = monotonicUs
			}
			return Math.trunc(monotonicUs + offsetUs)
		},
	}
}
