/**
 * A shard's loop on Node's event loop, for a transport that needs that one: endpoints are served as in `reactor.ts`, but
 * the thread that waits in epoll is one of the pool's, so that this one stays free for the transport's callbacks.
 *
 * Invariant: between two waits every ready endpoint has had its turn; nothing is served while a wait is under way.
 */
import { Epoll, EPOLLIN } from '../sys/epoll.ts'
import type { Endpoint, Loop } from './reactor.ts'

/** Units of work an endpoint may do before the others get their turn. */
const TURN = 32
/** Turns for everybody before the event loop has its own. */
const ROUNDS = 16
/** A wait ends then, so that the process can. */
const MAX_WAIT_MS = 1000

export class EventLoop implements Loop {
	readonly #epoll = new Epoll()
	readonly #endpoints = new Map<number, Endpoint>()
	readonly #keys = new Map<Endpoint, number>()
	readonly #timers: NodeJS.Timeout[] = []
	#nextKey = 0
	#running = true

	add(endpoint: Endpoint): void {
		const key = this.#nextKey++
		this.#endpoints.set(key, endpoint)
		this.#keys.set(endpoint, key)
		const added = this.#epoll.add(endpoint.fd, EPOLLIN, key)
		if (added < 0) throw new Error(`Cannot watch descriptor ${endpoint.fd}: errno ${-added}`)
	}

	remove(endpoint: Endpoint): void {
		const key = this.#keys.get(endpoint)
		if (key === undefined) return
		this.#keys.delete(endpoint)
		this.#endpoints.delete(key)
		this.#epoll.remove(endpoint.fd)
	}

	/** Where it has work that the kernel does not know of, it is done at once. */
	nudge(endpoint: Endpoint): void {
		while (endpoint.turn(TURN) > 0) {}
	}

	every(everyMs: number, run: () => void): void {
		this.#timers.push(setInterval(run, everyMs))
	}

	stop(): void {
		this.#running = false
	}

	/** Serves until `stop`. */
	async run(): Promise<void> {
		while (this.#running) {
			let ready = await this.#epoll.waitBeside(MAX_WAIT_MS)
			for (let round = 0; ready > 0 && this.#running && round < ROUNDS; round++) {
				this.#serve(ready)
				ready = this.#running ? this.#epoll.wait(0) : 0
			}
		}
		for (const timer of this.#timers) clearInterval(timer)
		this.#epoll.close()
	}

	#serve(ready: number): void {
		const keys: number[] = []
		for (let i = 0; i < ready; i++) keys.push(this.#epoll.key(i))
		for (const key of keys) {
			const endpoint = this.#endpoints.get(key)
			if (endpoint === undefined || endpoint.turn(TURN) >= 0) continue
			this.remove(endpoint)
			endpoint.over()
		}
	}
}
