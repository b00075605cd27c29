/**
 * The client: what it says when there is no service or a strange one, and streams that are followed, cut and broken.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import { startApi } from '../../src/control/api.ts'
import { apiSocketPath } from '../../src/control/calls.ts'
import { Client } from '../../src/control/client.ts'
import { makeRecord, ServiceDouble } from './double.ts'
import { start, until } from './harness.ts'

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
	const half = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"'
	// Who breaks off is asked again, three times.
	const replies = ['', '', '', '', 'garbage\r\n\r\n', half, half, half, half, 'HTTP/1.1 200 OK\r\n\r\nnot JSON']
	const server = createServer(socket => {
		socket.on('error', () => undefined)
		socket.once('data', () => socket.end(replies.shift() ?? ''))
	})
	await new Promise<void>(resolve => server.listen(socketPath, resolve))
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
		const serve = async (): Promise<void> => {
			socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
			for (const piece of pieces) {
				socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]))
				await delay(0)
			}
			socket.end(whole ? '0\r\n\r\n' : '')
		}
		socket.once('data', () => void serve())
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

test('a stream that ends within a line, or holds what is no record, is a failure', async t => {
	const { double, client, socketPath } = await start(t)
	const one = makeRecord('web', 0, 'one')
	// Longer than any line that the client holds.
	for (const odd of ['a string', 'x'.repeat(2 << 20)]) {
		const items = async function* (): AsyncGenerator<never> {
			yield one as never
			yield odd as never
		}
		double.records = () => ({ value: items() })
		const answer = await client.records('web', {})
		if ('failure' in answer) return t.fail(answer.failure.message)
		const seen: unknown[] = []
		for await (const batch of answer.value) seen.push(...batch)
		t.deepEqual(seen, [one])
		t.regex(answer.value.failure?.message ?? 'none', /^Lost pogshim at/)
	}
	// Whole for HTTP, but half a record.
	await rm(socketPath)
	const body = `${JSON.stringify(one)}\n{"pog"`
	const server = createServer(socket => {
		socket.once('data', () =>
			socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`),
		)
	})
	await new Promise<void>(resolve => server.listen(socketPath, resolve))
	t.teardown(() => server.close())
	const answer = await client.records('web', {})
	if ('failure' in answer) return t.fail(answer.failure.message)
	const seen: unknown[] = []
	for await (const batch of answer.value) seen.push(...batch)
	t.deepEqual(seen, [one])
	t.regex(answer.value.failure?.message ?? 'none', /^Lost pogshim at/)
})
