/**
 * A configuration, compiled: for each record the files that it goes to, as a bit mask. Source: syslog.conf(5) of
 * sysklogd 2.7; `stop` and `~` of rsyslog, which end the evaluation.
 *
 * Routes are decided once, when a record is written. Where no filter applies to a facility and severity, that is one
 * table look-up; filters run only for the records whose rules have them, each at most once a record.
 *
 * Invariant: `mask(f, s, null)` is the table's entry, with every filtered rule taken as not matching.
 */
import { finish, type Steps } from '../lib/steps.ts'
import {
	type Action,
	type Configuration,
	DEFAULT_LIMITS,
	type DiscardAction,
	type FileAction,
	type Filter,
	type Rule,
} from './configuration.ts'
import { compileFilters, type Predicate, type Subject } from './filter.ts'

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
	/** What `compilePredicates` made of the same configuration; made at once when it is left out. */
	readonly predicates?: Predicates
}

/** The filters of a configuration, each once, by their description. */
export type Predicates = ReadonlyMap<string, Predicate>

/** The part of the work that does not depend on where records go, in steps. */
export function* compilePredicates(
	{ rules }: Configuration,
	{ localHostname = '' }: { localHostname?: string } = {},
): Steps<Predicates> {
	const filters = new Map(rules.flatMap(rule => rule.filters.map(filter => [keyOf(filter), filter] as const)))
	yield
	const predicates = yield* compileFilters([...filters.values()], { localHostname, limits: DEFAULT_LIMITS })
	return new Map([...filters.keys()].map((key, i) => [key, predicates[i] as Predicate]))
}

/** A filter belongs to many rules: it is described once. */
const keys = new WeakMap<Filter, string>()

function keyOf(filter: Filter): string {
	let key = keys.get(filter)
	if (key === undefined) {
		key = JSON.stringify(filter)
		keys.set(filter, key)
	}
	return key
}

/**
 * Asked once for each distinct destination: its bit, 0 to 31, or less than 0 for no route. `name` is the path of a file,
 * `/dev/console`, the users as `root,eric`, or `*`.
 */
export type BitOf = (name: string, action: Exclude<Action, DiscardAction>) => number

export function compileRoutes(configuration: Configuration, bitOf: BitOf, options: RouteOptions = {}): Routes {
	const named = options.predicates ?? finish(compilePredicates(configuration, options))
	const indexes = new Map([...named.keys()].map((key, i) => [key, i]))
	const bits = new Map<string, number>()
	const files: RoutedFile[] = []

	const steps = configuration.rules.map(rule => ({
		rule,
		bits: bitsOf(rule.action),
		discards: rule.action.kind === 'discard',
		filters: rule.filters.map(filter => indexes.get(keyOf(filter)) as number),
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

	const consoleBit = bits.get(CONSOLE) ?? -1
	return new CompiledRoutes(steps, [...named.values()], files, consoleBit < 0 ? 0 : (1 << consoleBit) >>> 0)
}

const CONSOLE = '/dev/console'
const CELLS = 32 * 8
const FIRST_UNNAMED = 24
const FACILITY_ROWS = CELLS / 8

function maskOf({ masks, unnamedMask }: Rule, facility: number): number {
	return facility < FIRST_UNNAMED ? (masks[facility] ?? 0) : unnamedMask
}

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

/** A rule with what it selects. */
interface RuleStep extends Step {
	readonly rule: Rule
}

class CompiledRoutes implements Routes {
	readonly filtered: boolean
	readonly table = new Uint32Array(CELLS)
	readonly filteredCells = new Uint8Array(CELLS)
	readonly files: readonly RoutedFile[]
	readonly console: number
	/** The rules that can concern a cell, in order, up to the first discard without a filter: made for the first record that needs them. */
	readonly #steps: (readonly Step[] | undefined)[] = []
	readonly #rules: readonly RuleStep[]
	readonly #predicates: readonly Predicate[]
	/** For the record in hand: 0 not asked yet, 1 holds, 2 does not. */
	readonly #answers: Uint8Array

	constructor(
		rules: readonly RuleStep[],
		predicates: readonly Predicate[],
		files: readonly RoutedFile[],
		console: number,
	) {
		this.#predicates = predicates
		this.#answers = new Uint8Array(predicates.length)
		this.files = files
		this.console = console
		// Severities of each facility that no rule concerns any more.
		const ended = new Uint8Array(FACILITY_ROWS)
		for (const step of rules) this.#enter(step, ended)
		this.filtered = this.filteredCells.includes(1)
		// A rule without a route has no part in the decision.
		this.#rules = this.filtered ? rules.filter(step => step.bits !== 0 || step.discards) : []
	}

	#enter({ rule, bits, discards, filters }: RuleStep, ended: Uint8Array): void {
		for (let facility = 0; facility < FACILITY_ROWS; facility++) {
			const mask = maskOf(rule, facility) & ~(ended[facility] as number)
			if (mask === 0) continue
			for (let severity = 0; severity < 8; severity++) {
				if ((mask & (1 << severity)) === 0) continue
				const cell = facility * 8 + severity
				if (filters.length === 0) this.table[cell] = ((this.table[cell] as number) | bits) >>> 0
				else if (bits !== 0 || discards) this.filteredCells[cell] = 1
			}
			if (discards && filters.length === 0) ended[facility] = (ended[facility] as number) | mask
		}
	}

	#stepsOf(cell: number): readonly Step[] {
		const known = this.#steps[cell]
		if (known !== undefined) return known
		const selected: Step[] = []
		for (const step of this.#rules) {
			if ((maskOf(step.rule, cell >> 3) & (1 << (cell & 7))) === 0) continue
			selected.push(step)
			if (step.discards && step.filters.length === 0) break
		}
		this.#steps[cell] = selected
		return selected
	}

	mask(facility: number, severity: number, subject: Subject | null): number {
		const cell = (facility < FIRST_UNNAMED ? facility : FIRST_UNNAMED) * 8 + (severity & 7)
		if (subject === null || this.filteredCells[cell] !== 1) return this.table[cell] as number
		return this.#decide(this.#stepsOf(cell), subject)
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
