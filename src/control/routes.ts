/**
 * What the server does for each call: the table of handlers, bound to what they accept.
 *
 * Handlers are typed by `Calls`; binding hides the types, so that the server serves them all alike.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'
import type { CallName, Calls, NewRecord } from './calls.ts'
import { parseJson } from './json.ts'
import { describeIssues, SCHEMAS } from './schemas.ts'
import type { Outcome, PogService } from './service.ts'

/** What a handler is given. */
export interface Given<N extends CallName> {
	params: { name: string }
	query: Calls[N]['query']
	body: Calls[N]['body']
	/** Aborted when the client went away or the server closes. */
	signal: AbortSignal
}
type Answer<T> = Outcome<T> | Promise<Outcome<T>>
type Handlers = { readonly [N in CallName]: (given: Given<N>) => Answer<Calls[N]['reply']> }

/** A request as it came in. */
export interface Raw {
	params: { name: string }
	query: Record<string, string>
	body: Buffer
	contentType: string
	signal: AbortSignal
}
export type Reply = { value: unknown } | { failure: { status: number; message: string; diagnostics?: Diagnostic[] } }
export type BoundRoutes = Readonly<Record<CallName, (raw: Raw) => Promise<Reply>>>

/** Binds every call to the service. `renderMetrics` is asked at each scrape. */
export function bindRoutes(service: PogService, renderMetrics: () => Promise<string>): BoundRoutes {
	const handlers: Handlers = {
		describe: () => ({ value: service.describe() }),
		list: async () => ({ value: await service.list() }),
		create: ({ body }) => service.create(body),
		show: ({ params }) => service.show(params.name),
		remove: ({ params }) => service.remove(params.name),
		clear: ({ params }) => service.clear(params.name),
		resize: ({ params, body }) => service.resize(params.name, body.sizeBytes),
		write: ({ params, body }) => service.write(params.name, completeRecord(body)),
		records: ({ params, query, signal }) => service.records(params.name, query, signal),
		allRecords: ({ query, signal }) => service.records(null, query, signal),
		newest: () => ({ value: service.newest() }),
		events: ({ query, signal }) => service.events(query, signal),
		readConf: ({ params }) => service.readConf(params.name),
		writeConf: ({ params, body }) => service.writeConf(params.name, body.text),
		resetConf: ({ params }) => service.resetConf(params.name),
		attach: ({ params, body }) => service.attach(params.name, body),
		detach: ({ params }) => service.detach(params.name),
		started: ({ params, body }) => service.started(params.name, body.pid, body.keep),
		upgrade: () => service.upgrade(),
		metrics: async () => ({ value: await renderMetrics() }),
	}
	const entries = (Object.keys(handlers) as CallName[]).map(call => [call, bind(call, handlers)] as const)
	return Object.fromEntries(entries) as BoundRoutes
}

function bind<N extends CallName>(call: N, handlers: Handlers): (raw: Raw) => Promise<Reply> {
	const { query: querySchema, body: bodySchema } = SCHEMAS[call]
	const handler = handlers[call]
	return async raw => {
		const query = querySchema.safeParse(raw.query)
		if (!query.success) return refused(describeIssues('query', query.error))
		const decoded = decodeBody(call, raw)
		if ('problem' in decoded) return refused(`Cannot parse the body as JSON: ${decoded.problem}`)
		const body = bodySchema.safeParse(decoded.value)
		if (!body.success) return refused(describeIssues('body', body.error))
		return handler({ params: raw.params, query: query.data, body: body.data, signal: raw.signal })
	}
}

function refused(message: string): Reply {
	return { failure: { status: 400, message } }
}

/** A configuration may come as it is (`curl --data-binary @syslog.conf`); all else is JSON, whatever its label. */
function decodeBody(call: CallName, raw: Raw): { value: unknown } | { problem: string } {
	const text = raw.body.toString('utf8')
	if (call === 'writeConf' && !/^application\/json\b/i.test(raw.contentType)) return { value: { text } }
	return text === '' ? { value: undefined } : parseJson(text)
}

/** The schema has already turned names into codes. */
function completeRecord(body: NewRecord): { facility: number; severity: number; tag: string; text: string } {
	const { text, tag = '', facility = 1, severity = 5 } = body
	return { text, tag, facility: Number(facility), severity: Number(severity) }
}
