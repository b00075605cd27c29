/**
 * Repeated measurements and what is told about them.
 *
 * Invariant: contestants are measured in turns (A B A B ...), never one after the other, so that a machine that gets
 * slower or faster during a run does so for all of them. A figure is a median with its lowest and highest value.
 */

export interface Summary {
	readonly median: number
	readonly min: number
	readonly max: number
	readonly values: readonly number[]
}

export interface Contestant {
	readonly name: string
	/** One measurement, in the unit of the row. */
	measure(): Promise<number>
}

/** Median, lowest and highest of at least one value. */
export const summarise = (values: readonly number[]): Summary => {
	const sorted = [...values].sort((a, b) => a - b)
	const at = (index: number): number => sorted[Math.min(Math.max(index, 0), sorted.length - 1)] ?? Number.NaN
	const half = sorted.length >> 1
	const median = sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2
	return { median, min: at(0), max: at(sorted.length - 1), values }
}

/** Measures every contestant `repeats` times in turns; answers by name. */
export const interleave = async (
	contestants: readonly Contestant[],
	repeats: number,
): Promise<ReadonlyMap<string, Summary>> => {
	const values = new Map<string, number[]>(contestants.map(contestant => [contestant.name, []]))
	for (let turn = 0; turn < repeats; turn++)
		for (const contestant of contestants) values.get(contestant.name)?.push(await contestant.measure())
	return new Map([...values].map(([name, list]) => [name, summarise(list)]))
}
