/**
 * What a part of the evaluation is, what it is given and what it answers: findings, tables, figures, all as data.
 *
 * A case measures and says; how that looks in the document is the business of document.ts and plot.ts. What a case answers is
 * saved as JSON and is all that the document is made of, so that cases may be taken one by one, on a quiet machine.
 */
import type { Summary } from '../harness/statistics.ts'

/** A figure with its spread, or words. */
export type Cell = string | number | Summary

export interface Table {
	readonly title: string
	readonly columns: readonly string[]
	readonly rows: readonly (readonly Cell[])[]
	readonly note?: string
}

export interface Point {
	readonly x: number
	readonly y: Summary
}

export interface Series {
	readonly name: string
	readonly points: readonly Point[]
}

export interface Axis {
	readonly label: string
	readonly scale: 'linear' | 'log'
	/** Whether it counts bytes. */
	readonly bytes?: boolean
}

export interface Figure {
	/** Of the SVG file, without its extension. */
	readonly name: string
	readonly title: string
	readonly x: Axis
	readonly y: Axis
	readonly series: readonly Series[]
}

/** A figure held against the paper's and against what was promised: one row of the summary. */
export interface Finding {
	readonly what: string
	/** What the paper reports for its implementation in the kernel; a dash where it reports nothing. */
	readonly paper: string
	readonly target: string
	readonly ours: string
	/** Undefined when there is no target to judge by. */
	readonly holds?: boolean
	/** What bounds it, where it misses; what was found out, where that needs words. */
	readonly because?: string
}

export interface Outcome {
	readonly findings: readonly Finding[]
	readonly tables: readonly Table[]
	readonly figures: readonly Figure[]
	/** How it was done and what was not: a sentence or two each. */
	readonly notes: readonly string[]
}

export interface Evaluation {
	/** As small as it can be and still be whole: to see that it works, not to be quoted. */
	readonly quick: boolean
	/** A scratch directory on tmpfs of this case's own, removed afterwards. */
	readonly scratch: string
	/** CPU numbers for clients and for servers, where pinning makes sense; the same one on a machine with one. */
	readonly cpus: { readonly client: number | undefined; readonly server: number | undefined }
	/** Progress, on standard error. */
	readonly say: (text: string) => void
}

export interface EvaluationCase {
	/** As named for --only; the name of its JSON file. */
	readonly name: string
	readonly title: string
	/** What is done, in a sentence or two, for the document. */
	readonly about: string
	readonly run: (evaluation: Evaluation) => Promise<Outcome>
}

export const isSummary = (cell: Cell): cell is Summary => typeof cell === 'object'
