/**
 * The commands about records: `logs` reads them, `write` writes them.
 */
import { LineSplitter } from '../../lib/lines.ts'
import type { NewRecord } from '../calls.ts'
import type { RecordFilter } from '../service.ts'
import { EXIT, fail, failHere, printJson, toJson } from './context.ts'
import type { Context } from './context.ts'
import { Following } from './following.ts'
import { LineRenderer } from './line.ts'

export interface LogsOptions {
	follow?: boolean
	lines?: number
	since?: number
	until?: number
	grep?: string
	pog?: readonly string[]
	facility?: readonly number[]
	severity?: number
	previous?: boolean
}

/** Prints records, and with `follow` those still to come. */
export async function logs(context: Context, name: string | undefined, options: LogsOptions): Promise<number> {
	const filter: RecordFilter = {
		...(options.lines !== undefined && { last: options.lines }),
		...(options.since !== undefined && { sinceRealtimeUs: options.since }),
		...(options.until !== undefined && { untilRealtimeUs: options.until }),
		...(options.grep !== undefined && { text: options.grep }),
		...(options.pog !== undefined && { pogs: options.pog }),
		...(options.facility !== undefined && { facilities: options.facility }),
		...(options.severity !== undefined && { severity: options.severity }),
		...(options.previous === true && { previous: true }),
		...(options.follow === true && { follow: true }),
	}
	let nameWidth: number | undefined
	if (name === undefined && !context.json) {
		const answer = await context.client.call('list', {})
		if ('failure' in answer) return fail(context, answer.failure)
		const shown = options.pog ?? answer.value.map(pog => pog.name)
		nameWidth = Math.max(...shown.map(each => each.length), 4)
	}
	const answer = await context.client.records(name ?? null, filter)
	if ('failure' in answer) return fail(context, answer.failure)
	const { last: _last, ...rest } = filter
	const stream =
		filter.follow === true
			? new Following({
					stream: answer.value,
					again: sinceUs =>
						context.client.records(name ?? null, {
							...rest,
							sinceRealtimeUs: Math.max(Math.trunc(sinceUs), filter.sinceRealtimeUs ?? 0),
						}),
					sourceOf: record => record.pog,
					isEndless: record => record.pog === 'host',
					isOver: async () =>
						isPast(filter) || filter.previous === true || (name !== undefined && (await isGone(context, name))),
				})
			: answer.value
	const renderer = new LineRenderer({ colour: context.colour, ...(nameWidth !== undefined && { nameWidth }) })
	for await (const records of stream) {
		const lines = records.map(record => (context.json ? `${toJson(record)}\n` : renderer.render(record)))
		await context.out(lines.join(''))
	}
	const { failure } = stream
	return failure === null ? EXIT.ok : fail(context, failure)
}

function isPast({ untilRealtimeUs }: RecordFilter): boolean {
	return untilRealtimeUs !== undefined && Date.now() * 1000 > untilRealtimeUs
}

async function isGone({ client }: Context, name: string): Promise<boolean> {
	const answer = await client.call('show', { params: { name } })
	return 'failure' in answer && answer.failure.status === 404
}

export interface WriteOptions {
	facility?: number
	severity?: number
	tag: string
}

/** Writes one record of `words`, or one for each line of stdin when there are none. */
export async function write(
	context: Context,
	name: string,
	words: readonly string[],
	options: WriteOptions,
): Promise<number> {
	const one = async (text: string): Promise<number> => {
		const body: NewRecord = { text, ...options }
		const answer = await context.client.call('write', { params: { name }, body })
		if ('failure' in answer) return fail(context, answer.failure)
		if (context.json) await printJson(context, answer.value)
		return EXIT.ok
	}
	if (words.length > 0) return one(words.join(' '))
	const splitter = new LineSplitter()
	for await (const chunk of process.stdin) {
		for (const line of splitter.push(chunk as Buffer)) {
			const code = await one(line)
			if (code !== EXIT.ok) return code
		}
		if (splitter.overflowed) return failHere(context, 'Cannot write stdin: a line is longer than 1 MiB')
	}
	const rest = splitter.rest()
	return rest === '' ? EXIT.ok : one(rest)
}
