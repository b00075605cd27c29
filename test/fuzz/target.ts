/**
 * What is fuzzed: a kind of value, and what has to hold for each. `targets.test.ts` runs every target for a moment as a unit test,
 * `make fuzz` for as long as wanted (`main.ts`).
 *
 * A value that once broke something stays as a row of `finds`, minimised: it is tried first, every time.
 */
import fc from 'fast-check'

export interface Target<T> {
	readonly name: string
	/** What is fuzzed and what has to hold, in a line. */
	readonly what: string
	readonly values: fc.Arbitrary<T>
	/** Throws, or rejects, when something does not hold. */
	check(value: T): void | Promise<void>
	/** How many values the unit tests try. */
	readonly runs: number
	readonly finds?: readonly T[]
}

export interface Run {
	readonly seed?: number
	readonly runs?: number
	/** No new value is tried after it. */
	readonly limitMs: number
	/** Told each value before it is tried: the one that takes the process with it is known then. */
	readonly trace?: (value: string) => void
}

export interface Outcome {
	readonly tried: number
	readonly seed: number
	/** What went wrong, with the smallest value found that shows it. */
	readonly failure?: string
}

/** A target whose kind of value only it knows. */
export interface Runnable {
	readonly name: string
	readonly what: string
	run(run: Run): Promise<Outcome>
}

export function runnable<T>(target: Target<T>): Runnable {
	return {
		name: target.name,
		what: target.what,
		async run({ seed, runs = target.runs, limitMs, trace }) {
			const property = fc.asyncProperty(target.values, async value => {
				trace?.(fc.stringify(value))
				await target.check(value)
			})
			const done = await fc.check(property, {
				numRuns: runs,
				...(seed === undefined ? {} : { seed }),
				interruptAfterTimeLimit: limitMs,
				markInterruptAsFailure: false,
				examples: (target.finds ?? []).map((find): [T] => [find]),
			})
			const outcome = { tried: done.numRuns, seed: done.seed }
			if (!done.failed) return outcome
			const { errorInstance: cause } = done
			const told = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
			return { ...outcome, failure: `${fc.defaultReportMessage(done) ?? 'It failed'}\n${told}` }
		},
	}
}

/** For checks: throws what does not hold. */
export function expect(holds: boolean, what: () => string): asserts holds {
	if (!holds) throw new Error(what())
}
