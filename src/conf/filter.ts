/**
 * Filters of blocks as predicates over a record. Source: syslog.conf(5) of sysklogd 2.7: names are compared whole, program
 * names by case, host names without; properties as their operator says.
 *
 * A container writes both the filter and the text: what a filter looks at is cut to a bound, and regular expressions run
 * in time proportional to it (automaton.ts).
 */
import { Matcher } from './automaton.ts'
import type { Filter, Operator, PropertyFilter } from './configuration.ts'
import { parseRegex } from './posix-regex.ts'

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

/** Characters of a property that `regex` and the other operators look at. */
const REGEX_SUBJECT = 1024
const TEXT_SUBJECT = 4096

/** The filter as a predicate; `localHostname` stands for `@`. A pattern that `parseRegex` refuses matches nothing. */
export function compileFilter(filter: Filter, localHostname: string, regexNodes: number): Predicate {
	const { negated } = filter
	if (filter.kind === 'property') {
		const matches = OPERATORS[filter.operator](filter, regexNodes)
		const { property } = filter
		return subject => matches(subject[property]) !== negated
	}
	if (filter.kind === 'program') {
		const programs = new Set(filter.names)
		return subject => programs.has(subject.program) !== negated
	}
	const hosts = new Set(filter.names.map(name => (name === '@' ? localHostname.toLowerCase() : name)))
	return subject => hosts.has(subject.hostname.toLowerCase()) !== negated
}

type Compare = (filter: PropertyFilter, regexNodes: number) => (text: string) => boolean

const OPERATORS: Readonly<Record<Operator, Compare>> = {
	contains: plain((text, value) => text.includes(value)),
	isequal: plain((text, value) => text === value),
	startswith: plain((text, value) => text.startsWith(value)),
	regex: regex(false),
	ereregex: regex(true),
}

function plain(compare: (text: string, value: string) => boolean): Compare {
	return ({ ignoreCase, value }) => {
		if (!ignoreCase) return text => compare(text.slice(0, TEXT_SUBJECT), value)
		const lower = value.toLowerCase()
		return text => compare(text.slice(0, TEXT_SUBJECT).toLowerCase(), lower)
	}
}

function regex(extended: boolean): Compare {
	return ({ ignoreCase, value }, nodes) => {
		const automaton = parseRegex(value, { extended, ignoreCase, nodes })
		if ('problem' in automaton) return () => false
		const matcher = new Matcher(automaton)
		return text => matcher.test(text.slice(0, REGEX_SUBJECT))
	}
}
