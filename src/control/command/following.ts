/**
 * Follows a stream beyond the engine that began it: when that is killed or replaced, its successor is asked to go on.
 *
 * Invariant: an item is given once, and none is left out that the service still has: what was given is known by its place, a number that
 * counts up for each source, and a time, by which a source that began anew under the same name is told from the old one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answered, ClientFailure, LineStream } from '../client.ts'

export interface Item {
	readonly seq: number
	readonly realtimeUs: number
}

export interface Followed<T extends Item> {
	/** What is followed at first. */
	readonly stream: LineStream<T>
	/** The same once more, from then on (microseconds of CLOCK_REALTIME), whatever it had been cut to at first. */
	readonly again: (sinceRealtimeUs: number) => Promise<Answered<LineStream<T>>>
	/** Whose numbers count up together. */
	readonly sourceOf: (item: T) => string
	/** Its numbers never begin anew, and its times are estimates: the kernel's own log. Nobody's, when left out. */
	readonly isEndless?: (item: T) => boolean
	/** A stream that ends as it should: was that all there will be? */
	readonly isOver: () => Promise<boolean>
	/** Milliseconds between two tries. */
	readonly pauseMs?: number
}

/** Clocks of logs differ, and those that are merged are not quite in order: looked at once more from so long before. */
const OVERLAP_US = 60_000_000
const PAUSE_MS = 100
/** An engine that is killed again and again is waited for as long. */
const PATIENCE_MS = 30_000

export class Following<T extends Item> implements AsyncIterable<readonly T[]> {
	/** Why it ended; null when it was over. */
	failure: ClientFailure['failure'] | null = null
	readonly #followed: Followed<T>
	readonly #startedUs = Date.now() * 1000
	/** The last of each source that was given. */
	readonly #given = new Map<string, Item>()

	constructor(followed: Followed<T>) {
		this.#followed = followed
	}

	async *[Symbol.asyncIterator](): AsyncIterator<readonly T[]> {
		let { stream } = this.#followed
		let before: ReadonlyMap<string, Item> | undefined
		for (;;) {
			for await (const batch of stream) {
				const fresh = before === undefined ? batch : batch.filter(item => this.#isNew(item, before))
				for (const item of fresh) this.#given.set(this.#followed.sourceOf(item), item)
				if (fresh.length > 0) yield fresh
			}
			const broke = stream.failure
			if (broke === null ? await this.#followed.isOver() : broke.broken !== true) {
				this.failure = broke
				return
			}
			before = new Map(this.#given)
			const next = await this.#reopen()
			if ('failure' in next) {
				this.failure = broke ?? next.failure
				return
			}
			stream = next.value
		}
	}

	/** Not given before. What is older than all this and was not shown at first stays so. */
	#isNew(item: T, before: ReadonlyMap<string, Item> | undefined): boolean {
		const last = before?.get(this.#followed.sourceOf(item))
		if (last === undefined) return item.realtimeUs >= this.#startedUs
		if (item.seq > last.seq) return true
		return item.realtimeUs > last.realtimeUs && this.#followed.isEndless?.(item) !== true
	}

	/** The next engine's stream; who is there and breaks off is asked again. */
	async #reopen(): Promise<Answered<LineStream<T>>> {
		const newest = Math.max(this.#startedUs, ...[...this.#given.values()].map(({ realtimeUs }) => realtimeUs))
		for (const until = Date.now() + PATIENCE_MS; ; await sleep(this.#followed.pauseMs ?? PAUSE_MS)) {
			const answer = await this.#followed.again(newest - OVERLAP_US)
			if (!('failure' in answer) || answer.failure.broken !== true || Date.now() > until) return answer
		}
	}
}
