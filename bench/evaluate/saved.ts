/**
 * What was measured, a JSON file a case in docs/evaluation/: the raw numbers that the document is made of.
 *
 * Invariant: a file is written whole (by rename) and only when its case has ended well, so that an evaluation which was broken
 * off goes on with the cases that lack a file.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Outcome } from './case.ts'
import type { Machine } from './machine.ts'

export interface Saved extends Outcome {
	readonly case: string
	/** Day of the measurement, ISO 8601. */
	readonly taken: string
	readonly quick: boolean
	readonly seconds: number
	readonly machine: Machine
}

const fileOf = (directory: string, name: string): string => path.join(directory, `${name}.json`)

/** Numbers as short as they are worth: six digits. */
const rounded = (_key: string, value: unknown): unknown =>
	typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value

/** Arrays of numbers on one line: they are most of the file. */
const compact = (text: string): string =>
	text.replace(
		/\[\n\s*(-?[\d.e+-]+(?:,\n\s*-?[\d.e+-]+)*)\n\s*\]/g,
		(_whole, list: string) => `[${list.replace(/\n\s*/g, ' ')}]`,
	)

export const save = (directory: string, saved: Saved): void => {
	mkdirSync(directory, { recursive: true })
	const file = fileOf(directory, saved.case)
	writeFileSync(`${file}.new`, `${compact(JSON.stringify(saved, rounded, '\t'))}\n`)
	renameSync(`${file}.new`, file)
}

/** What was saved of a case; undefined when there is nothing. */
export const load = (directory: string, name: string): Saved | undefined => {
	const file = fileOf(directory, name)
	return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Saved) : undefined
}
