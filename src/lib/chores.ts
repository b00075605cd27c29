/**
 * Work that is done beside other work, in steps and in its order: a little of it in each turn of whoever owns it.
 *
 * Invariant: what was begun first is done first, so that of two changes the later one counts.
 */
import { finish, type Steps } from './steps.ts'

/** About how long a turn's part takes. */
const PART_MS = 0.2

export class Chores {
	readonly #waiting: Steps<void>[] = []
	/** Told when there is something to do. */
	onWork: () => void = () => {}

	/** Whether something is left to do. */
	get busy(): boolean {
		return this.#waiting.length > 0
	}

	add(work: Steps<void>): void {
		this.#waiting.push(work)
		this.onWork()
	}

	/** Does some of it; whether there is more. */
	serve(): boolean {
		const [first] = this.#waiting
		if (first === undefined) return false
		if (partOf(first) !== undefined) this.#waiting.shift()
		return this.busy
	}

	/** Does all of it. */
	finish(): void {
		for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) finish(next)
	}
}

/** Takes steps for a while: the work's result when that was all. */
export function partOf<T>(work: Steps<T>): { readonly result: T } | undefined {
	const until = performance.now() + PART_MS
	do {
		const step = work.next()
		if (step.done === true) return { result: step.value }
	} while (performance.now() < until)
	return undefined
}
