/**
 * The demo's table: one row a problem, two columns side by side, wrapped to the terminal.
 *
 * Invariant: plain ASCII without escapes unless standard output is a terminal and NO_COLOR is unset.
 */

/** `holds`: isolated; `broken`: one container reaches another or the host; `untried`: said why. */
export interface Cell {
	verdict: 'holds' | 'broken' | 'untried'
	saw: string
}

export interface Row {
	title: string
	native: Cell
	pogs: Cell
}

const COLOURS = { holds: 32, broken: 31, untried: 33 } as const
export const WORDS = { holds: 'isolated', broken: 'BROKEN', untried: 'not tried' } as const
const coloured = process.stdout.isTTY && process.env['NO_COLOR'] === undefined

function paint(text: string, colour: number): string {
	return coloured ? `\u001B[${colour}m${text}\u001B[0m` : text
}

function wrap(text: string, width: number): string[] {
	const lines: string[] = []
	let line = ''
	for (const word of text.split(' ')) {
		if (line !== '' && line.length + 1 + word.length > width) {
			lines.push(line)
			line = word
		} else line = line === '' ? word : `${line} ${word}`
	}
	return [...lines, line]
}

/** The whole table as text. `groups` are headings with their rows. */
export function formatTable(groups: readonly { heading: string; rows: readonly Row[] }[], columns: number): string {
	const width = Math.min(Math.max(columns, 80), 140)
	const first = 22
	const each = Math.floor((width - first - 6) / 2)
	const rule = '-'.repeat(first + 2 * each + 6)
	const lines = [rule, line(['', 'native kernel and a shared syslogd', 'POGs'])]
	for (const { heading, rows } of groups) {
		lines.push(rule, heading, rule)
		for (const row of rows) lines.push(...formatRow(row))
	}
	return [...lines, rule].join('\n')

	function line(cells: readonly [string, string, string]): string {
		return `${cells[0].padEnd(first)} | ${cells[1].padEnd(each)} | ${cells[2]}`.trimEnd()
	}

	function formatRow({ title, native, pogs }: Row): string[] {
		const titles = wrap(title, first)
		const left = wrap(`${WORDS[native.verdict]}: ${native.saw}`, each)
		const right = wrap(`${WORDS[pogs.verdict]}: ${pogs.saw}`, each)
		const height = Math.max(titles.length, left.length, right.length)
		return Array.from({ length: height }, (_, at) => {
			const plain = line([titles[at] ?? '', left[at] ?? '', right[at] ?? ''])
			if (at > 0 || !coloured) return plain
			const [head = '', middle = '', tail = ''] = plain.split(' | ')
			return [head, verdict(middle, native), verdict(tail, pogs)].join(' | ')
		})
	}

	function verdict(text: string, { verdict: kind }: Cell): string {
		return text.replace(WORDS[kind], paint(WORDS[kind], COLOURS[kind]))
	}
}
