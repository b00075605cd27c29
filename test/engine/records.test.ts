/** Rings read beside their writer, and streams of their records. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { passes, RecordReader } from '../../src/engine/record-reader.ts'
import { type RecordSource, streamRecords } from '../../src/engine/record-stream.ts'
import { finish } from '../../src/lib/steps.ts'
import {
	closeRing,
	closeRingInSteps,
	openRingForReading,
	removeBeside,
	resizeRing,
} from '../../src/engine/ring-file.ts'
import type { RecordInfo } from '../../src/pog/info.ts'
import { FIELD, FLAG } from '../../src/ring/layout.ts'
import { append, newRing, ringPath } from '../helpers/rings.ts'

/** A process that appends to a fresh ring until it is killed. */
async function appender(t: ExecutionContext): Promise<{ path: string; kill: () => Promise<void> }> {
	const path = ringPath()
	const child = spawn(process.execPath, ['--import=tsx', new URL('appender.ts', import.meta.url).pathname, path], {
		stdio: ['ignore', 'pipe', 'inherit'],
	})
	const kill = async (): Promise<void> => {
		if (child.exitCode !== null || child.signalCode !== null) return
		child.kill('SIGKILL')
		await once(child, 'exit')
	}
	t.teardown(kill)
	await once(child.stdout, 'data')
	return { path, kill }
}

const WHOLE = /^(\d+) ([a-z]?)\2* \1$/

test('a reader beside a writer in another process gets whole records in order, and counts exactly those it missed', async t => {
	const { path, kill } = await appender(t)
	const reader = new RecordReader('x', path)
	let [read, last] = [0, -1]
	let missed = 0
	const drain = (most: number): void => {
		for (let n = 0; n < most; n++) {
			const record = reader.next()
			if (record === undefined) return
			missed += reader.lost
			if (record.seq !== last + 1 + reader.lost) throw new Error(`${last}, ${reader.lost} lost, then ${record.seq}`)
			reader.lost = 0
			last = record.seq
			if (WHOLE.exec(record.text)?.[1] !== String(record.seq)) throw new Error(`${record.seq}: ${record.text}`)
			read++
		}
	}
	// It may have begun before the reader did.
	const first = reader.next()
	last = first?.seq ?? -1
	reader.lost = 0
	const until = performance.now() + 700
	while (performance.now() < until || missed === 0) drain(5000)
	await kill()
	drain(Number.POSITIVE_INFINITY)
	t.true(read > 1000 && missed > 1000, `${read} read, ${missed} missed`)
	const ring = openRingForReading(path)
	if (ring === undefined) throw new Error('The ring is gone')
	t.is(last, ring.headSeq - 1)
	t.is(reader.next(), undefined)
	closeRing(ring)
	reader.close()
})

test('a ring whose writer was killed at any moment reads back whole', async t => {
	for (let n = 0; n < 3; n++) {
		const { path, kill } = await appender(t)
		await new Promise(resolve => setTimeout(resolve, 20 + 17 * n))
		await kill()
		const ring = openRingForReading(path)
		if (ring === undefined) throw new Error('The ring cannot be opened')
		t.true(ring.headSeq > ring.tailSeq)
		let kmsg = -1
		for (let seq = ring.tailSeq; seq < ring.headSeq; seq++) {
			const start = ring.offset(ring.position(seq))
			const bytes = ring.words[ring.slot(seq) + 3] ?? 0
			const text = Buffer.from(ring.text.subarray(start, start + bytes - 1)).toString()
			if (WHOLE.exec(text)?.[1] !== String(seq)) throw new Error(`${seq}: ${text}`)
			if (kmsg >= 0 && ring.kmsgSeq(seq) !== kmsg) throw new Error(`kmsg number of ${seq}`)
			kmsg = ring.kmsgSeq(seq) + (seq % 3 === 0 ? 1 : 0)
		}
		t.true((ring.floats[FIELD.nextKmsgSeq] ?? 0) - kmsg <= 1)
		closeRing(ring)
	}
})

test('a reader goes on in the ring that took the place of its own', t => {
	const path = ringPath()
	let ring = newRing(65_536, path)
	const reader = new RecordReader('x', path)
	const line = (n: number): Buffer => Buffer.from(`${n}\n`)
	append(ring, line(0))
	t.is(reader.next()?.text, '0')
	append(ring, line(1))
	const grown = finish(resizeRing(path, ring, 1 << 20))
	if (typeof grown === 'number') throw new Error(`errno ${-grown}`)
	closeRing(ring)
	ring = grown
	append(ring, line(2))
	t.deepEqual([reader.next()?.text, reader.next()?.text, reader.next()], ['1', '2', undefined])
	reader.close()
	closeRing(ring)
})

