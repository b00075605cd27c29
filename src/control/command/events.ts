/**
 * `pogctl events`: what happened to POGs, one a line: `Nov 21 22:00:01 web started pid=4711`.
 */
import type { EventFilter, EventKind, PogEvent } from '../events.ts'
import { EXIT, fail, printable, toJson } from './context.ts'
import type { Context } from './context.ts'
import { Following } from './following.ts'
import { LineClock, nameColour } from './line.ts'

export interface EventsOptions {
	follow?: boolean
	lines?: number
	since?: number
	pog?: readonly string[]
}

const RESET = '\x1b[0m'
/** What somebody may have to look at. */
const LOUD: Partial<Record<EventKind, string>> = { drops: '\x1b[33m', missed: '\x1b[33m' }

/** Prints events, and with `follow` those still to come. */
export async function events(context: Context, options: EventsOptions): Promise<number> {
	const filter: EventFilter = {
		...(options.lines !== undefined && { last: options.lines }),
		...(options.since !== undefined && { sinceRealtimeUs: options.since }),
		...(options.pog !== undefined && { pogs: options.pog }),
		...(options.follow === true && { follow: true }),
	}
	const answer = await context.client.events(filter)
	if ('failure' in answer) return fail(context, answer.failure)
	const { last: _last, ...rest } = filter
	const stream =
		options.follow === true
			? new Following({
					stream: answer.value,
					again: () => context.client.events(rest),
					// Those of the next engine begin anew: it has told none of them yet.
					sourceOf: () => '',
					isOver: () => Promise.resolve(false),
				})
			: answer.value
	const clock = new LineClock()
	for await (const batch of stream) {
		const lines = batch.map(event => (context.json ? toJson(event) : renderEvent(event, clock, context.colour)))
		await context.out(lines.map(line => `${line}\n`).join(''))
	}
	const { failure } = stream
	return failure === null ? EXIT.ok : fail(context, failure)
}

/** Without its newline. */
export function renderEvent({ realtimeUs, pog, event, fields }: PogEvent, clock: LineClock, colour: boolean): string {
	const name = printable(pog === '' ? '-' : pog)
	const details = Object.entries(fields).map(([key, value]) => ` ${key}=${printable(String(value))}`)
	const what = `${event}${details.join('')}`
	const loud = LOUD[event]
	const time = clock.timeOf(realtimeUs)
	if (!colour) return `${time} ${name} ${what}`
	return `${time} ${nameColour(name)}${name}${RESET} ${loud === undefined ? what : `${loud}${what}${RESET}`}`
}
