/**
 * A selector, `fac[,fac...].[!][=]prio[;...]`, to one severity mask a facility. Source: syslog.conf(5) of sysklogd 2.7,
 * SELECTORS, and its table of masks, measured (fixtures/selectors).
 *
 * Invariant: selectors apply left to right, each to what the ones before it left; a selector with any fault selects nothing.
 */
import { FACILITIES, facilityByName } from '../record/facility.ts'
import { SEVERITIES, severityByName } from '../record/severity.ts'
import { MASKED_FACILITIES } from './configuration.ts'
import { type Fault, fault, quote } from './fault.ts'

export interface Selected {
	/** Indexed by facility; bit p is severity p. */
	readonly masks: Uint8Array
	/** What `*` selects of facilities that have no name. */
	readonly unnamedMask: number
	/** Offset of the blank that ends the selector, or the length of the text. */
	readonly end: number
}

/** Reads the selector at `start`. */
export function parseSelector(text: string, start = 0): Selected | Fault {
	// One more than there are facilities: the last is every facility without a name.
	const masks = new Uint8Array(MASKED_FACILITIES + 1)
	let at = start
	while (at < text.length && !isBlank(text, at)) {
		const dot = readFacilities(text, at)
		if ('fault' in dot) return dot
		const end = wordEnd(text, dot.at + 1, ',; \t')
		const operation = parseOperation(text.slice(dot.at + 1, end), dot.at + 1)
		if ('fault' in operation) return operation
		for (const facility of dot.facilities) {
			if (facility !== EVERY) masks[facility] = operation.apply(masks[facility] as number, operation.bits)
			else for (let i = 0; i < masks.length; i++) masks[i] = operation.apply(masks[i] as number, operation.bits)
		}
		at = end
		while (text[at] === ',' || text[at] === ';') at++
	}
	if (at === start) return fault(start, 'Expected a selector such as "mail.info"')
	return { masks: masks.subarray(0, MASKED_FACILITIES), unnamedMask: masks[MASKED_FACILITIES] as number, end: at }
}

const EVERY = -1
const HIGHEST_NUMBER = 23 << 3

interface FacilityList {
	facilities: number[]
	/** Offset of the dot. */
	at: number
}

function readFacilities(text: string, start: number): FacilityList | Fault {
	const facilities: number[] = []
	for (let at = start; ; ) {
		const end = wordEnd(text, at, ',.; \t')
		const name = text.slice(at, end)
		if (name === '')
			return fault(
				at,
				`Expected a facility, found ${at < text.length ? quote(text.charAt(at)) : 'the end of the line'}`,
			)
		const facility = parseFacility(name, at)
		if (typeof facility !== 'number') return facility
		facilities.push(facility)
		if (text[end] === '.') return { facilities, at: end }
		if (text[end] !== ',') return fault(end, `Expected "." and a severity after facility ${quote(name)}`)
		at = end
		while (text[at] === ',' || (at < text.length && isBlank(text, at))) at++
	}
}

function parseFacility(name: string, at: number): number | Fault {
	if (name === '*') return EVERY
	if (!/^[0-9]+$/.test(name)) {
		return facilityByName(name) ?? fault(at, `Unknown facility ${quote(name)}, expected one of ${FACILITY_NAMES} or *`)
	}
	const code = Number(name)
	// As LOG_AUTH in <syslog.h>: shifted by the three bits of the severity.
	if (code % 8 === 0 && code <= HIGHEST_NUMBER) return code >> 3
	return fault(
		at,
		`Unknown facility ${quote(name)}, expected a multiple of 8 from 0 (kern) to ${HIGHEST_NUMBER} (local7)`,
	)
}

interface Operation {
	apply(mask: number, bits: number): number
	bits: number
}

const ALL = 0xff
const add = (mask: number, bits: number) => mask | bits
const remove = (mask: number, bits: number) => mask & ~bits
const replace = (_mask: number, bits: number) => bits
const keep = (mask: number) => mask

/** The words that are no severity, by the signs before them. `none` comes first in sysklogd: `=` changes nothing there. */
const WORDS: Readonly<Record<string, Operation>> = {
	'*': { apply: replace, bits: ALL },
	'!*': { apply: replace, bits: 0 },
	'=*': { apply: keep, bits: 0 },
	'!=*': { apply: keep, bits: 0 },
	none: { apply: replace, bits: 0 },
	'=none': { apply: replace, bits: 0 },
	'!none': { apply: replace, bits: ALL },
	'!=none': { apply: replace, bits: ALL },
}

function parseOperation(text: string, at: number): Operation | Fault {
	const word = Object.hasOwn(WORDS, text.toLowerCase()) ? WORDS[text.toLowerCase()] : undefined
	if (word !== undefined) return word
	const signs = text.startsWith('!=') ? 2 : text.startsWith('!') || text.startsWith('=') ? 1 : 0
	const name = text.slice(signs)
	if (name === '') return fault(at + signs, `Expected a severity: one of ${SEVERITY_NAMES}, * or none`)
	const severity = /^[0-7]$/.test(name) ? Number(name) : severityByName(name)
	if (severity === undefined) {
		return fault(at + signs, `Unknown severity ${quote(name)}, expected one of ${SEVERITY_NAMES}, * or none`)
	}
	const bits = text[signs - 1] === '=' ? 1 << severity : (2 << severity) - 1
	return { apply: text.startsWith('!') ? remove : add, bits }
}

const FACILITY_NAMES = Object.values(FACILITIES).map(nameOf).join(', ')
const SEVERITY_NAMES = Object.values(SEVERITIES).map(nameOf).join(', ')

function nameOf(row: { readonly name: string }): string {
	return row.name
}

function isBlank(text: string, at: number): boolean {
	return text[at] === ' ' || text[at] === '\t'
}

function wordEnd(text: string, start: number, stops: string): number {
	let at = start
	while (at < text.length && !stops.includes(text.charAt(at))) at++
	return at
}
