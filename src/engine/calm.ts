/**
 * Work that nobody waits for, put off until no container is being started or ended: its threads would compete for the processors
 * with the runtime, and its unmounting with the runtime's own.
 *
 * Invariant: what is put off is done in the order in which it came, at the latest `mostMs` after it came, however many containers
 * come and go.
 */

/** A runtime's own work after its container ended, and the pause between two commands of an engine. */
const QUIET_MS = 50
const MOST_MS = 1000

interface PutOff {
	readonly dueMs: number
	readonly run: () => void
}

export class Calm {
	readonly #quietMs: number
	readonly #mostMs: number
	readonly #nowMs: () => number
	readonly #waiting: PutOff[] = []
	#stirredAtMs = Number.NEGATIVE_INFINITY
	#timer: NodeJS.Timeout | undefined

	constructor(quietMs = QUIET_MS, mostMs = MOST_MS, nowMs: () => number = () => performance.now()) {
		this.#quietMs = quietMs
		this.#mostMs = mostMs
		this.#nowMs = nowMs
	}

	/** A container is being started or ended just now. */
	stir(): void {
		this.#stirredAtMs = this.#nowMs()
	}

	/** Resolves when it is calm. */
	come(): Promise<void> {
		return new Promise(resolve => {
			this.#waiting.push({ dueMs: this.#nowMs() + this.#mostMs, run: resolve })
			this.#arm()
		})
	}

	#arm(): void {
		const first = this.#waiting[0]
		if (this.#timer !== undefined || first === undefined) return
		const due = Math.min(first.dueMs, this.#stirredAtMs + this.#quietMs)
		this.#timer = setTimeout(() => this.#look(), Math.max(0, due - this.#nowMs())).unref()
	}

	#look(): void {
		this.#timer = undefined
		const now = this.#nowMs()
		const calm = now - this.#stirredAtMs >= this.#quietMs
		while (this.#waiting[0] !== undefined && (calm || this.#waiting[0].dueMs <= now)) this.#waiting.shift()?.run()
		this.#arm()
	}
}