test('a ring that is being resized takes records, and one whose resize is given up stays as it was', t => {
	const path = ringPath()
	const ring = newRing(65_536, path)
	const line = (n: number): Buffer => Buffer.from(`${n}\n`)
	append(ring, line(0))
	const descriptors = (): number => readdirSync('/proc/self/fd').length
	const held = descriptors()
	// At each of its steps.
	for (let steps = 0; ; steps++) {
		const resize = resizeRing(path, ring, 8 << 20, function* () {
			yield
			yield
		})
		let done = false
		for (let n = 0; n < steps && !done; n++) done = resize.next().done === true
		if (done) throw new Error('it was done')
		if (steps > 0) t.true(existsSync(`${path}.new`))
		resize.return(0)
		t.false(existsSync(`${path}.new`), String(steps))
		t.is(descriptors(), held)
		// 13 MiB are allocated, one a step; then it is moved.
		if (steps === 15) break
	}
	const resize = resizeRing(path, ring, 8 << 20)
	let appended = 1
	let step = resize.next()
	for (; step.done !== true; step = resize.next()) append(ring, line(appended++))
	const grown = step.value
	if (typeof grown === 'number') throw new Error(`errno ${-grown}`)
	t.true(appended > 8)
	t.is(grown.headSeq, appended)
	// An engine that was killed in the middle has left this.
	writeFileSync(`${path}.new`, '')
	t.true(removeBeside(path))
	t.false(removeBeside(path))
	finish(closeRingInSteps(ring))
	const reader = new RecordReader('x', path)
	for (let n = 0; n < appended; n++) t.is(reader.next()?.text, String(n))
	reader.close()
	closeRing(grown)
})

test('what is no ring is not opened, and does no harm', t => {
	const path = ringPath()
	t.is(openRingForReading(path), undefined)
	for (const bytes of [0, 100, 4095, 4096, 200_000]) {
		writeFileSync(path, Buffer.alloc(bytes))
		t.is(openRingForReading(path), undefined, String(bytes))
	}
	const whole = newRing(65_536, path)
	const opened = openRingForReading(path)
	t.is(opened?.textBytes, 65_536)
	if (opened !== undefined) closeRing(opened)
	whole.floats[FIELD.descCount] = 1024
	t.is(openRingForReading(path), undefined)
	whole.floats[FIELD.descCount] = 512
	closeRing(whole)
	// One that lost its end: to touch it would end this process.
	truncateSync(path, 70_000)
	t.is(openRingForReading(path), undefined)
	renameSync(path, `${path}.gone`)
	const reader = new RecordReader('x', path)
	t.is(reader.next(), undefined)
	reader.close()
})

test('a reader tells a record as the host wants it', t => {
	const path = ringPath()
	const ring = newRing(65_536, path)
	append(ring, Buffer.from('raw\n\n'))
	ring.words[ring.slot(0) + 1] = 3 | (4 << 8) | (2 << 16) | ((FLAG.raw | FLAG.all) << 24)
	const reader = new RecordReader('name', path)
	t.like(reader.next(), { pog: 'name', seq: 0, facility: 3, severity: 4, origin: 'file', text: 'raw\n', tag: '' })
	reader.close()
	closeRing(ring)
})

function info(pog: string, seq: number, realtimeUs: number, more: Partial<RecordInfo> = {}): RecordInfo {
	const rest = {
		facility: 1,
		severity: 5,
		origin: 'devlog',
		monotonicUs: 0,
		tag: '',
		procid: '',
		pid: 0,
		uid: 0,
		text: '',
	} as const
	return { pog, seq, realtimeUs, ...rest, ...more }
}

/** A source that gives these records, then nothing until more are pushed. */
function source(pog: string, records: RecordInfo[]): RecordSource & { closed: boolean } {
	return {
		pog,
		lost: 0,
		closed: false,
		next: () => records.shift(),
		close() {
			this.closed = true
		},
	}
}

async function texts(stream: AsyncIterable<RecordInfo>): Promise<string[]> {
	const all: string[] = []
	for await (const record of stream) all.push(`${record.pog}${record.seq}`)
	return all
}

test('a stream of several logs is merged by time, and the last N are the newest of all', async t => {
	const make = (): RecordSource[] => [
		source('a', [info('a', 0, 10), info('a', 1, 30), info('a', 2, 50)]),
		source('b', [info('b', 0, 20), info('b', 1, 40)]),
	]
	const { signal } = new AbortController()
	t.deepEqual(await texts(streamRecords(make(), {}, signal)), ['a0', 'b0', 'a1', 'b1', 'a2'])
	t.deepEqual(await texts(streamRecords(make(), { last: 2 }, signal)), ['b1', 'a2'])
	t.deepEqual(await texts(streamRecords(make(), { last: 0 }, signal)), [])
	t.deepEqual(await texts(streamRecords(make(), { sinceRealtimeUs: 30 }, signal)), ['a1', 'b1', 'a2'])
	const many = source(
		'a',
		Array.from({ length: 20_000 }, (_, n) => info('a', n, n)),
	)
	t.deepEqual(await texts(streamRecords([many], { last: 3 }, signal)), ['a19997', 'a19998', 'a19999'])
	t.true(many.closed)
})

