/**
 * Paired measurements: all contestants once a turn, in an order that moves on by one each turn, compared turn by turn.
 *
 * Invariant: a ratio is only ever taken between two measurements of the same turn, so that what slows the machine down for a
 * minute slows both. What is told is the median of those ratios with its quartiles, not the ratio of two medians.
 */
import { type Contestant, type Summary, summarise } from '../harness/statistics.ts'

/** Standard deviations around the middle that hold 95 % of a normal distribution. */
const CERTAIN_95 = 1.96

/** Measures every contestant once a turn; values by name, in the order of turns. */
export const inTurns = async (
	contestants: readonly Contestant[],
	turns: number,
): Promise<ReadonlyMap<string, Summary>> => {
	const values = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
	for (let turn = 0; turn < turns; turn++)
		for (let at = 0; at < contestants.length; at++) {
			const contestant = contestants[(turn + at) % contestants.length]
			if (contestant !== undefined) values.get(contestant.name)?.push(await contestant.measure())
		}
	return new Map([...values].map(([name, list]) => [name, summarise(list)]))
}

/** The value below which a share of a sorted list lies, between its neighbours by linear interpolation. */
export const quantile = (sorted: readonly number[], share: number): number => {
	const place = (sorted.length - 1) * share
	const [below = Number.NaN, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
	return below + (above - below) * (place - Math.floor(place))
}

/** The change from `base` to `changed`, in percent, turn by turn; the quartiles are kept as lowest and highest. */
export const changePercent = (changed: Summary, base: Summary): Summary =>
	quartiles(changed.values.map((value, turn) => (value / (base.values[turn] ?? Number.NaN) - 1) * 100))

/** The difference turn by turn. */
export const difference = (changed: Summary, base: Summary): Summary =>
	quartiles(changed.values.map((value, turn) => value - (base.values[turn] ?? Number.NaN)))

/** Median with the quartiles in the place of lowest and highest. */
export const quartiles = (values: readonly number[]): Summary => {
	const sorted = [...values].sort((a, b) => a - b)
	return { median: quantile(sorted, 0.5), min: quantile(sorted, 0.25), max: quantile(sorted, 0.75), values }
}

/**
 * Between which values of a list its true median lies with 95 % certainty: two of its members, by rank (the binomial distribution's
 * normal approximation), whatever the distribution is.
 */
export const medianBounds = ({ values }: Summary): readonly [low: number, high: number] => {
	const sorted = [...values].sort((a, b) => a - b)
	const half = (CERTAIN_95 * Math.sqrt(sorted.length)) / 2
	const at = (place: number): number =>
		sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(place)))] ?? Number.NaN
	const middle = (sorted.length - 1) / 2
	return [at(middle - half), at(middle + half)]
}

/** What a map of results has under a name; a name that was not measured is a mistake of the case. */
export const of = (results: ReadonlyMap<string, Summary>, name: string): Summary => {
	const found = results.get(name)
	if (found === undefined) throw new Error(`"${name}" was not measured`)
	return found
}
