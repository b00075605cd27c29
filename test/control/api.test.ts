/**
 * The API over a real Unix socket: every route, every form of error, streams, and requests of any shape.
 */
import { chmod, link, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import fc from 'fast-check'
import { startApi } from '../../src/control/api.ts'
import type { ApiOptions } from '../../src/control/api.ts'
import { apiSocketPath, CALLS } from '../../src/control/calls.ts'
import { Client } from '../../src/control/client.ts'
import { parseJson } from '../../src/control/json.ts'
import { findRoute } from '../../src/control/router.ts'
import { BAD_LINE, makePog, makeRecord, ServiceDouble } from './double.ts'

interface Running {
	double: ServiceDouble
	runDir: string
	socketPath: string
	client: Client
	bugs: string[]
	close: () => Promise<void>
}

async function start(t: ExecutionContext, more: Partial<ApiOptions> = {}): Promise<Running> {
	const runDir = await mkdtemp(join(tmpdir(), 'pogs-api-'))
	t.teardown(() => rm(runDir, { recursive: true, force: true }))
	const double = new ServiceDouble()
	double.add(makePog(1, 'web'))
	const socketPath = apiSocketPath(runDir)
	const bugs: string[] = []
	const api = await startApi({ service: double, socketPath, onBug: what => bugs.push(what), ...more })
	if ('problem' in api) throw new Error(api.problem)
	const { close } = api.value
	t.teardown(close)
	return { double, runDir, socketPath, client: new Client(runDir), bugs, close }
}

interface Answer {
	status: number
	headers: IncomingHttpHeaders
	text: string
	json: unknown
}

function ask(
	socketPath: string,
	method: string,
	path: string,
	body?: string | Buffer,
	headers: Record<string, string> = {},
): Promise<Answer> {
	return new Promise((resolve, reject) => {
		// Without a length, the body of a GET would be the next request.
		const framed = body === undefined ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) }
		const sent = request({ socketPath, method, path, headers: framed, agent: false }, response => {
			const chunks: Buffer[] = []
			response.on('data', (chunk: Buffer) => chunks.push(chunk))
			response.on('error', reject)
			response.on('end', () => {
				const text = Buffer.concat(chunks).toString()
				let json: unknown
				try {
					json = JSON.parse(text)
				} catch {
					json = undefined
				}
				resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
			})
		})
		sent.on('error', reject)
		sent.end(body)
	})
}

async function until(condition: () => boolean, what: string): Promise<void> {
	for (let waited = 0; waited < 5000; waited += 5) {
		if (condition()) return
		await delay(5)
	}
	throw new Error(`not within 5 s: ${what}`)
}

