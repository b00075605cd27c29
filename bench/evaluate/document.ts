/**
 * docs/evaluation.md, from what was saved: a summary of findings, then each case with its tables, figures and notes.
 *
 * Invariant: nothing is said here that a case has not saved, so that the document can be made again at any time (`--render`).
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Cell, type EvaluationCase, type Finding, isSummary, type Table } from './case.ts'
import { inWords } from './machine.ts'
import { plot } from './plot.ts'
import type { Saved } from './saved.ts'

/** A number with as many digits as it is worth. */
export const figure = (value: number): string => {
	if (!Number.isFinite(value)) return '-'
	const size = Math.abs(value)
	if (size >= 10_000) return Math.round(value).toLocaleString('en-US')
	if (Number.isInteger(value)) return String(value)
	return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3)
}

const cell = (value: Cell): string => {
	if (typeof value === 'string') return value.replaceAll('|', '\\|')
	if (!isSummary(value)) return figure(value)
	const { median, min, max, values } = value
	return values.length > 1 ? `${figure(median)} (${figure(min)} to ${figure(max)})` : figure(median)
}

/** Aligned as text as well, because people read the source too. */
const markdown = ({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string[] => {
	const lines = [columns, ...rows].map(row => row.map(cell))
	const widths = columns.map((_, at) => Math.max(3, ...lines.map(line => line[at]?.length ?? 0)))
	const [head = [], ...body] = lines.map(
		line => `| ${line.map((text, at) => text.padEnd(widths[at] ?? 0)).join(' | ')} |`,
	)
	return [String(head), `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`, ...body.map(String)]
}

const verdict = ({ holds }: Finding): string => (holds === undefined ? '' : holds ? 'yes' : 'no')

const slug = (title: string): string =>
	title
		.toLowerCase()
		.replace(/[^\w -]/g, '')
		.replaceAll(' ', '-')

const section = (one: EvaluationCase, saved: Saved | undefined): string[] => {
	const out = [`## ${one.title}`, '', one.about, '']
	if (saved === undefined)
		return [...out, `Not measured yet: \`make evaluate EVALUATE_FLAGS="--only ${one.name}"\`.`, '']
	if (saved.quick) out.push('**A smoke run (`--quick`): not to be quoted.**', '')
	for (const table of saved.tables) {
		out.push(`**${table.title}**`, '', ...markdown(table), '')
		if (table.note !== undefined) out.push(table.note, '')
	}
	for (const each of saved.figures) out.push(`![${each.title}](evaluation/${each.name}.svg)`, '')
	if (saved.notes.length > 0) out.push(...saved.notes.map(note => `- ${note}`), '')
	out.push(
		`Raw numbers: [evaluation/${one.name}.json](evaluation/${one.name}.json), ${saved.taken}, ${Math.round(saved.seconds)} s.`,
		'',
	)
	return out
}

const HEAD = `# Evaluation

What section 5 of Wang et al., "System log isolation for containers" (Front. Comput. Sci. 2025) measured of POGs in a kernel, measured of
these POGs, in user space on a stock kernel; and beside it what a user would take instead. \`make evaluate\` takes all of it again (root,
Debian's packages); \`EVALUATE_FLAGS="--only NAME"\` one part, \`--quick\` a smoke run, \`--render\` this page from the numbers that are there.

How to read it: contestants take turns on one machine, and are compared turn by turn; a figure is a median, with its spread behind it:
lowest and highest, or for changes and differences the quartiles. The paper's figures are from its own machine and its own kernel: compare the
direction and the size of an effect, not digits.`

const summary = (cases: readonly EvaluationCase[], saved: ReadonlyMap<string, Saved>): string[] => {
	const rows = cases.flatMap(one =>
		(saved.get(one.name)?.findings ?? []).map(finding => [
			`[${/\(([^)]+)\)$/.exec(one.title)?.[1] ?? one.name}](#${slug(one.title)})`,
			finding.what,
			finding.paper,
			finding.ours,
			finding.target,
			verdict(finding),
		]),
	)
	const misses = [...saved.values()].flatMap(({ findings }) => findings.filter(({ because }) => because !== undefined))
	return [
		'## Summary',
		'',
		...markdown({ columns: ['part', 'what', 'the paper', 'here', 'target', 'met'], rows }),
		'',
		...misses.map(({ what, because }) => `- ${what}: ${because}`),
		...(misses.length > 0 ? [''] : []),
	]
}

/** Writes the document and its figures below `docs`. */
export const render = (docs: string, cases: readonly EvaluationCase[], saved: ReadonlyMap<string, Saved>): void => {
	const directory = path.join(docs, 'evaluation')
	mkdirSync(directory, { recursive: true })
	for (const name of readdirSync(directory)) if (name.endsWith('.svg')) rmSync(path.join(directory, name))
	for (const { figures } of saved.values())
		for (const each of figures) writeFileSync(path.join(directory, `${each.name}.svg`), plot(each))
	const machines = [...new Set([...saved.values()].map(({ machine }) => inWords(machine)))]
	const out = [
		HEAD,
		'',
		...machines.map(words => `The machine: ${words}.`),
		'',
		...summary(cases, saved),
		...cases.flatMap(one => section(one, saved.get(one.name))),
	]
	writeFileSync(path.join(docs, 'evaluation.md'), `${out.join('\n').trimEnd()}\n`)
}
