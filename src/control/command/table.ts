/**
 * Aligned columns for people: names to the left, numbers to the right, two blanks between, nothing after the last.
 */
import { printable } from './context.ts'

export interface Column {
	title: string
	align?: 'right'
}

/** One line for the titles and one for each row; every row has as many cells as there are columns. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
	// Widths are those of what is printed.
	const lines = [columns.map(column => column.title), ...rows].map(line => line.map(printable))
	const widths = columns.map((_, index) => Math.max(...lines.map(line => line[index]?.length ?? 0)))
	return lines.map(line =>
		line
			.map((cell, index) => {
				const width = widths[index] ?? 0
				return columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width)
			})
			.join('  ')
			.trimEnd(),
	)
}

/** `Label  value` lines, labels padded to the longest. */
export function renderPairs(pairs: readonly (readonly [label: string, value: string])[]): string[] {
	const width = Math.max(...pairs.map(([label]) => label.length))
	return pairs.map(([label, value]) => `${label.padEnd(width)}  ${value}`.trimEnd())
}
