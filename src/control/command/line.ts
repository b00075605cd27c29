/**
 * One record as one line for people, in the traditional syslog form (RFC 3164 section 4.1): `Nov 21 22:00:01 name tag[pid]: text`.
 *
 * The time is local, as in every /var/log/messages; the POG's name stands where the host name does. Colours by severity, as
 * journalctl and `dmesg --color` have them.
 */
import type { RecordInfo } from '../../pog/info.ts'
import { printable } from './context.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const
const RED_BOLD = '\x1b[1;31m'
/** SGR sequences by severity, emerg to debug. */
const COLOURS = [RED_BOLD, RED_BOLD, RED_BOLD, '\x1b[31m', '\x1b[33m', '\x1b[1m', '', '\x1b[2m'] as const
const RESET = '\x1b[0m'
/** So that each POG keeps its own: no colours that severities have. */
const NAME_COLOURS = [
	'\x1b[36m',
	'\x1b[32m',
	'\x1b[35m',
	'\x1b[34m',
	'\x1b[96m',
	'\x1b[92m',
	'\x1b[95m',
	'\x1b[94m',
] as const
const HOST_COLOUR = '\x1b[1m'

/** The same name has the same colour, in every run. */
export function nameColour(name: string): string {
	let sum = 0
	for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) % 65_521
	return name === 'host' ? HOST_COLOUR : (NAME_COLOURS[sum % NAME_COLOURS.length] ?? '')
}

export interface LineStyle {
	colour: boolean
	/** Set when several POGs are shown: the name comes first, padded to this width, and not again in the line. */
	nameWidth?: number
}

/** Renders records. */
export class LineRenderer {
	readonly #style: LineStyle
	readonly #clock = new LineClock()
	/** Grows with the names that come. */
	#nameWidth: number

	constructor(style: LineStyle) {
		this.#style = style
		this.#nameWidth = style.nameWidth ?? 0
	}

	/** With its newline. */
	render(record: RecordInfo): string {
		const { colour, nameWidth } = this.#style
		const name = printable(record.pog)
		const tag = printable(record.tag)
		const procid = record.procid === '' ? '' : `[${printable(record.procid)}]`
		const head = tag === '' && procid === '' ? '' : `${tag}${procid}: `
		const text = `${head}${printable(record.text)}`
		const start = colour ? (COLOURS[record.severity] ?? '') : ''
		const body = start === '' ? text : `${start}${text}${RESET}`
		const time = this.#clock.timeOf(record.realtimeUs)
		if (nameWidth === undefined) return `${time} ${name} ${body}\n`
		this.#nameWidth = Math.max(this.#nameWidth, name.length)
		const padded = name.padEnd(this.#nameWidth)
		return `${colour ? `${nameColour(name)}${padded}${RESET}` : padded} | ${time} ${body}\n`
	}
}

/** Local times as syslog writes them; keeps the text of the last second, which most records share. */
export class LineClock {
	#second = Number.NaN
	#time = ''

	timeOf(realtimeUs: number): string {
		const second = Math.floor(realtimeUs / 1e6)
		if (second !== this.#second) {
			const date = new Date(second * 1000)
			const day = String(date.getDate()).padStart(2)
			const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(part => String(part).padStart(2, '0'))
			this.#second = second
			this.#time = `${MONTHS[date.getMonth()] ?? '???'} ${day} ${clock.join(':')}`
		}
		return this.#time
	}
}
