/**
 * Judges what a reader of a view got while a writer overwrote the ring under it: whole lines, in order, every gap told.
 *
 * The records are those of fixtures/programs/steady-writer.py: `n=00000042 xxx end`. A line that tells a loss says how many
 * records were lost, and that is exactly the distance between the numbers around it.
 */

/** The line that a view shows where records are missing; the first group is how many. */
export const LOST_LINE = /(?:^|[^0-9])(\d+) (?:records?|messages?|lines?) (?:were |was )?lost/

export interface Verdict {
	/** Numbers seen, in order. */
	readonly numbers: readonly number[]
	/** Sum of the losses that lines told. */
	readonly toldLost: number
	/** What is wrong: empty when all is well. */
	readonly faults: readonly string[]
}

/** `cut: true` when the reader itself was stopped, so that its last line may be partial. */
export function judge(text: string, cut = false): Verdict {
	const lines = text.split('\n')
	const last = lines.pop() ?? ''
	const faults: string[] = []
	if (last !== '' && !cut) faults.push(`last line has no newline: ${last}`)
	const numbers: number[] = []
	let toldLost = 0
	let told = 0
	for (const line of lines) {
		const lost = LOST_LINE.exec(line)
		if (lost) {
			told += Number(lost[1])
			continue
		}
		const seen = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ steady: n=(\d{8}) x* end$/.exec(line)
		if (!seen) {
			faults.push(`not a whole line: ${JSON.stringify(line.slice(0, 200))}`)
			continue
		}
		const number = Number(seen[1])
		const before = numbers.at(-1)
		if (before !== undefined && number - before - 1 !== told) {
			faults.push(`${before} is followed by ${number}, and ${told} are told as lost`)
		}
		numbers.push(number)
		toldLost += told
		told = 0
	}
	return { numbers, toldLost, faults: faults.slice(0, 10) }
}
