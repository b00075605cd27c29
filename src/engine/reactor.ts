/**
 * The loop of a shard: one epoll set, endpoints that do a bounded amount of work a turn.
 *
 * After work it looks again at the endpoints that were busy, for some tens of microseconds, before it sleeps: a client
 * that asks again at once then needs no wake-up, which costs more than the request. Between looks it yields the
 * processor, so that a client on the same one runs. When looking again did not pay lately, it does so less.
 *
 * Invariant: no endpoint is served more than `TURN` units before every other ready one had its turn.
 */
import { Epoll, EPOLLIN } from '../sys/epoll.ts'
import { yieldProcessor } from '../sys/threads.ts'

/** Something the kernel tells us is ready. */
export interface Endpoint {
	readonly fd: number
	/** Does up to `units` units of work; the number done, 0 when there was none, negative when it is over. */
	turn(units: number): number
	/** The descriptor failed or its other end is gone: it has been taken out of the set. */
	over(): void
}

/** Where endpoints and timers are put to be served. */
export interface Loop {
	add(endpoint: Endpoint): void
	remove(endpoint: Endpoint): void
	every(everyMs: number, run: () => void): void
	stop(): void
}

/** Units of work an endpoint may do before the others get their turn. */
const TURN = 32
/** Rounds without asking epoll whether somebody else is ready. */
const ROUNDS = 64
/** Empty rounds before sleeping, while looking again pays. */
const MAX_SPINS = 160
const MIN_SPINS = 4
/** Slowly: a client that was held up once by others on its processor must not cost all that follow a wake-up each. */
const DECAY_SHIFT = 4
const EXPLORE_EVERY = 16
/** With more busy endpoints than this there is always something to do. */
const CROWD = 8

export class Reactor implements Loop {
	readonly #epoll = new Epoll()
	readonly #endpoints: (Endpoint | undefined)[] = []
	readonly #keys = new Map<Endpoint, number>()
	readonly #free: number[] = []
	#hot: number[] = []
	#running = true
	#spins = MAX_SPINS
	#serves = 0
	/** Due times are milliseconds of performance.now(). */
	readonly #timers: { everyMs: number; dueMs: number; run: () => void }[] = []

	add(endpoint: Endpoint): void {
		const key = this.#free.pop() ?? this.#endpoints.length
		this.#endpoints[key] = endpoint
		this.#keys.set(endpoint, key)
		const added = this.#epoll.add(endpoint.fd, EPOLLIN, key)
		if (added < 0) throw new Error(`Cannot watch descriptor ${endpoint.fd}: errno ${-added}`)
	}

	remove(endpoint: Endpoint): void {
		const key = this.#keys.get(endpoint)
		if (key === undefined) return
		this.#keys.delete(endpoint)
		this.#endpoints[key] = undefined
		this.#free.push(key)
		this.#epoll.remove(endpoint.fd)
	}

	every(everyMs: number, run: () => void): void {
		this.#timers.push({ everyMs, dueMs: performance.now() + everyMs, run })
	}

	stop(): void {
		this.#running = false
	}

	/** Serves until `stop`. */
	run(): void {
		while (this.#running) {
			const ready = this.#epoll.wait(this.#hot.length > 0 ? 0 : this.#untilTimer())
			this.#collect(ready)
			this.#serveHot()
			this.#runTimers()
		}
		this.#epoll.close()
	}

	#untilTimer(): number {
		let due = Number.POSITIVE_INFINITY
		for (const timer of this.#timers) due = Math.min(due, timer.dueMs)
		return due === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(due - performance.now()))
	}

	#runTimers(): void {
		if (this.#timers.length === 0) return
		const now = performance.now()
		for (const timer of this.#timers) {
			if (timer.dueMs > now) continue
			timer.dueMs = now + timer.everyMs
			timer.run()
		}
	}

	/** The endpoints epoll named, and those that were busy at the end of the last rounds. */
	#collect(ready: number): void {
		const hot = this.#hot
		for (let i = 0; i < ready; i++) {
			const key = this.#epoll.key(i)
			if (!hot.includes(key)) hot.push(key)
		}
	}

	#serveHot(): void {
		const busy = new Set<number>()
		let idle = 0
		let paid = false
		const most = this.#hot.length > CROWD ? 1 : this.#spinsNow()
		for (let round = 0; round < ROUNDS; ) {
			if (this.#round(busy)) {
				paid ||= idle > 0
				idle = 0
				round++
			} else if (++idle > most) {
				this.#hot = []
				this.#spins = paid ? MAX_SPINS : Math.max(MIN_SPINS, this.#spins - (this.#spins >> DECAY_SHIFT))
				return
			} else yieldProcessor()
		}
		this.#hot = [...busy]
	}

	/** How often to look again in vain; now and then as often as ever, to notice when it pays again. */
	#spinsNow(): number {
		this.#serves = (this.#serves + 1) % EXPLORE_EVERY
		return this.#serves === 0 ? MAX_SPINS : this.#spins
	}

	/** One turn for each hot endpoint; whether any worked. */
	#round(busy: Set<number>): boolean {
		let worked = false
		for (const key of this.#hot) {
			const endpoint = this.#endpoints[key]
			if (endpoint === undefined) continue
			const units = endpoint.turn(TURN)
			if (units > 0) {
				worked = true
				busy.add(key)
			} else if (units < 0) {
				this.remove(endpoint)
				endpoint.over()
			}
		}
		return worked
	}
}
