/**
 * Work that is too long for one go, as a generator that yields wherever it may be interrupted: whoever owns the thread decides how
 * much of it is done before others have their turn.
 *
 * Invariant: between two steps whatever the work changes is as it was before it, or as it will be after it.
 */
export type Steps<T> = Generator<void, T, void>

/** All of it at once. */
export function finish<T>(steps: Steps<T>): T {
	for (;;) {
		const step = steps.next()
		if (step.done === true) return step.value
	}
}
