/**
 * The client of the control API: `pogctl`, `pogctl run` and tests.
 *
 * Driven by `CALLS`, without the server's schemas, so that it loads in milliseconds. Invariant: whatever the service does, or when
 * there is none, the answer is a value or a failure with its remedy; nothing is thrown.
 */
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Diagnostic } from '../lib/diagnostic.ts'
import { LineSplitter } from '../lib/lines.ts'
import type { RecordInfo } from '../pog/info.ts'
import { apiSocketPath, CALLS, socketPathProblem } from './calls.ts'
import type { CallName, Calls, ErrorBody } from './calls.ts'
import type { EventFilter, PogEvent } from './events.ts'
import type { RecordFilter } from './service.ts'

export interface ClientFailure {
	readonly failure: {
		/** HTTP status of the service's answer; 0 when the service could not be reached, or broke off. */
		status: number
		message: string
		diagnostics?: Diagnostic[]
		/** The service took the call, or at least the connection, and broke off. */
		broken?: true
	}
}
export type Answered<T> = { readonly value: T } | ClientFailure

/** What a stream carries as it arrives, in batches. When the iteration is over, `failure` says whether it broke. */
export interface LineStream<T> extends AsyncIterable<readonly T[]> {
	readonly failure: ClientFailure['failure'] | null
}

type Part<N extends CallName, K extends 'params' | 'body'> = [Calls[N][K]] extends [undefined]
	? { [key in K]?: undefined }
	: Record<never, never> extends Calls[N][K]
		? { [key in K]?: Calls[N][K] }
		: { [key in K]: Calls[N][K] }
/** What a call needs: `params` where its path has some, `body` where it takes one. */
export type Sent<N extends CallName> = Part<N, 'params'> & Part<N, 'body'>
type PlainCall = Exclude<CallName, 'records' | 'allRecords' | 'events'>

const TRIES = 3

export class Client {
	readonly #runDir: string
	readonly #socketPath: string
	readonly #timeoutMs: number

	/** `timeoutMs` is how long the service may stay silent within one plain call. */
	constructor(runDir: string, options: { timeoutMs?: number } = {}) {
		this.#runDir = runDir
		this.#socketPath = apiSocketPath(runDir)
		this.#timeoutMs = options.timeoutMs ?? 60_000
	}

	/**
	 * One call, one answer. When the service breaks off, because it is replaced in the middle, a call that can be made twice is made
	 * again (RFC 9110, 9.2.2, "Idempotent Methods"): its successor is there in a moment.
	 */
	async call<N extends PlainCall>(name: N, sent: Sent<N>): Promise<Answered<Calls[N]['reply']>> {
		let answer = await this.#callOnce(name, sent)
		for (let again = 0; again < TRIES && CALLS[name].method !== 'POST' && isBroken(answer); again++) {
			answer = await this.#callOnce(name, sent)
			// The first one had done it.
			if (CALLS[name].method === 'DELETE' && 'failure' in answer && answer.failure.status === 404)
				return { value: null as Calls[N]['reply'] }
		}
		return answer
	}

