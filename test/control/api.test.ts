/**
 * The API over a real Unix socket: every route, every form of error, and requests of any shape.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { link, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import fc from 'fast-check'
import { startApi } from '../../src/control/api.ts'
import { CALLS } from '../../src/control/calls.ts'
import { parseJson } from '../../src/control/json.ts'
import { findRoute } from '../../src/control/router.ts'
import { BAD_LINE, makeRecord } from './double.ts'
import { ask, start, until } from './harness.ts'

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

test('a listening socket that is handed over is served as it is', async t => {
	const { double, runDir, socketPath } = await start(t)
	const keeper = createServer()
	await new Promise<void>(resolve => keeper.listen(`${runDir}/made.sock`, resolve))
	// libuv removes the name that it made when the server is closed; the keeper's socket stays under this one.
	const handed = `${runDir}/handed.sock`
	await link(`${runDir}/made.sock`, handed)
	const { fd } = (keeper as unknown as { _handle: { fd: number } })._handle
	const child = spawn(process.execPath, ['--import=tsx', fileURLToPath(new URL('handed-over.ts', import.meta.url))], {
		stdio: ['pipe', 'pipe', 'inherit', fd],
		timeout: 20_000,
	})
	keeper.close()
	await once(child.stdout ?? child, 'data')
	t.is((await ask(handed, 'GET', '/v1/service')).status, 200)
	child.stdin?.end()
	t.deepEqual(await once(child, 'exit'), [0, null])
	t.true((await stat(handed)).isSocket(), 'it is the keeper who removes it')
	const bad = await startApi({ service: double, socketPath, fd: 9999 })
	t.regex('problem' in bad ? bad.problem : '', /^Cannot serve descriptor 9999: /)
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
