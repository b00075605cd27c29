/**
 * A configuration for people: what each rule selects, and what is wrong with the text, as `pogctl conf check` prints it.
 *
 * Facilities that select the same are one row, in the order of their codes; those not named select nothing.
 */
import { formatDiagnostic } from '../lib/diagnostic.ts'
import { facilityName } from '../record/facility.ts'
import { severityName } from '../record/severity.ts'
import type { Action, Configuration, Filter, Rule } from './configuration.ts'

/** Diagnostics, one a line, then one line that sums up; ends with a newline. */
export function checkReport(configuration: Configuration): string {
	const { diagnostics, rules, usable } = configuration
	const errors = diagnostics.filter(({ level }) => level === 'error').length
	const files = new Set(rules.flatMap(({ action }) => (action.kind === 'file' ? [action.path] : [])))
	const summary = [
		count(rules.length, 'rule'),
		count(files.size, 'file'),
		count(errors, 'error'),
		count(diagnostics.length - errors, 'warning'),
	]
	const refused = usable ? '' : '; nothing of it can be put in force'
	return [...diagnostics.map(formatDiagnostic), summary.join(', ') + refused, ''].join('\n')
}

/** Each rule with a row for every set of facilities that selects alike, `none` where `*` selects otherwise; ends with a newline unless there are no rules. */
export function renderRules(rules: readonly Rule[]): string {
	return rules.map(rule => `${renderRule(rule).join('\n')}\n`).join('')
}

/** `FILE:LINE: ACTION`, its filters, and rows of facilities and severities. */
export function renderRule(rule: Rule): string[] {
	const filters = rule.filters.map(filter => `\tonly ${describeFilter(filter)}`)
	return [`${rule.place.file}:${rule.place.line}: ${describeAction(rule.action)}`, ...filters, ...selectionRows(rule)]
}

/** `all`, `err and above`, `info, debug` or `none` for a severity mask. */
export function describeMask(mask: number): string {
	if (mask === 0) return 'none'
	if (mask === 0xff) return 'all'
	const severities = [0, 1, 2, 3, 4, 5, 6, 7].filter(severity => (mask & (1 << severity)) !== 0)
	const least = severities.at(-1) ?? 0
	// Bits 0 to `least` and no gap: what `f.p` selects.
	if (severities.length === least + 1 && least > 0) return `${severityName(least)} and above`
	return severities.map(severityName).join(', ')
}

export function describeAction(action: Action): string {
	switch (action.kind) {
		case 'file':
			return `file ${action.path} (${fileOptions(action).join(', ')})`
		case 'console':
			return 'console /dev/console'
		case 'users':
			return `users ${action.users.join(', ')} (no terminals to write to)`
		case 'wall':
			return 'everyone logged in (no terminals to write to)'
		case 'discard':
			return 'discard'
	}
}

export function describeFilter(filter: Filter): string {
	const not = filter.negated ? 'not ' : ''
	if (filter.kind !== 'property') return `${filter.kind} ${not}${filter.names.join(', ')}`
	const ignoreCase = filter.ignoreCase ? ' (any case)' : ''
	return `${filter.property} ${not}${filter.operator} ${JSON.stringify(filter.value)}${ignoreCase}`
}

function fileOptions(action: Action & { kind: 'file' }): string[] {
	const rotation =
		action.rotate === null ? [] : [`rotate ${action.rotate.sizeBytes} bytes, ${count(action.rotate.count, 'file')}`]
	return [action.format, ...(action.sync ? ['synced'] : []), ...rotation]
}

/** First what `*` selects, then the facilities that differ from it */
function selectionRows({ masks, unnamedMask }: Rule): string[] {
	const groups = new Map<number, string[]>()
	for (const [facility, mask] of masks.entries()) {
		if (mask !== unnamedMask) groups.set(mask, [...(groups.get(mask) ?? []), facilityName(facility)])
	}
	const rows = [...groups].map(([mask, names]) => `\t${names.join(',')}: ${describeMask(mask)}`)
	return unnamedMask === 0 ? rows : [`\t*: ${describeMask(unnamedMask)}`, ...rows]
}

function count(number: number, noun: string): string {
	return `${number} ${noun}${number === 1 ? '' : 's'}`
}