	async #callOnce<N extends PlainCall>(name: N, sent: Sent<N>): Promise<Answered<Calls[N]['reply']>> {
		const parts: { params?: object | undefined; body?: unknown } = sent
		const answer = await this.#request(name, pathOf(name, parts.params), parts.body, this.#timeoutMs)
		if ('failure' in answer) return answer
		const text = await readText(answer.value)
		if (text === null) return this.#broken()
		const status = answer.value.statusCode ?? 0
		if (status >= 400) return refusal(status, text)
		if (CALLS[name].reply === 'text') return { value: text as Calls[N]['reply'] }
		const value = status === 204 ? null : parseOr(text)
		return value === undefined ? this.#notOurs() : { value: value as Calls[N]['reply'] }
	}

	/** Records of one POG, or of all merged by time when `name` is null; ends when `signal` aborts. */
	async records(
		name: string | null,
		filter: RecordFilter,
		signal?: AbortSignal,
	): Promise<Answered<LineStream<RecordInfo>>> {
		return name === null
			? this.#lines('allRecords', {}, filter, signal)
			: this.#lines('records', { name }, filter, signal)
	}

	/** What happened to POGs; ends when `signal` aborts. */
	async events(filter: EventFilter, signal?: AbortSignal): Promise<Answered<LineStream<PogEvent>>> {
		return this.#lines('events', {}, filter, signal)
	}

	async #lines<T>(
		call: CallName,
		params: object,
		filter: RecordFilter | EventFilter,
		signal?: AbortSignal,
	): Promise<Answered<LineStream<T>>> {
		const query = encodeFilter(filter)
		const path = `${pathOf(call, params)}${query === '' ? '' : `?${query}`}`
		const answer = await this.#request(call, path, undefined, filter.follow === true ? 0 : this.#timeoutMs, signal)
		if ('failure' in answer) return answer
		const status = answer.value.statusCode ?? 0
		if (status < 400) return { value: new Lines<T>(answer.value, this.#broken().failure, signal) }
		return refusal(status, (await readText(answer.value)) ?? '')
	}

	#request(
		name: CallName,
		path: string,
		body: unknown,
		timeoutMs: number,
		signal?: AbortSignal,
	): Promise<Answered<IncomingMessage>> {
		const tooLong = socketPathProblem(this.#socketPath)
		if (tooLong !== undefined) return Promise.resolve({ failure: { status: 0, message: tooLong } })
		return new Promise(resolve => {
			const text = body === undefined ? '' : JSON.stringify(body)
			const headers =
				text === '' ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
			const { method } = CALLS[name]
			const target = { socketPath: this.#socketPath, path, method, headers, agent: false, timeout: timeoutMs }
			const sent = request(signal === undefined ? target : { ...target, signal }, response => {
				// What goes wrong from here on is the reader's to see.
				response.on('error', () => undefined)
				resolve({ value: response })
			})
			sent.on('timeout', () => {
				resolve({ failure: { status: 0, message: `No answer from pogshim within ${timeoutMs / 1000} s` } })
				sent.destroy()
			})
			sent.on('error', (error: NodeJS.ErrnoException) => resolve(this.#unreachable(error)))
			sent.end(text)
		})
	}

	#unreachable(error: NodeJS.ErrnoException): ClientFailure {
		const where = this.#socketPath
		const remedies: Readonly<Record<string, string>> = {
			ENOENT: `Cannot reach pogshim at ${where}: is it running? Start it with "pogshim" or name another with --run-dir`,
			ECONNREFUSED: `Cannot reach pogshim at ${where}: it is gone and left its socket; start it again with "pogshim", or name another with --run-dir`,
			EACCES: `Cannot reach pogshim at ${where}: permission denied; become the user who runs it (root?), or name another with --run-dir`,
			ENOTSOCK: `Cannot reach pogshim at ${where}: that is no socket; name its run directory with --run-dir`,
			ENOTDIR: `Cannot reach pogshim at ${where}: "${this.#runDir}" is no directory; name another with --run-dir`,
		}
		const code = error.code ?? ''
		if (code === 'ECONNRESET' || code === 'EPIPE') return this.#broken()
		return { failure: { status: 0, message: remedies[code] ?? `Cannot reach pogshim at ${where}: ${error.message}` } }
	}

	#broken(): ClientFailure {
		const message = `Lost pogshim at ${this.#socketPath} before the answer was complete: did it stop? Try again`
		return { failure: { status: 0, message, broken: true } }
	}

	#notOurs(): ClientFailure {
		const message = `Cannot understand the answer at ${this.#socketPath}: is it another program, or another version of pogshim?`
		return { failure: { status: 0, message } }
	}
}

/** Whether the service broke off before it answered. */
export function isBroken(answer: object): boolean {
	return 'failure' in answer && (answer as ClientFailure).failure.broken === true
}

function pathOf(name: CallName, params: object = {}): string {
	return CALLS[name].path.replace(':name', encodeURIComponent('name' in params ? String(params.name) : ''))
}

function encodeFilter(filter: RecordFilter | EventFilter): string {
	const pairs = Object.entries(filter).filter(([, value]) => value !== undefined && value !== false)
	return new URLSearchParams(pairs.map(([key, value]): [string, string] => [key, String(value)])).toString()
}

async function readText(response: IncomingMessage): Promise<string | null> {
	const chunks: Buffer[] = []
	try {
		for await (const chunk of response) chunks.push(chunk as Buffer)
	} catch {
		return null
	}
	return response.complete ? Buffer.concat(chunks).toString('utf8') : null
}

function parseOr(text: string): unknown {
	try {
		return JSON.parse(text) as unknown
	} catch {
		return undefined
	}
}

function errorIn(value: unknown): ErrorBody['error'] | undefined {
	if (typeof value !== 'object' || value === null || !('error' in value)) return undefined
	const { error } = value as Partial<ErrorBody>
	return typeof error?.message === 'string' ? error : undefined
}

function refusal(status: number, text: string): ClientFailure {
	const error = errorIn(parseOr(text)) ?? { message: `The service answered ${status} without saying why` }
	return { failure: { status, ...error } }
}

class Lines<T> implements LineStream<T> {
	readonly #response: IncomingMessage
	readonly #broken: ClientFailure['failure']
	readonly #signal: AbortSignal | undefined
	failure: ClientFailure['failure'] | null = null

	constructor(response: IncomingMessage, broken: ClientFailure['failure'], signal: AbortSignal | undefined) {
		this.#response = response
		this.#broken = broken
		this.#signal = signal
	}

	async *[Symbol.asyncIterator](): AsyncIterator<readonly T[]> {
		const splitter = new LineSplitter()
		try {
			for await (const chunk of this.#response) {
				const items: T[] = []
				for (const line of splitter.push(chunk as Buffer)) {
					const value = parseOr(line)
					this.failure ??= this.#problemOf(value)
					if (this.failure !== null) break
					items.push(value as T)
				}
				if (items.length > 0) yield items
				if (this.failure !== null) return
			}
			if (splitter.overflowed || splitter.rest() !== '') this.failure = this.#broken
		} catch {
			if (this.#signal?.aborted !== true) this.failure = this.#broken
		} finally {
			this.#response.destroy()
		}
	}

	#problemOf(value: unknown): ClientFailure['failure'] | null {
		const error = errorIn(value)
		if (error !== undefined) return { status: 500, ...error }
		return typeof value === 'object' && value !== null ? null : this.#broken
	}
}
