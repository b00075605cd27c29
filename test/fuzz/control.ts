/** What the host's side is asked: HTTP requests of any shape over the API's socket, and lines of the control file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { startApi } from '../../src/control/api.ts'
import { CALLS } from '../../src/control/calls.ts'
import { type HostCommandContext, runHostCommand } from '../../src/engine/host-commands.ts'
import { makePog, ServiceDouble } from '../control/double.ts'
import { expect, type Target } from './target.ts'
import { word } from './words.ts'

const json = fc.oneof(
	fc.jsonValue({ maxDepth: 3 }),
	fc.dictionary(
		fc.constantFrom(
			'name',
			'ringBytes',
			'quotaBytes',
			'conf',
			'owner',
			'rate',
			'hostname',
			'text',
			'tag',
			'facility',
			'severity',
			'sizeBytes',
			'pid',
			'parts',
			'__proto__',
		),
		fc.oneof(word, fc.integer(), fc.double(), fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(65_536, 'a', 0)),
	),
)

export interface Asked {
	readonly method: string
	readonly path: string
	readonly query: readonly (readonly [string, string])[]
	readonly body: string | undefined
	/** Put over the request's bytes, at a place of it. */
	readonly bend: { readonly at: number; readonly bytes: Uint8Array } | undefined
}

const paths = Object.values(CALLS).map(call => call.path)
const asked: fc.Arbitrary<Asked> = fc.record({
	method: fc.oneof(
		{ weight: 6, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE') },
		{ weight: 1, arbitrary: fc.constantFrom('PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'get') },
	),
	path: fc
		.tuple(fc.constantFrom(...paths, '/', '/v1', '/v2/pogs', '*', 'http://x/v1/pogs'), word)
		.map(([path, name]) => path.replace(':name', encode(name))),
	query: fc.array(
		fc.tuple(
			fc.constantFrom('last', 'severity', 'facilities', 'text', 'pogs', 'sinceRealtimeUs', 'follow ', 'x', '__proto__'),
			word,
		),
		{ maxLength: 3 },
	),
	body: fc.oneof(
		fc.constant(undefined),
		json.map(value => JSON.stringify(value)),
		fc.string({ maxLength: 200 }),
		word,
	),
	bend: fc.option(fc.record({ at: fc.nat(200), bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }) }), {
		nil: undefined,
		freq: 3,
	}),
})

function encode(text: string): string {
	return text.startsWith('%') ? text : encodeURIComponent(text.replace(/[\ud800-\udfff]/g, ''))
}

interface Served extends AsyncDisposable {
	readonly socketPath: string
	readonly double: ServiceDouble
	readonly bugs: unknown[]
}

/** An API of its own, in a directory of its own. */
async function serve(): Promise<Served> {
	const runDir = mkdtempSync(join(tmpdir(), 'pogs-fuzz-'))
	const double = new ServiceDouble()
	const bugs: unknown[] = []
	const socketPath = join(runDir, 'api.sock')
	const api = await startApi({
		service: double,
		socketPath,
		onBug: (what, error) => bugs.push(`${what}: ${error instanceof Error ? error.stack : String(error)}`),
	})
	if ('problem' in api) throw new Error(api.problem)
	const end = async (): Promise<void> => {
		await api.value.close()
		rmSync(runDir, { recursive: true, force: true })
	}
	return { socketPath, double, bugs, [Symbol.asyncDispose]: end }
}

/** Sends bytes, half closes, and gives back all that comes; undefined when nothing more comes for a while. */
function exchange(socketPath: string, bytes: Uint8Array): Promise<string | undefined> {
	return new Promise((resolve, reject) => {
		const socket = connect(socketPath)
		let text = ''
		socket.setTimeout(5000, () => {
			socket.destroy()
			resolve(undefined)
		})
		socket.on('data', piece => (text += piece.toString('latin1')))
		socket.on('error', (error: NodeJS.ErrnoException) =>
			error.code === 'EPIPE' || error.code === 'ECONNRESET' ? resolve(text) : reject(error),
		)
		socket.on('close', () => resolve(text))
		socket.end(bytes)
	})
}

export const apiRequests: Target<readonly Asked[]> = {
	name: 'api-requests',
	what: 'HTTP requests of any shape over the real socket: an answer below 500 or none, and the next one is served',
	runs: 60,
	values: fc.array(asked, { minLength: 1, maxLength: 6 }),
	async check(requests) {
		await using served = await serve()
		const { socketPath, double, bugs } = served
		double.pogs.clear()
		double.add(makePog(0, 'host'))
		double.add(makePog(1, 'web'))
		for (const { method, path, query, body, bend } of requests) {
			const search = new URLSearchParams(query.map(([key, value]): [string, string] => [key, value])).toString()
			const payload = Buffer.from(body ?? '')
			const head = `${method} ${path}${search === '' ? '' : `?${search}`} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${body === undefined ? '' : `Content-Length: ${payload.length}\r\n`}\r\n`
			const bytes = Buffer.concat([Buffer.from(head, 'latin1'), payload])
			if (bend !== undefined) for (const [n, byte] of bend.bytes.entries()) bytes[(bend.at + n) % bytes.length] = byte
			const answer = await exchange(socketPath, bytes)
			expect(answer !== undefined, () => 'no answer and no end')
			const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)
			expect(status < 500, () => `status ${status}: ${answer.slice(0, 500)}`)
			expect(bugs.length === 0, () => String(bugs[0]))
		}
		const last = await exchange(
			socketPath,
			Buffer.from('GET /v1/service HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
		)
		expect(last?.startsWith('HTTP/1.1 200 ') === true, () => `then: ${last?.slice(0, 200)}`)
	},
}

const context = {
	lifecycle: {
		started: async () => ({ value: null }),
		exited: async () => ({ value: null }),
		discardExited: async () => undefined,
	},
	bundles: {
		prepare: async (bundle: string) => ({ failure: { status: 422, message: `Cannot\nread ${bundle}` } }),
		hook: async (id: string) => ({ value: `\t${id}` }),
	},
	service: { attach: async () => ({ value: null }), detach: async () => Promise.reject(new Error('a\nbug')) },
} as unknown as HostCommandContext

export const controlLines: Target<string> = {
	name: 'control-lines',
	what: 'lines of the control file: one line that says ok or error, whatever was written',
	runs: 300,
	values: fc.oneof(
		fc
			.array(
				fc.oneof(
					fc.constantFrom(
						'ping',
						'prepare',
						'started',
						'exited',
						'attach',
						'detach',
						'hook',
						'constructor',
						'__proto__',
					),
					word,
				),
				{ maxLength: 7 },
			)
			.map(words => words.join('\t')),
		fc.string({ unit: 'binary', maxLength: 200 }),
	),
	async check(line) {
		const answer = await runHostCommand(context, line)
		expect(/^(ok|error)/.test(answer), () => `answer ${answer}`)
		expect(!answer.includes('\n') || line.includes('\n'), () => `an answer of several lines: ${JSON.stringify(answer)}`)
	},
}