test('a followed stream goes on with what comes, also from new logs, and tells what was lost before it was read', async t => {
	const records = [info('a', 0, 1)]
	const a = source('a', records)
	const control = new AbortController()
	const fresh: RecordSource[] = []
	const stream = streamRecords([a], { follow: true }, control.signal, () => fresh.splice(0))
	const next = async (): Promise<RecordInfo | undefined> => {
		const result = await stream.next()
		return result.done === true ? undefined : result.value
	}
	t.is((await next())?.seq, 0)
	records.push(info('a', 5, 2))
	a.lost = 4
	t.like(await next(), {
		pog: 'a',
		origin: 'pogs',
		severity: 4,
		text: '4 records lost: overwritten before they were read',
	})
	t.is((await next())?.seq, 5)
	fresh.push(source('b', [info('b', 7, 3)]))
	t.like(await next(), { pog: 'b', seq: 7 })
	const pending = stream.next()
	control.abort()
	t.true((await pending).done)
	t.true(a.closed)
})

test('a record of one log never overtakes an earlier one of another that was looked at a moment before', async t => {
	const early: RecordInfo[] = []
	const late: RecordInfo[] = []
	let made = 0
	let live = false
	const goLive = (): RecordSource[] => {
		live = true
		return []
	}
	const first = source('a', early)
	const second: RecordSource = {
		...source('b', late),
		next: () => {
			if (live && late.length === 0 && made < 20) {
				const nowUs = Date.now() * 1000
				early.push(info('a', made, nowUs + 400))
				late.push(info('b', made++, nowUs + 500))
			}
			return late.shift()
		},
	}
	const control = new AbortController()
	const seen: string[] = []
	for await (const record of streamRecords([first, second], { follow: true }, control.signal, goLive)) {
		seen.push(`${record.pog}${record.seq}`)
		if (seen.length === 40) control.abort()
	}
	t.deepEqual(
		seen,
		Array.from({ length: 40 }, (_, n) => `${n % 2 === 0 ? 'a' : 'b'}${n >> 1}`),
	)
})

test('a log whose clock runs ahead is not held back, and one that was removed ends its stream', async t => {
	const control = new AbortController()
	const queue: RecordInfo[] = []
	let gone = false
	const ahead = { ...source('ahead', queue), over: () => gone }
	const stream = streamRecords([ahead, source('other', [])], { follow: true }, control.signal, () => [])
	const next = stream.next()
	for (let n = 0; n < 3; n++) queue.push(info('ahead', n, (Date.now() + 3_600_000) * 1000))
	const began = Date.now()
	await next
	await stream.next()
	await stream.next()
	t.true(Date.now() - began < 1000)
	control.abort()
	await stream.return(undefined)

	const last = [info('a', 0, 1)]
	const removed = { ...source('a', last), over: () => gone, closed: 0, close: () => void removed.closed++ }
	const alone = streamRecords([removed], { follow: true }, new AbortController().signal)
	t.like(await alone.next(), { value: { seq: 0 } })
	last.push(info('a', 1, 2))
	gone = true
	t.like(await alone.next(), { value: { seq: 1 } })
	t.true((await alone.next()).done)
	t.is(removed.closed, 1)
})

test('a filter is by text, too, and has an end', async t => {
	const record = info('a', 0, 100, { text: 'Disk sda is Full', tag: 'Smartd' })
	for (const text of ['disk', 'Disk', 'full', 'smartd', '']) t.true(passes({ text }, record), text)
	for (const text of ['DISK', 'Full!', '.*']) t.false(passes({ text }, record), text)
	t.true(passes({ untilRealtimeUs: 100 }, record))
	t.false(passes({ untilRealtimeUs: 99 }, record))
	const past = streamRecords(
		[source('a', [record])],
		{ follow: true, untilRealtimeUs: 100 },
		new AbortController().signal,
	)
	t.deepEqual(await texts(past), ['a0'])
})

test('a filter is by severity, facility and time together', t => {
	const record = info('a', 0, 100, { facility: 4, severity: 3 })
	t.true(passes({}, record))
	t.true(passes({ severity: 3, facilities: [4, 10], sinceRealtimeUs: 100 }, record))
	t.false(passes({ severity: 2 }, record))
	t.false(passes({ facilities: [5] }, record))
	t.false(passes({ sinceRealtimeUs: 101 }, record))
})
