/**
 * What may follow an action after `;`: the format of the lines, rotation, and the names of rsyslog's templates that say
 * the same. Source: syslog.conf(5) of sysklogd 2.7, OPTION; its bare `SIZE:COUNT` of version 1.6 is understood too.
 *
 * Invariant: a fault in an option costs that option, never the rule: no record goes missing because of how it would look.
 */
import type { Format } from './configuration.ts'
import { type Fault, fault, quote } from './fault.ts'

export interface Options {
	readonly format: Format | null
	/** What was asked for; the keywords `rotate_size` and `rotate_count` give the half that is missing. */
	readonly rotate: RotateRequest | null
	readonly faults: readonly Fault[]
	readonly warnings: readonly Fault[]
}
export interface RotateRequest {
	readonly sizeBytes: number | null
	readonly count: number | null
}

export const NO_OPTIONS: Options = { format: null, rotate: null, faults: [], warnings: [] }

/** Reads options from `start`, just behind the `;`, to the end of the text or a comment. */
export function parseOptions(text: string, start: number): Options {
	let options: Draft = { format: null, rotate: null }
	const faults: Fault[] = []
	const warnings: Fault[] = []
	for (let at = start; at < text.length; ) {
		while (at < text.length && ' \t,;'.includes(text.charAt(at))) at++
		if (at === text.length || text[at] === '#') break
		let end = at
		while (end < text.length && !' \t,;'.includes(text.charAt(end))) end++
		const word = text.slice(at, end)
		const row = OPTIONS.find(({ names }) => names.test(word))
		const outcome = row === undefined ? `Unknown option ${quote(word)}, expected one of ${KNOWN}` : row.read(word)
		if (typeof outcome === 'string') (row?.ignored === true ? warnings : faults).push(fault(at, outcome))
		else options = { ...options, ...outcome }
		at = end
	}
	return { ...options, faults, warnings }
}

/** `100`, `64k`, `10M`, `1G` in bytes; undefined for anything else. */
export function parseSizeBytes(text: string): number | undefined {
	const match = /^([0-9]{1,12})([kMG]?)$/i.exec(text)
	if (match === null) return undefined
	const bytes = Number(match[1]) * (UNIT_BYTES[(match[2] ?? '').toLowerCase()] ?? 1)
	return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A number of files, 0 to 999; undefined for anything else. */
export function parseCount(text: string): number | undefined {
	return /^[0-9]{1,3}$/.test(text) ? Number(text) : undefined
}

interface Draft {
	format: Format | null
	rotate: RotateRequest | null
}
interface OptionRow {
	readonly names: RegExp
	/** The option, or what to say about it. */
	read(word: string): Partial<Draft> | string
	/** True when what is said is no fault of the writer. */
	readonly ignored?: true
}

const UNIT_BYTES: Readonly<Record<string, number>> = { k: 1 << 10, m: 1 << 20, g: 1 << 30 }
const KNOWN = 'RFC3164, RFC5424, pri, rotate=SIZE:COUNT, iface=IFNAME or ttl=1..255'

/** Names are compared without regard to case, as in sysklogd. */
const OPTIONS: readonly OptionRow[] = [
	{ names: /^RFC3164$/i, read: () => ({ format: 'RFC3164' }) },
	{ names: /^RFC5424$/i, read: () => ({ format: 'RFC5424' }) },
	{ names: /^RSYSLOG_(Traditional(File|Forward)Format)$/i, read: () => ({ format: 'RFC3164' }) },
	{ names: /^RSYSLOG_SyslogProtocol23Format$/i, read: () => ({ format: 'RFC5424' }) },
	{ names: /^rotate=/i, read: word => readRotate(word.slice('rotate='.length), word) },
	{ names: /^[0-9]+[kMG]?(:[0-9]*)?$/i, read: word => readRotate(word, word) },
	{
		names: /^(pri$|iface=|ttl=|RSYSLOG_)/i,
		read: word => `Option ${quote(word)} has no effect in a private log`,
		ignored: true,
	},
]

function readRotate(text: string, word: string): Partial<Draft> | string {
	const [size = '', count = '', ...more] = text.split(':')
	const sizeBytes = size === '' ? null : parseSizeBytes(size)
	const files = count === '' ? null : parseCount(count)
	if (more.length > 0 || sizeBytes === undefined || files === undefined || (size === '' && count === '')) {
		return `Invalid rotation ${quote(word)}, expected rotate=SIZE:COUNT, rotate=SIZE or rotate=:COUNT, such as rotate=10M:5`
	}
	return { rotate: { sizeBytes, count: files } }
}
