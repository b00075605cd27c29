/**
 * The journal of what happened to POGs: in memory, bounded, for `pogctl events`.
 *
 * Invariant: at most `capacity` events are kept, the oldest go first, and a reader that comes too late for some is told how many.
 */
import type { EventFields, EventFilter, EventKind, PogEvent } from '../control/events.ts'
import { MIN_PREFIX } from './pog-table.ts'

/** The POG an event is about. */
export interface EventSubject {
	readonly name: string
	readonly id: number
	readonly containerId: string
}

const CAPACITY = 1024

export class EventJournal {
	readonly #kept: PogEvent[] = []
	readonly #capacity: number
	readonly #nowMs: () => number
	#nextSeq = 0
	/** Wakes those who wait for the next event. */
	readonly #waiting = new Set<() => void>()

	constructor(capacity = CAPACITY, nowMs: () => number = Date.now) {
		this.#capacity = capacity
		this.#nowMs = nowMs
	}

	add(event: EventKind, { name, id, containerId }: EventSubject, fields: EventFields = {}): void {
		const realtimeUs = this.#nowMs() * 1000
		this.#kept.push({ seq: this.#nextSeq++, realtimeUs, event, pog: name, id, containerId, fields })
		if (this.#kept.length > this.#capacity) this.#kept.shift()
		for (const wake of this.#waiting) wake()
		this.#waiting.clear()
	}

	/** What is kept and passes, then what comes; ends when `signal` aborts. */
	async *stream(filter: EventFilter, signal: AbortSignal): AsyncGenerator<PogEvent> {
		const before = this.#kept.filter(event => passes(filter, event))
		let next = this.#nextSeq
		yield* filter.last === undefined ? before : before.slice(Math.max(0, before.length - filter.last))
		while (filter.follow === true && !signal.aborted) {
			const oldest = this.#nextSeq - this.#kept.length
			if (next < oldest) {
				yield this.#missed(oldest - next)
				next = oldest
			}
			const event = this.#kept[next - oldest]
			if (event === undefined) {
				await this.#more(signal)
				continue
			}
			next++
			if (passes(filter, event)) yield event
		}
	}

	#missed(events: number): PogEvent {
		const realtimeUs = this.#nowMs() * 1000
		return { seq: this.#nextSeq, realtimeUs, event: 'missed', pog: '', id: 0, containerId: '', fields: { events } }
	}

	#more(signal: AbortSignal): Promise<void> {
		return new Promise(resolve => {
			const done = (): void => {
				this.#waiting.delete(done)
				signal.removeEventListener('abort', done)
				resolve()
			}
			this.#waiting.add(done)
			signal.addEventListener('abort', done)
			if (signal.aborted) done()
		})
	}
}

/** Whether a word of the host's means this POG: its name, its id in digits, or a beginning of its container's id. */
export function goesBy({ name, id, containerId }: EventSubject, word: string): boolean {
	return name === word || String(id) === word || (word.length >= MIN_PREFIX && containerId.startsWith(word))
}

function passes({ sinceRealtimeUs, pogs }: EventFilter, event: PogEvent): boolean {
	if (sinceRealtimeUs !== undefined && event.realtimeUs < sinceRealtimeUs) return false
	return pogs === undefined || pogs.some(word => goesBy({ ...event, name: event.pog }, word))
}