test('every route answers what the service says', async t => {
	const { socketPath, double } = await start(t)
	const get = (path: string) => ask(socketPath, 'GET', path)
	const service = await get('/v1/service')
	t.is(service.status, 200)
	t.is(service.headers['content-type'], 'application/json')
	t.like(service.json, { version: '0.1.0', engine: { pid: 4242 }, features: { passthrough: true } })
	t.like((await get('/v1/pogs')).json, [
		{ id: 0, name: 'host' },
		{ id: 1, name: 'web' },
	] as never)

	const created = await ask(socketPath, 'POST', '/v1/pogs', '{"name":"db","ringBytes":65536,"owner":{"uid":1,"gid":2}}')
	t.is(created.status, 201)
	t.like(created.json, { name: 'db', ring: { sizeBytes: 65536 }, paths: { varLog: '/run/pogs/pogs/db/mnt/var/log' } })
	t.like((await get('/v1/pogs/db')).json, { name: 'db' })
	const resized = await ask(socketPath, 'PUT', '/v1/pogs/db/ring', '{"sizeBytes":131072}')
	t.like(resized, { status: 200, json: { ring: { sizeBytes: 131_072 } } })
	const cleared = await ask(socketPath, 'POST', '/v1/pogs/db/clear')
	t.like(cleared, { status: 204, text: '' })

	const record = '{"text":"hello","tag":"t","facility":"local0","severity":"warn"}'
	const written = await ask(socketPath, 'POST', '/v1/pogs/db/records', record)
	t.like(written, { status: 201, json: { seq: 0 } })
	t.like(double.stored[0], { facility: 16, severity: 4, tag: 't', text: 'hello' })
	await ask(socketPath, 'POST', '/v1/pogs/web/records', '{"text":"plain"}')
	t.like(double.stored[1], { facility: 1, severity: 5, tag: '' })
	const read = await get('/v1/pogs/db/records')
	t.is(read.headers['content-type'], 'application/x-ndjson')
	t.is(read.text, `${JSON.stringify(double.stored[0])}\n`)
	t.is((await get('/v1/records')).text.split('\n').length, 3)

	const own = await ask(socketPath, 'PUT', '/v1/pogs/db/conf', 'mail.* /var/log/mail\n')
	t.like(own, { status: 200, json: { diagnostics: [] } })
	t.like((await get('/v1/pogs/db/conf')).json, { text: 'mail.* /var/log/mail\n' })
	const asJson = await ask(socketPath, 'PUT', '/v1/pogs/db/conf', '{"text":"*.wrn /x"}', {
		'Content-Type': 'application/json',
	})
	t.deepEqual(asJson.json, { diagnostics: [BAD_LINE] })
	t.is((await ask(socketPath, 'DELETE', '/v1/pogs/db/conf')).status, 204)
	t.like((await get('/v1/pogs/db/conf')).json, { text: '*.* /var/log/messages\n' })

	const metrics = await get('/metrics')
	t.is(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
	t.true(metrics.text.includes('pogs_ring_size_bytes{pog="db"} 131072\n'))
	t.is((await ask(socketPath, 'DELETE', '/v1/pogs/db')).status, 204)
	t.is((await get('/v1/pogs/db')).status, 404)
})

test('failures are JSON with a status and say what was expected', async t => {
	const { socketPath, double, bugs } = await start(t, { limits: { maxBodyBytes: 1000 } })
	const rows: readonly (readonly [string, string, string | undefined, number, string])[] = [
		['GET', '/v1/pogs/none', undefined, 404, 'There is no POG "none"'],
		['GET', '/v1/pogs/none/records', undefined, 404, 'There is no POG "none"'],
		['GET', '/v1/pog', undefined, 404, 'No route GET /v1/pog: near are GET /v1/pogs'],
		['GET', '/', undefined, 404, 'No route GET /: near are'],
		['GET', '/v1/pogs/%zz', undefined, 400, 'bad percent escape'],
		['PATCH', '/v1/pogs/web', undefined, 405, 'expected GET or DELETE'],
		['POST', '/v1/pogs', '{"name":"web"}', 409, 'there is one already'],
		['POST', '/v1/pogs', '{"name":\n "a" "b"}', 400, 'line 2, column 6: expected "," or "}"'],
		['POST', '/v1/pogs', undefined, 400, 'Cannot accept the body'],
		['POST', '/v1/pogs', '{"name":"../x"}', 400, 'name: expected 1 to 64 of'],
		['POST', '/v1/pogs', '{"name":"a","ring":1}', 400, '"ring"'],
		['POST', '/v1/pogs', '{"name":"a","ringBytes":1024}', 400, '65536'],
		['POST', '/v1/pogs', '{"name":"a","ringBytes":"1m"}', 400, 'ringBytes: expected'],
		['PUT', '/v1/pogs/web/ring', '{"sizeBytes":67108865}', 400, '67108864'],
		['POST', '/v1/pogs/web/records', '{"text":"x","severity":"wrn"}', 400, 'unknown severity "wrn"'],
		['POST', '/v1/pogs/web/records', '{"text":"x","tag":"a b"}', 400, 'tag: expected'],
		['POST', '/v1/pogs/web/clear', '{}', 400, 'expected no body'],
		['GET', '/v1/pogs/web/records?last=x', undefined, 400, 'last: expected a whole number'],
		['GET', '/v1/pogs/web/records?folow=1', undefined, 400, '"folow"'],
		['GET', '/v1/records?facilities=kern,nope', undefined, 400, 'unknown facility "nope"'],
		['PUT', '/v1/pogs/web/conf', 'a\0b', 422, 'it contains NUL'],
		['PUT', '/v1/pogs/web/conf', 'x'.repeat(1001), 413, 'more than 1000 bytes'],
	]
	for (const [method, path, body, status, text] of rows) {
		const answer = await ask(socketPath, method, path, body)
		const { error } = answer.json as { error: { message: string } }
		t.is(answer.status, status, `${method} ${path}`)
		t.true(error.message.includes(text), `${method} ${path}: ${error.message}`)
	}
	t.is((await ask(socketPath, 'PATCH', '/v1/pogs/web')).headers.allow, 'GET, DELETE')
	const refused = (await ask(socketPath, 'PUT', '/v1/pogs/web/conf', 'a\0b')).json
	t.deepEqual(refused, {
		error: { message: 'Cannot take the configuration: it contains NUL', diagnostics: [{ ...BAD_LINE, column: 3 }] },
	})
	t.deepEqual(bugs, [])
	double.bug = new Error('secret')
	const broken = await ask(socketPath, 'GET', '/v1/pogs')
	t.deepEqual([broken.status, broken.json], [500, { error: { message: 'Cannot answer: internal error' } }])
	t.deepEqual(bugs, ['GET /v1/pogs'])
	t.is((await ask(socketPath, 'GET', '/v1/pogs')).status, 200)
})

test('filters of a query reach the service as values', async t => {
	const { client, double, socketPath } = await start(t)
	const path =
		'/v1/pogs/web/records?last=5&sinceRealtimeUs=1763762401000000&facilities=auth,10&facilities=kern&severity=err'
	t.is((await ask(socketPath, 'GET', path)).status, 200)
	const filter = { last: 5, sinceRealtimeUs: 1_763_762_401_000_000, facilities: [4, 10, 0], severity: 3 }
	t.deepEqual(double.asked[0]?.filter, filter)
	const answer = await client.records('web', { ...filter, follow: false })
	t.true('value' in answer)
	t.deepEqual(double.asked[1]?.filter, filter)
})

test('a follower gets old and new records, and its signal aborts when it goes away', async t => {
	const { client, double } = await start(t)
	for (let seq = 0; seq < 3; seq++) double.append(makeRecord('web', seq, `old ${seq}`))
	const stop = new AbortController()
	const answer = await client.records('web', { follow: true, last: 2 }, stop.signal)
	if ('failure' in answer) return t.fail(answer.failure.message)
	const seen: string[] = []
	const reading = (async () => {
		for await (const records of answer.value) seen.push(...records.map(record => record.text))
	})()
	await until(() => seen.length === 2, 'two old records')
	double.append(makeRecord('db', 0, 'of another'))
	double.append(makeRecord('web', 3, 'new \u00e9 \n'))
	await until(() => seen.length === 3, 'the new record')
	t.deepEqual(seen, ['old 1', 'old 2', 'new \u00e9 \n'])
	t.false(double.asked[0]?.signal.aborted)
	stop.abort()
	await reading
	t.is(answer.value.failure, null)
	await until(() => double.asked[0]?.signal.aborted === true, 'the abort of the signal')
})

test('a slow reader holds the service back, not memory', async t => {
	const { double, socketPath } = await start(t)
	let produced = 0
	const line = 'x'.repeat(1000)
	double.records = () => {
		const produce = async function* () {
			for (; produced < 100_000; produced++) yield makeRecord('web', produced, line)
		}
		return { value: produce() }
	}
	const socket = connect(socketPath)
	t.teardown(() => socket.destroy())
	socket.pause()
	socket.write('GET /v1/pogs/web/records HTTP/1.1\r\nHost: x\r\n\r\n')
	let before = -1
	await until(() => {
		const still = produced === before && produced > 0
		before = produced
		return still
	}, 'a pause of the producer')
	t.true(produced < 5000, `${produced} records made for a reader that takes none`)
})

test('a bug in the middle of a stream is its last line, and a failure for the client', async t => {
	const { client, double, bugs } = await start(t)
	double.append(makeRecord('web', 0, 'one'))
	double.bug = new Error('secret')
	const answer = await client.records('web', {})
	if ('failure' in answer) return t.fail(answer.failure.message)
	const seen: string[] = []
	for await (const records of answer.value) seen.push(...records.map(record => record.text))
	t.deepEqual(seen, ['one'])
	t.deepEqual(answer.value.failure, { status: 500, message: 'Cannot go on: internal error' })
	t.is(bugs.length, 1)
})

test('a request of any shape is answered below 500 and harms nobody', async t => {
	const { socketPath, bugs } = await start(t)
	const paths = Object.values(CALLS).map(call => call.path.replace(':name', 'web'))
	const path = fc.oneof(
		fc.constantFrom(...paths),
		fc.tuple(fc.constantFrom(...paths), fc.webQueryParameters()).map(([each, query]) => `${each}?${query}`),
		fc.webPath(),
		fc.string().map(each => `/v1/pogs/${encodeURIComponent(each)}`),
		fc.stringMatching(/^\/[!-~]{0,30}$/),
	)
	const body = fc.oneof(
		fc.constant(''),
		fc.json(),
		fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
		fc.record({ name: fc.string(), text: fc.string(), ringBytes: fc.oneof(fc.double(), fc.integer()) }).map(value => {
			return JSON.stringify(value)
		}),
	)
	const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD')
	await fc.assert(
		fc.asyncProperty(method, path, body, async (verb, target, content) => {
			// A follower would wait for ever.
			const answer = await ask(socketPath, verb, target.replace(/follow/gi, 'x'), content)
			return answer.status >= 200 && answer.status < 500
		}),
		{ numRuns: 200 },
	)
	t.is((await ask(socketPath, 'GET', '/v1/service')).status, 200)
	t.deepEqual(bugs, [])
})

test('bytes that are no HTTP get a 400 or a closed connection', async t => {
	const { socketPath, bugs } = await start(t)
	const rows = ['\0\x01\x02garbage\r\n\r\n', 'GET\r\n\r\n', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n']
	for (const row of rows) {
		const text = await new Promise<string>(resolve => {
			const socket = connect(socketPath)
			const chunks: Buffer[] = []
			socket.on('data', (chunk: Buffer) => chunks.push(chunk))
			socket.on('error', () => undefined)
			socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
			socket.write(row)
		})
		t.regex(text, /^HTTP\/1.1 400 .*"error":/s)
	}
	t.is((await ask(socketPath, 'GET', '/v1/service')).status, 200)
	t.deepEqual(bugs, [])
})

test('the socket is private, refuses a second service and is gone after close', async t => {
	const { socketPath, double, close, client } = await start(t)
	t.is((await stat(socketPath)).mode & 0o777, 0o600)
	const second = await startApi({ service: double, socketPath })
	t.regex(
		'problem' in second ? second.problem : '',
		/another pogshim answers there; stop it or choose another --run-dir/,
	)
	t.true('value' in (await client.call('describe', {})))
	await close()
	await t.throwsAsync(stat(socketPath), { code: 'ENOENT' })
})

test('a stale socket is replaced, something else is not', async t => {
	const { socketPath, double, close } = await start(t)
	await close()
	// libuv removes the path of a socket that it closes: keep the file under another name, as SIGKILL would.
	const dead = createServer()
	await new Promise<void>(resolve => dead.listen(`${socketPath}.dead`, resolve))
	await link(`${socketPath}.dead`, socketPath)
	await new Promise(resolve => dead.close(resolve))
	const again = await startApi({ service: double, socketPath })
	if ('problem' in again) return t.fail(again.problem)
	t.is((await ask(socketPath, 'GET', '/v1/service')).status, 200)
	await again.value.close()
	await writeFile(socketPath, 'precious')
	const blocked = await startApi({ service: double, socketPath })
	t.regex('problem' in blocked ? blocked.problem : '', /there is something else that is no socket; move it away/)
})

test('a run directory whose path is too long for a socket is refused on both sides', async t => {
	const runDir = `/tmp/${'long/'.repeat(30)}`
	const api = await startApi({ service: new ServiceDouble(), socketPath: apiSocketPath(runDir) })
	t.regex('problem' in api ? api.problem : '', /bytes, but the kernel takes at most 107; choose a shorter --run-dir/)
	const answer = await new Client(runDir).call('list', {})
	t.regex('failure' in answer ? answer.failure.message : '', /takes at most 107/)
})

test('the client says what to do when there is no service', async t => {
	const { runDir, socketPath, close } = await start(t)
	await close()
	const message = async (): Promise<string> => {
		const answer = await new Client(runDir).call('list', {})
		return 'failure' in answer && answer.failure.status === 0 ? answer.failure.message : 'no failure'
	}
	t.is(
		await message(),
		`Cannot reach pogshim at ${socketPath}: is it running? Start it with "pogshim" or name another with --run-dir`,
	)
	await writeFile(socketPath, '')
	t.regex(await message(), /it is gone and left its socket|that is no socket/)
	await rm(socketPath)
	// Answers nothing, then garbage, then half an answer.
	const replies = [
		'',
		'garbage\r\n\r\n',
		'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"',
		'HTTP/1.1 200 OK\r\n\r\nnot JSON',
	]
	const server = createServer(socket => {
		socket.on('error', () => undefined)
		socket.once('data', () => socket.end(replies.shift() ?? ''))
	})
	await new Promise<void>(resolve => server.listen(socketPath, resolve))
	await chmod(socketPath, 0o600)
	t.teardown(() => server.close())
	t.regex(await message(), /Lost pogshim at .* before the answer was complete/)
	t.regex(await message(), /Cannot reach pogshim at .*Parse Error/)
	t.regex(await message(), /Lost pogshim at/)
	t.regex(await message(), /Cannot understand the answer/)
})

test('a stream cut anywhere gives whole records, then a failure', async t => {
	const runDir = await mkdtemp(join(tmpdir(), 'pogs-api-'))
	t.teardown(() => rm(runDir, { recursive: true, force: true }))
	const records = [
		makeRecord('web', 0, 'z\u00fcg \ud83d\ude82'),
		makeRecord('web', 1, ''),
		makeRecord('web', 2, '\n\t"'),
	]
	const bytes = Buffer.from(records.map(record => `${JSON.stringify(record)}\n`).join(''))
	let pieces: Buffer[] = []
	let whole = true
	const server = createServer(socket => {
		socket.on('error', () => undefined)
		socket.once('data', async () => {
			socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
			for (const piece of pieces) {
				socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]))
				await delay(0)
			}
			socket.end(whole ? '0\r\n\r\n' : '')
		})
	})
	await new Promise<void>(resolve => server.listen(apiSocketPath(runDir), resolve))
	t.teardown(() => server.close())
	const cuts = fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 8 })
	await fc.assert(
		fc.asyncProperty(cuts, fc.boolean(), async (places, complete) => {
			const edges = [0, ...places.toSorted((one, other) => one - other), bytes.length]
			pieces = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
			whole = complete
			const answer = await new Client(runDir).records('web', {})
			if ('failure' in answer) return false
			const seen: unknown[] = []
			for await (const batch of answer.value) seen.push(...batch)
			t.deepEqual(seen, records)
			return complete ? answer.value.failure === null : answer.value.failure?.status === 0
		}),
		{ numRuns: 30 },
	)
})

