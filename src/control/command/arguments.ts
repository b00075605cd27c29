/**
 * Words of the command line as values: sizes, moments, facilities, severities, owners.
 *
 * Every parser is total: it answers a value, or what was expected instead.
 */
import { ATTACH_PARTS } from '../service.ts'
import type { AttachPart } from '../service.ts'
import { INSTANT_FORMS, parseInstant } from '../../lib/instant.ts'
import { formatSize, parseSize, SIZE_FORMS } from '../../lib/size.ts'
import { FACILITIES, facilityByName } from '../../record/facility.ts'
import { SEVERITIES, severityByName } from '../../record/severity.ts'
import { RING_BYTES } from '../calls.ts'

export type Understood<T> = { readonly value: T } | { readonly expected: string }

const code = (text: string, max: number): number | undefined => {
	return /^[0-9]{1,3}$/.test(text) && Number(text) <= max ? Number(text) : undefined
}
const severityNames = SEVERITIES.map(severity => severity.name).join(', ')
const facilityNames = FACILITIES.filter(facility => facility.code <= 23)
	.map(facility => facility.name)
	.join(', ')

export function parseRing(text: string): Understood<number> {
	const { min, max } = RING_BYTES
	const bytes = parseSize(text)
	if (bytes !== undefined && bytes >= min && bytes <= max) return { value: bytes }
	return { expected: `Expected ${SIZE_FORMS}, from ${formatSize(min)} to ${formatSize(max)}` }
}

export function parseQuota(text: string): Understood<number> {
	const bytes = parseSize(text)
	return bytes === undefined ? { expected: `Expected ${SIZE_FORMS}` } : { value: bytes }
}

export function parseCount(text: string): Understood<number> {
	return /^[0-9]{1,9}$/.test(text) ? { value: Number(text) } : { expected: 'Expected a whole number' }
}

/** Seconds, as milliseconds. */
export function parseDelay(text: string): Understood<number> {
	const seconds = /^[0-9]{1,4}(\.[0-9]{1,3})?$/.test(text) ? Number(text) : 0
	return seconds >= 0.1 ? { value: seconds * 1000 } : { expected: 'Expected seconds, 0.1 or more' }
}

export function parseSince(text: string, nowMs: number): Understood<number> {
	const realtimeUs = parseInstant(text, nowMs)
	if (realtimeUs === undefined) return { expected: `Expected ${INSTANT_FORMS}` }
	return { value: Math.max(0, realtimeUs) }
}

/** One or more, by comma. */
export function parseFacilities(text: string): Understood<number[]> {
	const codes = text.split(',').map(word => facilityByName(word) ?? code(word, 255))
	const known = codes.filter(each => each !== undefined)
	if (known.length === codes.length) return { value: known }
	return { expected: `Expected one or more of ${facilityNames}, separated by commas` }
}

export function parseSeverity(text: string): Understood<number> {
	const severity = severityByName(text) ?? code(text, 7)
	return severity === undefined ? { expected: `Expected one of ${severityNames}, or 0 to 7` } : { value: severity }
}

export interface Priority {
	facility?: number
	severity: number
}

/** `local0.err`, or a severity alone, as logger(1) takes them. */
export function parsePriority(text: string): Understood<Priority> {
	const [first = '', second, ...more] = text.split('.')
	const severity = parseSeverity(second ?? first)
	if ('value' in severity && more.length === 0) {
		if (second === undefined) return { value: { severity: severity.value } }
		const facility = facilityByName(first) ?? code(first, 23)
		if (facility !== undefined && facility <= 23) return { value: { facility, severity: severity.value } }
	}
	return { expected: 'Expected FACILITY.SEVERITY such as local0.err, or a severity such as warning' }
}

/** `UID` or `UID:GID`. */
export function parseOwner(text: string): Understood<{ uid: number; gid: number }> {
	const match = /^([0-9]{1,10})(?::([0-9]{1,10}))?$/.exec(text)
	if (match === null) return { expected: 'Expected UID or UID:GID, host ids' }
	const uid = Number(match[1])
	return { value: { uid, gid: match[2] === undefined ? uid : Number(match[2]) } }
}

/** A POG's name: the service knows the rest of the rule, but nothing must not become another path of the API. */
export function parseName(text: string): Understood<string> {
	return text === '' ? { expected: 'Expected the name of a POG' } : { value: text }
}

export function parsePid(text: string): Understood<number> {
	return /^[1-9][0-9]{0,6}$/.test(text) ? { value: Number(text) } : { expected: 'Expected a process id' }
}

export function parseParts(text: string): Understood<AttachPart[]> {
	const words = text.split(',').map(word => word.trim())
	const parts = ATTACH_PARTS.filter(part => words.includes(part))
	if (parts.length === new Set(words).size) return { value: parts }
	return { expected: `Expected some of ${ATTACH_PARTS.join(', ')}, separated by commas` }
}
