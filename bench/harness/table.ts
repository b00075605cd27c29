/**
 * The result of a run: rows, the table on standard output and the JSON file.
 *
 * Invariant: every figure carries its spread, every verdict the target it was held against; what was not measured says why.
 */
import type { Summary } from './statistics.ts'

export type Target = { readonly atLeast: number } | { readonly atMost: number }

export interface Row {
	/** The case it belongs to, as named for --only. */
	readonly group: string
	readonly what: string
	readonly unit: string
	readonly ours?: Summary
	readonly peer?: { readonly name: string; readonly summary: Summary }
	/** The figure held against the target: ours to the peer's, or ours itself. */
	readonly ratio?: number
	/** A bound for `ratio`, or for the median of `ours` when there is no ratio. */
	readonly target?: Target
	/** What a reader should know; the reason when there is no figure. */
	readonly note?: string
}

const figure = (value: number): string => {
	const size = Math.abs(value)
	if (size >= 10_000) return `${(value / 1000).toFixed(size >= 100_000 ? 0 : 1)}k`
	return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

const spread = (summary: Summary | undefined): string =>
	summary === undefined ? '-' : `${figure(summary.median)} (${figure(summary.min)}-${figure(summary.max)})`

/** Whether the row keeps its target; undefined when there is nothing to judge. */
export const holds = (row: Row): boolean | undefined => {
	const value = row.ratio ?? row.ours?.median
	if (row.target === undefined || value === undefined) return undefined
	return 'atLeast' in row.target ? value >= row.target.atLeast : value <= row.target.atMost
}

const verdict = (row: Row): string => {
	const held = holds(row)
	return held === undefined ? (row.ours === undefined ? 'skip' : '') : held ? 'yes' : 'NO'
}

const bound = (row: Row): string => {
	if (row.target === undefined) return ''
	const suffix = row.ratio === undefined ? '' : 'x'
	return 'atLeast' in row.target ? `>= ${row.target.atLeast}${suffix}` : `<= ${row.target.atMost}${suffix}`
}

const HEADINGS = [
	'measurement',
	'unit',
	'POGs',
	'against',
	'median (min-max)',
	'ratio',
	'target',
	'holds',
	'note',
] as const

/** The rows as lines of text, columns aligned. */
export const formatTable = (rows: readonly Row[]): string[] => {
	const cells = rows.map(row => [
		row.what,
		row.unit,
		spread(row.ours),
		row.peer?.name ?? '-',
		spread(row.peer?.summary),
		row.ratio === undefined ? '-' : `${row.ratio.toFixed(2)}x`,
		bound(row),
		verdict(row),
		row.note ?? '',
	])
	const lines = [[...HEADINGS], ...cells]
	const widths = HEADINGS.map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
	const render = (line: readonly string[]): string =>
		line
			.map((cell, column) => cell.padEnd(widths[column] ?? 0))
			.join('  ')
			.trimEnd()
	const [head = [], ...body] = lines
	return [render(head), widths.map(width => '-'.repeat(width)).join('  '), ...body.map(render)]
}
