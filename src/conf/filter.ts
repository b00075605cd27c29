/**
 * Filters of blocks as predicates over a record. Source: syslog.conf(5) of sysklogd 2.7: names are compared whole, program
 * names by case, host names without; properties as their operator says.
 *
 * A container writes both the filter and the text: what a filter looks at is cut to a bound, and regular expressions run
 * in time proportional to it (automaton.ts).
 */
import type { Steps } from '../lib/steps.ts'
import { Matcher } from './automaton.ts'
import type { Filter, Limits, Operator, PropertyFilter } from './configuration.ts'
import { type Automaton, parseRegex } from './posix-regex.ts'

/** What filters may ask of a record. Getters may decode when asked: only filtered rules ask. */
export interface Subject {
	/** The tag without its process id; empty when there is none. */
	readonly program: string
	readonly hostname: string
	readonly msg: string
	/** Empty when absent, as `sd`. */
	readonly msgid: string
	readonly sd: string
}

export type Predicate = (subject: Subject) => boolean

/** Characters of a property that `regex` looks at, at most, and the other operators. */
export const REGEX_SUBJECT = 1024
const TEXT_SUBJECT = 4096

export interface FilterOptions {
	/** The host that `@` stands for. */
	readonly localHostname: string
	readonly limits: Pick<Limits, 'regexNodes' | 'regexWork'>
}

/**
 * The filters as predicates, in their order, one a step. A pattern that `parseRegex` refuses matches nothing; how many characters
 * the others look at follows from the states that all of them have.
 */
export function* compileFilters(
	filters: readonly Filter[],
	{ localHostname, limits: { regexNodes, regexWork } }: FilterOptions,
): Steps<Predicate[]> {
	const automata = new Map<Filter, Automaton>()
	let states = 0
	for (const filter of filters) {
		const automaton = automatonOf(filter, regexNodes)
		if (automaton === null) continue
		automata.set(filter, automaton)
		states += automaton.nodes.length
		yield
	}
	const characters = regexCharacters(states, regexWork)
	const predicates: Predicate[] = []
	for (const filter of filters) {
		predicates.push(predicateOf(filter, localHostname, automata.get(filter), characters))
		yield
	}
	return predicates
}

/** How many characters of a text patterns look at that have so many states together. */
export function regexCharacters(states: number, regexWork: number): number {
	return Math.min(REGEX_SUBJECT, Math.floor(regexWork / Math.max(1, states)))
}

function automatonOf(filter: Filter, nodes: number): Automaton | null {
	if (filter.kind !== 'property' || (filter.operator !== 'regex' && filter.operator !== 'ereregex')) return null
	const { operator, ignoreCase, value } = filter
	const automaton = parseRegex(value, { extended: operator === 'ereregex', ignoreCase, nodes })
	return 'problem' in automaton ? null : automaton
}

function predicateOf(
	filter: Filter,
	localHostname: string,
	automaton: Automaton | undefined,
	characters: number,
): Predicate {
	const { negated } = filter
	if (filter.kind === 'property') {
		const { property, operator } = filter
		const matches =
			operator === 'regex' || operator === 'ereregex'
				? matcher(automaton, characters)
				: plain(filter, COMPARISONS[operator])
		return subject => matches(subject[property]) !== negated
	}
	if (filter.kind === 'program') {
		const programs = new Set(filter.names)
		return subject => programs.has(subject.program) !== negated
	}
	const hosts = new Set(filter.names.map(name => (name === '@' ? localHostname.toLowerCase() : name)))
	return subject => hosts.has(subject.hostname.toLowerCase()) !== negated
}

type Matches = (text: string) => boolean
type Comparison = (text: string, value: string) => boolean

const COMPARISONS: Readonly<Record<Exclude<Operator, 'regex' | 'ereregex'>, Comparison>> = {
	contains: (text, value) => text.includes(value),
	isequal: (text, value) => text === value,
	startswith: (text, value) => text.startsWith(value),
}

function plain({ ignoreCase, value }: PropertyFilter, compare: Comparison): Matches {
	if (!ignoreCase) return text => compare(text.slice(0, TEXT_SUBJECT), value)
	const lower = value.toLowerCase()
	return text => compare(text.slice(0, TEXT_SUBJECT).toLowerCase(), lower)
}

function matcher(automaton: Automaton | undefined, characters: number): Matches {
	if (automaton === undefined) return () => false
	const compiled = new Matcher(automaton)
	return text => compiled.test(text.slice(0, characters))
}
