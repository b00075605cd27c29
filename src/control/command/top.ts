/**
 * `pogctl top`: POGs by how much they log, with ring, drops and newest record; drawn in place once a second.
 *
 * Source of the sequences: ECMA-48 and xterm's "ctlseqs" (DECTCEM, DECAWM, the alternate screen 1049). Invariant: however it ends,
 * the terminal is as it was, and nothing that a container wrote reaches it raw.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { PogInfo, RecordInfo } from '../../pog/info.ts'
import { formatSize } from '../../lib/size.ts'
import type { Answered } from '../client.ts'
import { EXIT, fail, printable, printJson } from './context.ts'
import type { Context } from './context.ts'
import { LineClock } from './line.ts'
import { renderTable } from './table.ts'

export interface TopOptions {
	/** Milliseconds between two looks. */
	delay?: number
	once?: boolean
}

/** All POGs at one moment. */
export interface Sample {
	readonly atMs: number
	readonly pogs: readonly PogInfo[]
	readonly newest: readonly RecordInfo[]
}

/** One line of the table. */
export interface TopRow {
	id: number
	pog: string
	status: PogInfo['status']
	/** Records a second since the look before. */
	rate: number
	ring: { usedBytes: number; sizeBytes: number }
	drops: number
	newDrops: number
	newest: RecordInfo | null
}

const DEFAULT_DELAY_MS = 1000

/** Draws until `q` or ^C on a terminal; elsewhere, and with `once`, prints one table of one interval. */
export async function top(context: Context, options: TopOptions): Promise<number> {
	const delayMs = options.delay ?? DEFAULT_DELAY_MS
	if (options.once === true || !context.terminal || context.json) return printOnce(context, delayMs)
	const quit = new AbortController()
	const screen = new Screen(() => quit.abort())
	let before: Sample | undefined
	try {
		while (!quit.signal.aborted) {
			const sample = await take(context)
			if ('failure' in sample) {
				screen.close()
				return fail(context, sample.failure)
			}
			screen.draw(renderTop(compare(before, sample.value), sample.value.atMs), context.colour)
			before = sample.value
			await sleep(delayMs, undefined, { signal: quit.signal }).catch(() => {})
		}
	} finally {
		screen.close()
	}
	return EXIT.ok
}

async function printOnce(context: Context, delayMs: number): Promise<number> {
	const before = await take(context)
	if ('failure' in before) return fail(context, before.failure)
	await sleep(delayMs)
	const after = await take(context)
	if ('failure' in after) return fail(context, after.failure)
	const rows = compare(before.value, after.value)
	if (context.json) await printJson(context, rows)
	else await context.out(`${renderTop(rows, after.value.atMs).join('\n')}\n`)
	return EXIT.ok
}

async function take({ client }: Context): Promise<Answered<Sample>> {
	const [pogs, newest] = await Promise.all([client.call('list', {}), client.call('newest', {})])
	if ('failure' in pogs) return pogs
	if ('failure' in newest) return newest
	return { value: { atMs: Date.now(), pogs: pogs.value, newest: newest.value } }
}

/** The busiest first. Without a look before, nothing has a rate. */
export function compare(before: Sample | undefined, now: Sample): TopRow[] {
	const earlier = new Map(before?.pogs.map(pog => [pog.id, pog]))
	const newest = new Map(now.newest.map(record => [record.pog, record]))
	const seconds = Math.max(0.001, (now.atMs - (before?.atMs ?? now.atMs)) / 1000)
	const rows = now.pogs.map((pog): TopRow => {
		const was = earlier.get(pog.id) ?? pog
		return {
			id: pog.id,
			pog: pog.name,
			status: pog.status,
			rate: Math.max(0, pog.ring.nextSeq - was.ring.nextSeq) / seconds,
			ring: { usedBytes: pog.ring.usedBytes, sizeBytes: pog.ring.sizeBytes },
			drops: sum(pog.drops),
			newDrops: Math.max(0, sum(pog.drops) - sum(was.drops)),
			newest: newest.get(pog.name) ?? null,
		}
	})
	return rows.toSorted((a, b) => b.rate - a.rate || a.id - b.id)
}