test('JSON that cannot be parsed is told by line and column', t => {
	const rows: readonly (readonly [string, string])[] = [
		['', 'line 1, column 1: expected a value'],
		['{', 'line 1, column 2: expected a quoted key or "}"'],
		['{"a":}', 'line 1, column 6: expected a value'],
		['{"a":1,}', 'line 1, column 8: expected a quoted key'],
		['{"a" 1}', 'line 1, column 6: expected ":"'],
		['[1,\n2,\n]', 'line 3, column 1: expected a value'],
		['[1 2]', 'line 1, column 4: expected "," or "]"'],
		['"ab', 'line 1, column 4: expected the closing quote of a string'],
		['"a\\q"', 'line 1, column 3: expected a valid escape'],
		['"a\nb"', 'line 1, column 3: expected no control character in a string'],
		['{} x', 'line 1, column 4: expected the end'],
		['nul', 'line 1, column 1: expected a value'],
		['01', 'line 1, column 2: expected the end'],
	]
	for (const [text, problem] of rows) t.deepEqual(parseJson(text), { problem })
	fc.assert(
		fc.property(fc.jsonValue(), value => {
			t.deepEqual(parseJson(JSON.stringify(value)), { value: JSON.parse(JSON.stringify(value)) as unknown })
		}),
	)
	// Text with one character changed: either still JSON, or a problem within it.
	fc.assert(
		fc.property(fc.json(), fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (text, at, char) => {
			const place = at % (text.length + 1)
			const parsed = parseJson(text.slice(0, place) + char + text.slice(place + 1))
			return 'value' in parsed || /^line \d+, column \d+: expected /.test(parsed.problem)
		}),
	)
})

test('every call is found by its own method and path, and by no other', t => {
	for (const [call, shape] of Object.entries(CALLS)) {
		const route = findRoute(shape.method, shape.path.replace(':name', 'a%2Fb'))
		t.like(route, { call, params: { name: shape.path.includes(':name') ? 'a/b' : '' } } as never)
	}
	fc.assert(
		fc.property(fc.string(), fc.string(), (method, target) => {
			const route = findRoute(method, target)
			return 'call' in route || [400, 404, 405].includes(route.status)
		}),
	)
})
