/**
 * Sets of characters (UTF-16 code units) for the regular expressions of filters: a table for ASCII, ranges beyond.
 * Source: regex(7), bracket expressions; the C locale.
 *
 * Invariant: `contains` costs one table look-up for ASCII, and one step a range otherwise.
 */

export interface CharacterSet {
	/** One byte for each of the 128 characters: 1 when it is in the set. */
	readonly ascii: Uint8Array
	/** Inclusive, for codes from 0x80 on. */
	readonly ranges: readonly (readonly [number, number])[]
}

/** Whether the code unit is in the set. */
export function contains(set: CharacterSet, code: number): boolean {
	if (code < 128) return set.ascii[code] === 1
	for (const [low, high] of set.ranges) if (code >= low && code <= high) return true
	return false
}

/** The set of one character, of both cases if wanted. */
export function singleSet(code: number, ignoreCase: boolean): CharacterSet {
	return unionSet([{ ascii: new Uint8Array(128), ranges: [[code, code]] }], false, ignoreCase)
}

/** Everything in any of the sets, or in none when negated. Ranges may reach into ASCII here; in the result they do not count there. */
export function unionSet(sets: readonly CharacterSet[], negated: boolean, ignoreCase: boolean): CharacterSet {
	const ranges = sets.flatMap(set => set.ranges)
	const holds = (code: number) =>
		(code < 128 && sets.some(set => set.ascii[code] === 1)) || ranges.some(([low, high]) => code >= low && code <= high)
	const ascii = Uint8Array.from({ length: 128 }, (_, code) => {
		const found = holds(code) || (ignoreCase && holds(otherCase(code)))
		return found === negated ? 0 : 1
	})
	// Beyond ASCII the other case of a single character is a range of its own; of a wider range it is not looked for.
	const beyond = ranges.filter(([, high]) => high >= 128)
	const both = ignoreCase ? [...beyond, ...beyond.flatMap(otherCaseRange)] : beyond
	return { ascii, ranges: negated ? complement(both) : both }
}

function otherCase(code: number): number {
	const character = String.fromCharCode(code)
	const lower = character.toLowerCase()
	const other = lower === character ? character.toUpperCase() : lower
	return other.length === 1 ? other.charCodeAt(0) : code
}

function otherCaseRange([low, high]: readonly [number, number]): (readonly [number, number])[] {
	return low === high ? [[otherCase(low), otherCase(low)]] : []
}

function complement(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
	const result: (readonly [number, number])[] = []
	let from = 128
	for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
		if (low > from) result.push([from, low - 1])
		from = Math.max(from, high + 1)
	}
	if (from <= 0xffff) result.push([from, 0xffff])
	return result
}
