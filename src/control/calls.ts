/**
 * The calls of the control API: the one declaration that server and client share.
 *
 * `CALLS` says how a call travels (method, path, form of the answer); `Calls` says what it carries. The server adds what it
 * accepts (`schemas.ts`) and what it does (`routes.ts`); the client needs nothing else, so that `pogctl` starts fast.
 * Invariant: a path has at most one parameter, `:name`, and no two calls have the same method and path.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'
import type { PogInfo, RecordInfo } from '../pog/info.ts'
import type { EventFilter, PogEvent } from './events.ts'
import type { AttachReport, AttachRequest, PogSpec, RecordFilter, ServiceInfo, UpgradeReport } from './service.ts'

/** Text bytes that a ring may have. */
export const RING_BYTES = { min: 64 * 1024, max: 64 * 1024 * 1024 } as const

/** A record written through the API. Facility and severity are codes or names; `user` and `notice` when left out. */
export interface NewRecord {
	text: string
	tag?: string
	facility?: number | string
	severity?: number | string
}

type None = Record<never, never>
interface Named {
	name: string
}
interface Call<Params, Query, Body, Reply> {
	params: Params
	query: Query
	body: Body
	reply: Reply
}

/** What each call carries: parameters of the path, query, body, answer. */
export interface Calls {
	describe: Call<None, None, undefined, ServiceInfo>
	list: Call<None, None, undefined, PogInfo[]>
	create: Call<None, None, PogSpec, PogInfo>
	show: Call<Named, None, undefined, PogInfo>
	remove: Call<Named, None, undefined, null>
	clear: Call<Named, None, undefined, null>
	resize: Call<Named, None, { sizeBytes: number }, PogInfo>
	write: Call<Named, None, NewRecord, { seq: number }>
	records: Call<Named, RecordFilter, undefined, AsyncIterable<RecordInfo>>
	allRecords: Call<None, RecordFilter, undefined, AsyncIterable<RecordInfo>>
	newest: Call<None, None, undefined, RecordInfo[]>
	events: Call<None, EventFilter, undefined, AsyncIterable<PogEvent>>
	readConf: Call<Named, None, undefined, { text: string; state: PogInfo['conf']['state']; diagnostics: Diagnostic[] }>
	writeConf: Call<Named, None, { text: string }, { diagnostics: Diagnostic[] }>
	resetConf: Call<Named, None, undefined, null>
	attach: Call<Named, None, AttachRequest, AttachReport>
	detach: Call<Named, None, undefined, AttachReport>
	started: Call<Named, None, { pid: number; keep: boolean }, null>
	upgrade: Call<None, None, undefined, UpgradeReport>
	metrics: Call<None, None, undefined, string>
}
export type CallName = keyof Calls

export interface CallShape {
	method: 'GET' | 'POST' | 'PUT' | 'DELETE'
	path: string
	/** `json`: one value (status 204 when it is null); `lines`: NDJSON; `text`: as it is. */
	reply: 'json' | 'lines' | 'text'
	/** Status when it went well and there is something to say. */
	status: 200 | 201
	summary: string
}

const GET = { method: 'GET', reply: 'json', status: 200 } as const
const PUT = { method: 'PUT', reply: 'json', status: 200 } as const
const DELETE = { method: 'DELETE', reply: 'json', status: 200 } as const
const CREATE = { method: 'POST', reply: 'json', status: 201 } as const

/** How each call travels. */
export const CALLS: Readonly<Record<CallName, CallShape>> = {
	describe: { ...GET, path: '/v1/service', summary: 'the service: version, process, kernel features' },
	list: { ...GET, path: '/v1/pogs', summary: 'all POGs' },
	create: { ...CREATE, path: '/v1/pogs', summary: 'create a POG' },
	show: { ...GET, path: '/v1/pogs/:name', summary: 'one POG' },
	remove: { ...DELETE, path: '/v1/pogs/:name', summary: 'remove a POG and its records' },
	clear: { ...CREATE, status: 200, path: '/v1/pogs/:name/clear', summary: 'empty the views of a POG' },
	resize: { ...PUT, path: '/v1/pogs/:name/ring', summary: 'resize the ring of a POG' },
	write: { ...CREATE, path: '/v1/pogs/:name/records', summary: 'write a record' },
	records: { ...GET, reply: 'lines', path: '/v1/pogs/:name/records', summary: 'records of a POG' },
	allRecords: { ...GET, reply: 'lines', path: '/v1/records', summary: 'records of all POGs, by time' },
	newest: { ...GET, path: '/v1/newest', summary: 'the newest record of each POG' },
	events: { ...GET, reply: 'lines', path: '/v1/events', summary: 'what happened to POGs' },
	readConf: { ...GET, path: '/v1/pogs/:name/conf', summary: 'configuration of a POG' },
	writeConf: { ...PUT, path: '/v1/pogs/:name/conf', summary: 'set the configuration of a POG' },
	resetConf: { ...DELETE, path: '/v1/pogs/:name/conf', summary: 'back to the default configuration' },
	attach: { ...PUT, path: '/v1/pogs/:name/container', summary: 'mount a POG in a running container' },
	detach: { ...DELETE, path: '/v1/pogs/:name/container', summary: 'take a POG out of its container' },
	started: { ...PUT, path: '/v1/pogs/:name/process', summary: 'name the first process of its container' },
	upgrade: { ...CREATE, status: 200, path: '/v1/service/upgrade', summary: 'let the installed version take over' },
	metrics: { ...GET, reply: 'text', path: '/metrics', summary: 'Prometheus text' },
}

/** A failure on the wire. */
export interface ErrorBody {
	error: { message: string; diagnostics?: Diagnostic[] }
}

/** Where the API of the service with this run directory listens. */
export function apiSocketPath(runDir: string): string {
	return `${runDir.replace(/\/+$/, '')}/api.sock`
}

/** sun_path of struct sockaddr_un is 108 bytes with its NUL (man unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107

/** Why a path cannot be a socket's, or undefined. */
export function socketPathProblem(path: string): string | undefined {
	const lengthBytes = Buffer.byteLength(path)
	if (lengthBytes <= MAX_SOCKET_PATH_BYTES) return undefined
	return `Cannot use the socket path "${path}": ${lengthBytes} bytes, but the kernel takes at most ${MAX_SOCKET_PATH_BYTES}; choose a shorter --run-dir`
}
