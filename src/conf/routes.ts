/**
 * A configuration, compiled: for each record the files that it goes to, as a bit mask. Source: syslog.conf(5) of
 * sysklogd 2.7; `stop` and `~` of rsyslog, which end the evaluation.
 *
 * Routes are decided once, when a record is written. Where no filter applies to a facility and severity, that is one
 * table look-up; filters run only for the records whose rules have them, each at most once a record.
 *
 * Invariant: `mask(f, s, null)` is the table's entry, with every filtered rule taken as not matching.
 */
import {
	type Action,
	type Configuration,
	DEFAULT_LIMITS,
	type DiscardAction,
	type FileAction,
	type Rule,
} from './configuration.ts'
import { compileFilter, type Predicate, type Subject } from './filter.ts'

export interface Routes {
	/** Whether any rule has a filter: when not, `table` is all there is to know and no subject is needed. */
	readonly filtered: boolean
	/** Index `facility * 8 + severity`, facilities 0 to 31; above 23 they have no name and only `*` selects them. */
	readonly table: Uint32Array
	/** The same index: 1 where filters have a say, so that `mask` needs a subject. */
	readonly filteredCells: Uint8Array
	readonly files: readonly RoutedFile[]
	/** The bits of `/dev/console`; 0 when no rule names it. */
	readonly console: number
	/** Route bits of a record; any facility from 0 and severity 0 to 7. */
	mask(facility: number, severity: number, subject: Subject | null): number
}

export interface RoutedFile {
	readonly path: string
	readonly bit: number
	readonly action: FileAction
}

export interface RouteOptions {
	/** The host that `+@` means. */
	readonly localHostname?: string
	readonly regexNodes?: number
}

/**
 * Asked once for each distinct destination: its bit, 0 to 31, or less than 0 for no route. `name` is the path of a file,
 * `/dev/console`, the users as `root,eric`, or `*`.
 */
export type BitOf = (name: string, action: Exclude<Action, DiscardAction>) => number

export function compileRoutes(configuration: Configuration, bitOf: BitOf, options: RouteOptions = {}): Routes {
	const { localHostname = '', regexNodes = DEFAULT_LIMITS.regexNodes } = options
	const bits = new Map<string, number>()
	const files: RoutedFile[] = []
	const predicates: Predicate[] = []
	const predicateOf = new Map<string, number>()

	const steps = configuration.rules.map(rule => ({
		rule,
		bits: bitsOf(rule.action),
		discards: rule.action.kind === 'discard',
		filters: rule.filters.map(filter => {
			const key = JSON.stringify(filter)
			const known = predicateOf.get(key)
			if (known !== undefined) return known
			predicateOf.set(key, predicates.length)
			return predicates.push(compileFilter(filter, localHostname, regexNodes)) - 1
		}),
	}))

	function bitsOf(action: Action): number {
		if (action.kind === 'discard') return 0
		const name = nameOf(action)
		let bit = bits.get(name)
		if (bit === undefined) {
			bit = bitOf(name, action)
			bits.set(name, bit)
			if (action.kind === 'file' && bit >= 0) files.push({ path: name, bit, action })
		}
		return bit < 0 ? 0 : (1 << bit) >>> 0
	}

	const cells = Array.from({ length: CELLS }, (_, cell) => toCell(steps, cell))
	const consoleBit = bits.get(CONSOLE) ?? -1
	return new CompiledRoutes(cells, predicates, files, consoleBit < 0 ? 0 : (1 << consoleBit) >>> 0)
}

const CONSOLE = '/dev/console'
const CELLS = 32 * 8
const FIRST_UNNAMED = 24

function nameOf(action: Exclude<Action, DiscardAction>): string {
	switch (action.kind) {
		case 'file':
			return action.path
		case 'console':
			return CONSOLE
		case 'users':
			return action.users.join()
		case 'wall':
			return '*'
	}
}

interface Step {
	readonly bits: number
	readonly discards: boolean
	/** Indexes of predicates, all of which must hold. */
	readonly filters: readonly number[]
}

/** The rules that can concern one facility and severity, in order, up to the first discard without a filter. */
interface Cell {
	readonly unfiltered: number
	readonly steps: readonly Step[]
}

const NO_STEPS: readonly Step[] = []

function toCell(steps: readonly (Step & { readonly rule: Rule })[], cell: number): Cell {
	const facility = cell >> 3
	const severityBit = 1 << (cell & 7)
	const selected: Step[] = []
	let unfiltered = 0
	for (const step of steps) {
		const mask = facility < FIRST_UNNAMED ? (step.rule.masks[facility] ?? 0) : step.rule.unnamedMask
		if ((mask & severityBit) === 0) continue
		if (step.filters.length === 0) unfiltered |= step.bits
		// A rule without a route has no part in the decision.
		if (step.bits !== 0 || step.discards) selected.push(step)
		if (step.discards && step.filters.length === 0) break
	}
	const filtered = selected.some(step => step.filters.length > 0)
	return { unfiltered: unfiltered >>> 0, steps: filtered ? selected : NO_STEPS }
}

class CompiledRoutes implements Routes {
	readonly filtered: boolean
	readonly table = new Uint32Array(CELLS)
	readonly filteredCells = new Uint8Array(CELLS)
	readonly files: readonly RoutedFile[]
	readonly console: number
	/** By cell; empty when no cell has a filter, as in most containers. */
	readonly #steps: readonly (readonly Step[])[]
	readonly #predicates: readonly Predicate[]
	/** For the record in hand: 0 not asked yet, 1 holds, 2 does not. */
	readonly #answers: Uint8Array

	constructor(cells: readonly Cell[], predicates: readonly Predicate[], files: readonly RoutedFile[], console: number) {
		this.#predicates = predicates
		this.#answers = new Uint8Array(predicates.length)
		this.files = files
		this.console = console
		for (const [index, cell] of cells.entries()) {
			this.table[index] = cell.unfiltered
			this.filteredCells[index] = cell.steps.length > 0 ? 1 : 0
		}
		this.filtered = this.filteredCells.includes(1)
		this.#steps = this.filtered ? cells.map(({ steps }) => steps) : []
	}

	mask(facility: number, severity: number, subject: Subject | null): number {
		const cell = (facility < FIRST_UNNAMED ? facility : FIRST_UNNAMED) * 8 + (severity & 7)
		if (subject === null || this.filteredCells[cell] !== 1) return this.table[cell] as number
		return this.#decide(this.#steps[cell] ?? NO_STEPS, subject)
	}

	#decide(steps: readonly Step[], subject: Subject): number {
		let bits = 0
		this.#answers.fill(0)
		for (const step of steps) {
			if (!this.#holds(step.filters, subject)) continue
			bits |= step.bits
			if (step.discards) break
		}
		return bits >>> 0
	}

	#holds(filters: readonly number[], subject: Subject): boolean {
		for (const index of filters) {
			if (this.#answers[index] === 0) this.#answers[index] = this.#predicates[index]?.(subject) === true ? 1 : 2
			if (this.#answers[index] === 2) return false
		}
		return true
	}
}
