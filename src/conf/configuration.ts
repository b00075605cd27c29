/**
 * What a syslog.conf means, as data: rules in the order of the file, the settings outside of rules, and everything
 * that was wrong with the text. Source: syslog.conf(5) of sysklogd 2.7.
 *
 * A configuration is a value: parsing the same text gives the same configuration, and nothing changes it afterwards.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'

/** Facilities that selectors can name: 0 to 23, and the internal facility `mark`, 24. */
export const MASKED_FACILITIES = 25

export interface Configuration {
	readonly rules: readonly Rule[]
	readonly keywords: Keywords
	/** Errors and warnings in the order of the text. */
	readonly diagnostics: readonly Diagnostic[]
	/** False when the text as a whole cannot be read; the last good configuration then stays in force. */
	readonly usable: boolean
}

export interface Rule {
	readonly place: Place
	/** One byte a facility (0 to 23, `mark` 24); bit p is set when severity p is selected. */
	readonly masks: Uint8Array
	/** The same for facilities that have no name (above 23): only `*` speaks of them. */
	readonly unnamedMask: number
	/** All of them must match. */
	readonly filters: readonly Filter[]
	readonly action: Action
}

export interface Place {
	readonly file: string
	/** From 1. */
	readonly line: number
}

export type Format = 'RFC3164' | 'RFC5424'

export interface Rotation {
	readonly sizeBytes: number
	/** Rotated files kept beside the one being written. */
	readonly count: number
}

export interface FileAction {
	readonly kind: 'file'
	/** Absolute and below /var/log, without empty, `.` or `..` parts. */
	readonly path: string
	readonly sync: boolean
	readonly format: Format
	readonly rotate: Rotation | null
}
export interface ConsoleAction {
	readonly kind: 'console'
}
export interface UsersAction {
	readonly kind: 'users'
	readonly users: readonly string[]
}
export interface WallAction {
	readonly kind: 'wall'
}
/** Ends the evaluation of the rules for a record. */
export interface DiscardAction {
	readonly kind: 'discard'
}
export type Action = FileAction | ConsoleAction | UsersAction | WallAction | DiscardAction

export type Property = 'msg' | 'msgid' | 'sd' | 'program' | 'hostname'
export type Operator = 'contains' | 'isequal' | 'startswith' | 'regex' | 'ereregex'

export interface NamesFilter {
	readonly kind: 'program' | 'hostname'
	/** Host names in lower case; `@` is the local host. */
	readonly names: readonly string[]
	readonly negated: boolean
}
export interface PropertyFilter {
	readonly kind: 'property'
	readonly property: Property
	readonly operator: Operator
	readonly value: string
	readonly negated: boolean
	readonly ignoreCase: boolean
}
export type Filter = NamesFilter | PropertyFilter

/** Settings outside of rules. */
export interface Keywords {
	readonly rotateSizeBytes: number | null
	readonly rotateCount: number | null
}

/** Bounds that keep any text, however hostile, from costing more than its container should. */
export interface Limits {
	readonly textBytes: number
	/** Of a logical line, continuation lines joined. */
	readonly lineBytes: number
	/** Logical lines, comments not counted. */
	readonly lines: number
	readonly rules: number
	/** Distinct files that rules may name: a route is one bit. */
	readonly files: number
	readonly includes: number
	readonly diagnostics: number
	/** Distinct filters. */
	readonly filters: number
	/** Of a value in a property filter. */
	readonly valueBytes: number
	/** States of all regular expressions together: the work for a character is at most this. */
	readonly regexNodes: number
	/** States times characters: the work for a record is at most this, so that more states look at fewer characters. */
	readonly regexWork: number
}

/** The longest text: ten times what anybody was seen to write, and read in some ten milliseconds. */
export const DEFAULT_LIMITS: Limits = {
	textBytes: 128 << 10,
	lineBytes: 2048,
	lines: 8192,
	rules: 512,
	files: 32,
	includes: 64,
	diagnostics: 100,
	filters: 32,
	valueBytes: 128,
	regexNodes: 1024,
	regexWork: 1 << 18,
}
