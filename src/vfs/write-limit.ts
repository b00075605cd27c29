/**
 * The rate limit of one open /dev/kmsg: 10 writes in 5 seconds, as the kernel's `printk.devkmsg=ratelimit`.
 * Source: lib/ratelimit.c and DEFINE_RATELIMIT_STATE of kernel/printk/printk.c (v6.12).
 */
const INTERVAL_US = 5_000_000
const BURST = 10

export class WriteLimit {
	beganUs = Number.NEGATIVE_INFINITY
	#admitted = 0
	/** Writes refused since the file was opened. */
	suppressed = 0

	/** All but `beganUs` as one number, to be kept. */
	get state(): number {
		return this.suppressed * (BURST + 1) + this.#admitted
	}

	restore(beganUs: number, state: number): void {
		this.beganUs = state === 0 ? Number.NEGATIVE_INFINITY : beganUs
		this.#admitted = state % (BURST + 1)
		this.suppressed = Math.floor(state / (BURST + 1))
	}

	/** Whether a write at this time passes. */
	admits(monotonicUs: number): boolean {
		if (monotonicUs - this.beganUs > INTERVAL_US) {
			this.beganUs = monotonicUs
			this.#admitted = 0
		}
		if (this.#admitted < BURST) {
			this.#admitted++
			return true
		}
		this.suppressed++
		return false
	}
}
