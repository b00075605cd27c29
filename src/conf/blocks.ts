/**
 * Lines that narrow the rules below them: `!prog`, `+host`, `-host` and `:prop, op, "value"`, each also behind a `#`.
 * Source: syslog.conf(5) of sysklogd 2.7, Program and Hostname Filtering, PROPERTY-BASED FILTERS.
 *
 * Behind a `#` only a well formed block counts: `#----` and `#: see below` are comments, as their writers meant.
 */
import type { Filter, NamesFilter, Operator, Property, PropertyFilter } from './configuration.ts'
import { alternatives, type Fault, fault, isFault, quote } from './fault.ts'
import { utf8Of } from './lines.ts'

export type BlockKind = Filter['kind']

export interface Block {
	readonly kind: BlockKind
	/** Null: from here on nothing is narrowed in this way. */
	readonly filter: Filter | null
	/** Behind the block: the end of the line, but for rsyslog's property filters, which an action may follow. */
	readonly end: number
	/** Where the value of a property filter begins. */
	readonly valueOffset: number
}

/** Reads the block on this line; null when the line is none; a fault for a bad block. */
export function parseBlock(text: string): Block | Fault | null {
	const hashed = text.startsWith('#')
	const at = hashed ? 1 : 0
	const row = BLOCKS[text.charAt(at)]
	if (row === undefined) return null
	const block = row(text, at)
	if (!hashed) return block
	return isFault(block) || block.end < text.length ? null : block
}

const BLOCKS: Readonly<Record<string, (text: string, at: number) => Block | Fault>> = {
	'!': readProgram,
	'+': (text, at) => readNames('hostname', HOST_NAME, text, at + 1, false),
	'-': (text, at) => readNames('hostname', HOST_NAME, text, at + 1, true),
	':': readProperty,
}

interface NameForm {
	readonly pattern: RegExp
	readonly expected: string
}
/** What a tag or APP-NAME may hold: RFC 5424 PRINTUSASCII, without the comma of the list. */
const PROGRAM_NAME: NameForm = { pattern: /^[!-+\--~]{1,48}$/, expected: 'program names with commas between, or *' }
const HOST_NAME: NameForm = {
	pattern: /^(@|[A-Za-z0-9][A-Za-z0-9.:%_-]{0,254})$/,
	expected: 'host names with commas between, @ for this host, or *',
}

function readProgram(text: string, at: number): Block | Fault {
	const sign = text.charAt(at + 1)
	return readNames('program', PROGRAM_NAME, text, sign === '+' || sign === '-' ? at + 2 : at + 1, sign === '-')
}

function readNames(
	kind: NamesFilter['kind'],
	form: NameForm,
	text: string,
	start: number,
	negated: boolean,
): Block | Fault {
	const block = { kind, end: text.length, valueOffset: start }
	const list = text.slice(start).trim()
	if (list === '' || list === '*') return { ...block, filter: null }
	const names: string[] = []
	let at = start
	for (const part of text.slice(start).split(',')) {
		const name = part.trim()
		const offset = at + part.length - part.trimStart().length
		if (name !== '' && !form.pattern.test(name))
			return fault(offset, `Invalid name ${quote(name)}, expected ${form.expected}`)
		if (name !== '') names.push(kind === 'hostname' ? name.toLowerCase() : name)
		at += part.length + 1
	}
	if (names.length === 0) return fault(start, `Expected ${form.expected}`)
	return { ...block, filter: { kind, names, negated } }
}

const PROPERTIES: Readonly<Record<string, Property>> = {
	msg: 'msg',
	msgid: 'msgid',
	sd: 'sd',
	data: 'sd',
	programname: 'program',
	propertyname: 'program',
	hostname: 'hostname',
	source: 'hostname',
}

const OPERATORS: Readonly<Record<string, Operator>> = {
	contains: 'contains',
	isequal: 'isequal',
	startswith: 'startswith',
	regex: 'regex',
	ereregex: 'ereregex',
	eregex: 'ereregex',
}

/** `:*`, or `: property , [!|icase_]operator , "value"`; blanks may stand around each part. */
function readProperty(text: string, at: number): Block | Fault {
	if (/^:[ \t]*\*?$/.test(text.slice(at))) return { kind: 'property', filter: null, end: text.length, valueOffset: at }
	const property = readWord(text, at + 1)
	if (!Object.hasOwn(PROPERTIES, property.word)) {
		return fault(
			property.at,
			`Unknown property ${quote(property.word)}, expected ${alternatives(Object.keys(PROPERTIES))}`,
		)
	}
	if (text[property.end] !== ',') return fault(property.end, 'Expected "," and an operator after the property')
	const operator = readWord(text, property.end + 1)
	const [, signs = '', name = ''] = /^((?:!|icase_)*)(.*)$/s.exec(operator.word) ?? []
	if (!Object.hasOwn(OPERATORS, name)) {
		const names = alternatives(Object.keys(OPERATORS))
		return fault(
			operator.at + signs.length,
			`Unknown operator ${quote(name)}, expected ${names}, after "!" or "icase_" if needed`,
		)
	}
	if (text[operator.end] !== ',')
		return fault(operator.end, 'Expected "," and a value in double quotes after the operator')
	const value = readValue(text, operator.end + 1)
	if (isFault(value)) return value
	const filter: PropertyFilter = {
		kind: 'property',
		property: PROPERTIES[property.word] as Property,
		operator: OPERATORS[name] as Operator,
		value: utf8Of(value.bytes),
		negated: signs.includes('!'),
		ignoreCase: signs.includes('icase_'),
	}
	return { kind: 'property', filter, end: value.end, valueOffset: value.at }
}

function readWord(text: string, start: number): { word: string; at: number; end: number } {
	let at = start
	while (text[at] === ' ' || text[at] === '\t') at++
	let end = at
	while (end < text.length && !', \t'.includes(text.charAt(end))) end++
	const word = text.slice(at, end).toLowerCase()
	while (text[end] === ' ' || text[end] === '\t') end++
	return { word, at, end }
}

/** A value in double quotes; in it a backslash protects `"` and `\`, and stays where it stands before anything else. */
function readValue(text: string, start: number): { bytes: string; at: number; end: number } | Fault {
	let at = start
	while (text[at] === ' ' || text[at] === '\t') at++
	if (text[at] !== '"') return fault(at, 'Expected a value in double quotes')
	let bytes = ''
	for (let i = at + 1; i < text.length; i++) {
		if (text[i] === '"') {
			let end = i + 1
			while (text[end] === ' ' || text[end] === '\t') end++
			return { bytes, at: at + 1, end }
		}
		if (text[i] === '\\' && (text[i + 1] === '"' || text[i + 1] === '\\')) i++
		bytes += text[i]
	}
	return fault(at, 'Expected a closing double quote')
}
