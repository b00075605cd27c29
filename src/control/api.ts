/**
 * The HTTP API of a running service, on a Unix socket.
 *
 * HTTP/1.1 (RFC 9112) so that curl, a browser's developer or a Prometheus proxy can speak it without a library of ours. Who may open the
 * socket may do everything: it is root's, and `refuses` looks once more. Invariant: no request, of any shape, throws out of here or leaves without an answer; a
 * failure is `{"error":{"message","diagnostics"?}}` with its status.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createExposition } from '../metrics/exposition.ts'
import { CALLS } from './calls.ts'
import type { CallName, ErrorBody } from './calls.ts'
import { listenAt, listenOn } from './listen.ts'
import { readBody } from './request.ts'
import { findRoute } from './router.ts'
import { bindRoutes } from './routes.ts'
import type { BoundRoutes, Reply } from './routes.ts'
import type { PogService } from './service.ts'
import { sendLines } from './stream.ts'

/** Node knows a socket's descriptor, but has no word for it. */
type SocketWithHandle = Socket & { _handle?: { fd?: number } | null }

export interface ApiLimits {
	/** Longest body of a request. */
	maxBodyBytes: number
	/** Connections at a time; more wait to be accepted. */
	maxConnections: number
}
/** A connection that has asked nothing for so long, asks nothing. */
const IDLE_FOR_MS = 300
const DRAIN_WITHIN_MS = 5_000
const LIMITS: ApiLimits = { maxBodyBytes: 2 * 1024 * 1024, maxConnections: 1024 }

export interface ApiOptions {
	service: PogService
	/** `RUN/api.sock`, see `apiSocketPath`. */
	socketPath: string
	/** A socket that already listens (handed over by the keeper): used as it is instead of making one. */
	fd?: number
	/** Told of bugs: what was asked, and what was thrown. */
	onBug?: (what: string, error: unknown) => void
	/** Why the one who connected (by the socket's descriptor) is refused; undefined when not. Without it all are served. */
	refuses?: (fd: number) => string | undefined
	limits?: Partial<ApiLimits>
}
export interface Api {
	/** Takes no more connections, ends streams, and lets calls that have begun finish, for a while. */
	drain(): Promise<void>
	/** Ends streams and connections; resolves when the socket is gone. */
	close(): Promise<void>
}

/** Starts serving; the API, or why it cannot. */
export async function startApi(options: ApiOptions): Promise<{ value: Api } | { problem: string }> {
	const { service, socketPath, fd, onBug = () => undefined } = options
	const limits = { ...LIMITS, ...options.limits }
	const renderMetrics = createExposition(async () => ({ service: service.describe(), pogs: await service.list() }))
	const routes = bindRoutes(service, renderMetrics)
	const closing = new AbortController()
	let draining = false
	const server = createServer((request, response) => {
		// Who keeps connections open is told not to come back on this one.
		if (draining) response.shouldKeepAlive = false
		const refusal = options.refuses?.((request.socket as SocketWithHandle)._handle?.fd ?? -1)
		if (refusal !== undefined) {
			response.setHeader('Connection', 'close')
			return sendReply(response, { failure: { status: 403, message: refusal } }, null)
		}
		const signal = goneSignal(response, closing.signal)
		serve(request, response, routes, limits, signal, onBug).catch((error: unknown) => {
			onBug(`${request.method} ${request.url}`, error)
			sendReply(response, { failure: { status: 500, message: 'Cannot answer: internal error' } }, null)
		})
	})
	server.maxConnections = limits.maxConnections
	server.on('clientError', answerMalformed)
	// Not HTTP/1.1 any more after these: refuse in our form.
	server.on('connect', (_request, socket: Duplex) => answerMalformed({ message: 'CONNECT' }, socket))
	const listening = fd === undefined ? await listenAt(server, socketPath) : await listenOn(server, fd)
	if ('problem' in listening) return listening
	return {
		value: {
			async drain() {
				draining = true
				closing.abort()
				const idle = setTimeout(() => server.closeIdleConnections(), IDLE_FOR_MS)
				const late = setTimeout(() => server.closeAllConnections(), DRAIN_WITHIN_MS)
				await new Promise<void>(resolve => {
					// Not the HTTP server's own: that would close connections whose request is on its way.
					NetServer.prototype.close.call(server, () => resolve())
				})
				clearTimeout(idle)
				clearTimeout(late)
			},
			async close() {
				closing.abort()
				await listening.value()
				await new Promise<void>(resolve => {
					server.close(() => resolve())
					server.closeAllConnections()
				})
			},
		},
	}
}

async function serve(
	request: IncomingMessage,
	response: ServerResponse,
	routes: BoundRoutes,
	limits: ApiLimits,
	signal: AbortSignal,
	onBug: (what: string, error: unknown) => void,
): Promise<void> {
	const body = await readBody(request, limits.maxBodyBytes)
	const route = findRoute(request.method ?? '', request.url ?? '')
	if ('status' in route) {
		if (route.allow.length > 0) response.setHeader('Allow', route.allow.join(', '))
		return sendReply(response, { failure: route }, null)
	}
	if (body === null) {
		response.setHeader('Connection', 'close')
		const message = `Cannot take the body: more than ${limits.maxBodyBytes} bytes`
		return sendReply(response, { failure: { status: 413, message } }, null)
	}
	const { call, params, query } = route
	const reply = await routes[call]({ params, query, body, contentType: request.headers['content-type'] ?? '', signal })
	if (CALLS[call].reply !== 'lines' || 'failure' in reply) return sendReply(response, reply, call)
	response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
	const items = reply.value as AsyncIterable<unknown>
	await sendLines(response, items, signal, error => onBug(`${request.method} ${request.url}`, error))
}

/** Aborts when the connection of this response closes, or the server does. */
function goneSignal(response: ServerResponse, closing: AbortSignal): AbortSignal {
	const gone = new AbortController()
	const abort = (): void => gone.abort()
	closing.addEventListener('abort', abort)
	response.once('close', () => {
		closing.removeEventListener('abort', abort)
		gone.abort()
	})
	return gone.signal
}

function sendReply(response: ServerResponse, reply: Reply, call: CallName | null): void {
	if (response.headersSent || response.destroyed) {
		response.destroy()
		return
	}
	if ('failure' in reply) {
		const { status, message, diagnostics } = reply.failure
		const body: ErrorBody = { error: diagnostics === undefined ? { message } : { message, diagnostics } }
		send(response, status, 'application/json', `${JSON.stringify(body)}\n`)
	} else if (reply.value === null) {
		response.writeHead(204).end()
	} else if (call !== null && CALLS[call].reply === 'text') {
		send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', reply.value as string)
	} else {
		send(response, call === null ? 200 : CALLS[call].status, 'application/json', `${JSON.stringify(reply.value)}\n`)
	}
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
	response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }).end(text)
}

/** What is not HTTP has no response object. */
function answerMalformed(error: { message: string; code?: string }, socket: Duplex): void {
	if (!socket.writable || error.code === 'ECONNRESET') {
		socket.destroy()
		return
	}
	const body = `${JSON.stringify({ error: { message: `Cannot parse the request: ${error.message}` } } satisfies ErrorBody)}\n`
	const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
	socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`)
}