/** A line about all, the titles, a line for each POG. */
export function renderTop(rows: readonly TopRow[], atMs: number): string[] {
	const clock = new LineClock()
	const rate = rows.reduce((total, row) => total + row.rate, 0)
	const drops = rows.reduce((total, row) => total + row.newDrops, 0)
	const time = clock.timeOf(atMs * 1000).slice(7)
	const columns = [
		{ title: 'POG', align: 'right' },
		{ title: 'NAME' },
		{ title: 'STATUS' },
		{ title: 'RATE/S', align: 'right' },
		{ title: 'RING', align: 'right' },
		{ title: 'FULL', align: 'right' },
		{ title: 'DROPS', align: 'right' },
		{ title: 'LAST' },
	] as const
	const cells = rows.map(row => [
		String(row.id),
		row.pog,
		row.status,
		row.rate < 10 ? String(Math.round(row.rate * 10) / 10) : String(Math.round(row.rate)),
		formatSize(row.ring.sizeBytes),
		`${Math.round((100 * row.ring.usedBytes) / Math.max(1, row.ring.sizeBytes))}%`,
		row.newDrops === 0 ? String(row.drops) : `${row.drops} +${row.newDrops}`,
		row.newest === null ? '-' : lastLine(row.newest, clock),
	])
	const pogs = `${rows.length} ${rows.length === 1 ? 'log' : 'logs'}`
	return [`${time}  ${pogs}, ${Math.round(rate)} records/s, ${drops} new drops`, ...renderTable(columns, cells)]
}

function lastLine({ realtimeUs, tag, text }: RecordInfo, clock: LineClock): string {
	return `${clock.timeOf(realtimeUs).slice(7)} ${tag === '' ? '' : `${tag}: `}${text}`
}

function sum(counts: Readonly<Record<string, number>>): number {
	return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** q, ^C and ^D: nothing else is a signal while keys come as they are typed. */
const QUIT_KEYS = ['q', 'Q', '\x03', '\x04'] as const
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'

/** The terminal while it is ours: another page, no cursor, keys as they are typed. */
class Screen {
	#open = true
	#lines: readonly string[] = []
	#colour = false
	readonly #quit: () => void
	readonly #redraw = (): void => this.draw(this.#lines, this.#colour)
	readonly #typed = (keys: Buffer): void => {
		const typed = keys.toString('latin1')
		if (QUIT_KEYS.some(key => typed.includes(key))) this.#quit()
	}

	constructor(quit: () => void) {
		this.#quit = quit
		const { stdin, stdout } = process
		stdout.write(ENTER)
		stdout.on('resize', this.#redraw)
		for (const signal of SIGNALS) process.on(signal, quit)
		if (!stdin.isTTY) return
		stdin.setRawMode(true)
		stdin.on('data', this.#typed)
	}

	/** As much as there is room for. */
	draw(lines: readonly string[], colour: boolean): void {
		if (!this.#open) return
		this.#lines = lines
		this.#colour = colour
		const { stdout } = process
		// A terminal that does not know its size says 0.
		const rows = stdout.rows || 24
		const columns = stdout.columns || 80
		const shown = lines.slice(0, rows).map(line => Array.from(printable(line)).slice(0, columns).join(''))
		const dressed = shown.map((line, n) => (colour && n === 1 ? `\x1b[7m${line.padEnd(columns)}\x1b[0m` : line))
		stdout.write(`\x1b[H${dressed.map(line => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
	}

	/** The terminal as it was. */
	close(): void {
		if (!this.#open) return
		this.#open = false
		const { stdin, stdout } = process
		stdout.off('resize', this.#redraw)
		for (const signal of SIGNALS) process.off(signal, this.#quit)
		if (stdin.isTTY) {
			stdin.off('data', this.#typed)
			stdin.setRawMode(false)
			stdin.pause()
		}
		stdout.write(LEAVE)
	}
}
