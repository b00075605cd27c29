/**
 * Words of the command line and lines of streams: the pure leaves that the control room uses.
 */
import test from 'ava'
import fc from 'fast-check'
import {
	parseFacilities,
	parseOwner,
	parsePriority,
	parseRing,
	parseSeverity,
	parseSince,
} from '../../src/control/command/arguments.ts'
import { printable, toJson } from '../../src/control/command/context.ts'
import { renderEvent } from '../../src/control/command/events.ts'
import { LineClock, LineRenderer, nameColour } from '../../src/control/command/line.ts'
import { compare, renderTop } from '../../src/control/command/top.ts'
import { parseInstant } from '../../src/lib/instant.ts'
import { LineSplitter } from '../../src/lib/lines.ts'
import { formatSize, parseSize } from '../../src/lib/size.ts'
import { makeEvent, makePog, makeRecord } from './double.ts'

const KIB = 1024

test('sizes are read in every form that people write', t => {
	const rows: readonly (readonly [string, number | undefined])[] = [
		['0', 0],
		['65536', 65_536],
		['64k', 64 * KIB],
		['64K', 64 * KIB],
		['64 KiB', 64 * KIB],
		['64kb', 64 * KIB],
		['1m', KIB * KIB],
		['64MiB', 64 * KIB * KIB],
		['1.5m', 1536 * KIB],
		['2g', 2 * KIB ** 3],
		['1t', KIB ** 4],
		['512B', 512],
		[' 1k ', KIB],
		['', undefined],
		['k', undefined],
		['12q', undefined],
		['64i', undefined],
		['-1', undefined],
		['1e3', undefined],
		['0.0001k', undefined],
		['1.5', undefined],
		['9999999999999999', undefined],
		['9999t', undefined],
	]
	for (const [text, bytes] of rows) t.is(parseSize(text), bytes, text)
	fc.assert(
		fc.property(
			fc.string(),
			text => [undefined, 'number'].includes(typeof parseSize(text)) || parseSize(text) === undefined,
		),
	)
})

test('a size that is shown reads as nearly the same', t => {
	t.deepEqual([0, 1023, 1024, 1536, 262_144, 1_048_575, 67_108_864].map(formatSize), [
		'0',
		'1023',
		'1k',
		'1.5k',
		'256k',
		'1m',
		'64m',
	])
	fc.assert(
		fc.property(fc.nat({ max: 2 ** 40 }), bytes => {
			const again = parseSize(formatSize(bytes)) ?? parseSize(formatSize(bytes).replace(/\.\d/, ''))
			return again !== undefined && Math.abs(again - bytes) <= 0.5 * bytes + 1
		}),
	)
	fc.assert(
		fc.property(
			fc.nat({ max: 1023 }),
			fc.constantFrom(1, KIB, KIB ** 2),
			(n, unit) => parseSize(formatSize(n * unit)) === n * unit,
		),
	)
})

test('moments are ages, dates and epoch seconds', t => {
	const now = Date.UTC(2025, 10, 21, 22, 0, 0)
	const rows: readonly (readonly [string, number | undefined])[] = [
		['10m', now - 600_000],
		['90s', now - 90_000],
		['1.5h', now - 5_400_000],
		['2d', now - 172_800_000],
		['0s', now],
		['1763762401', 1_763_762_401_000],
		['@1763762401.5', 1_763_762_401_500],
		['2025-11-21T22:00:01Z', now + 1000],
		['2025-11-21T23:00:01+01:00', now + 1000],
		['2025-11-21 23:00:01.250 +0100', now + 1250],
		['2025-11-21', new Date(2025, 10, 21).getTime()],
		['2025-11-21 22:00', new Date(2025, 10, 21, 22).getTime()],
		['2025-13-01', undefined],
		['yesterday', undefined],
		['10', 10_000],
		['10x', undefined],
		['', undefined],
	]
	for (const [text, ms] of rows) t.is(parseInstant(text, now), ms === undefined ? undefined : ms * 1000, text)
	fc.assert(
		fc.property(fc.string(), text => {
			const us = parseInstant(text, now)
			return us === undefined || Number.isSafeInteger(us)
		}),
	)
	t.deepEqual(parseSince('100w', 1000), { value: 0 })
})

test('a stream cut at any bytes gives the same lines', t => {
	fc.assert(
		fc.property(fc.array(fc.string()), fc.string(), fc.array(fc.nat()), (lines, rest, cuts) => {
			const clean = (text: string): string => text.replaceAll('\n', '')
			const bytes = Buffer.from(lines.map(line => `${clean(line)}\n`).join('') + clean(rest))
			const edges = [...cuts.map(cut => cut % (bytes.length + 1)), bytes.length].toSorted((one, other) => one - other)
			const splitter = new LineSplitter()
			const seen: string[] = []
			const reused = Buffer.alloc(bytes.length)
			let start = 0
			for (const end of edges) {
				bytes.copy(reused, 0, start, end)
				seen.push(...splitter.push(reused.subarray(0, end - start)))
				start = end
			}
			t.deepEqual([...seen, splitter.rest()], [...lines.map(clean), clean(rest)])
		}),
	)
})

test('a line longer than allowed ends the stream without being held', t => {
	const splitter = new LineSplitter(4)
	t.deepEqual(splitter.push(Buffer.from('1234\nab')), ['1234'])
	t.false(splitter.overflowed)
	t.deepEqual(splitter.push(Buffer.from('cde\nf\n')), [])
	t.true(splitter.overflowed)
	t.deepEqual(splitter.push(Buffer.from('g\n')), [])
	t.is(splitter.rest(), '')
})

test('arguments are understood, or what was expected is said', t => {
	t.deepEqual(parseRing('1m'), { value: 1_048_576 })
	const ring = { expected: 'Expected bytes such as 65536, 64k, 1m or 64MiB, from 64k to 64m' }
	for (const text of ['63k', '65m', 'big']) t.deepEqual(parseRing(text), ring)
	t.deepEqual(parseFacilities('kern,LOCAL7,10'), { value: [0, 23, 10] })
	t.regex('expected' in parseFacilities('kern,') ? 'yes' : 'no', /yes/)
	t.deepEqual(parseSeverity('warn'), { value: 4 })
	t.deepEqual(parseSeverity('7'), { value: 7 })
	t.deepEqual(parseSeverity('8'), {
		expected: 'Expected one of emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7',
	})
	t.deepEqual(parsePriority('local0.err'), { value: { facility: 16, severity: 3 } })
	t.deepEqual(parsePriority('debug'), { value: { severity: 7 } })
	for (const text of ['local0', 'local0.', '.err', 'a.b.c', 'mark.info', ''])
		t.true('expected' in parsePriority(text), text)
	t.deepEqual(parseOwner('1000'), { value: { uid: 1000, gid: 1000 } })
	t.deepEqual(parseOwner('1000:5'), { value: { uid: 1000, gid: 5 } })
	t.true('expected' in parseOwner('root'))
})

test('nothing that a container writes drives a terminal', t => {
	t.is(printable('a\tb\u00e9\ud83d\ude82'), 'a\tb\u00e9\ud83d\ude82')
	t.is(printable('\x1b[31m\r\n\x7f\u009b\u202e'), '^[[31m^M^J^?\\u009b\\u202e')
	t.is(toJson({ a: '\x7f\u009b\u202e' }), '{"a":"\\u007f\\u009b\u202e"}')
	const hostile = fc.string({ unit: 'binary' })
	fc.assert(
		fc.property(hostile, hostile, hostile, (text, tag, procid) => {
			const line = new LineRenderer({ colour: false }).render(makeRecord('web', 0, text, { tag, procid }))
			// eslint-disable-next-line no-control-regex
			return !/[\x00-\x08\x0a-\x1f\x7f-\x9f]/.test(line.slice(0, -1)) && line.endsWith('\n')
		}),
	)
	fc.assert(
		fc.property(
			fc.anything(),
			value => value === undefined || typeof value === 'function' || typeof value === 'symbol' || safeJson(value),
		),
	)
})

function safeJson(value: unknown): boolean {
	let text: string | undefined
	try {
		text = JSON.stringify(value) as string | undefined
	} catch {
		return true
	}
	return text === undefined || JSON.stringify(JSON.parse(toJson(value))) === JSON.stringify(JSON.parse(text))
}

test('a record is shown as a syslog line, coloured by severity where asked', t => {
	const at = new Date(2025, 10, 1, 7, 8, 9).getTime() * 1000
	const record = makeRecord('web', 0, 'disk full', { realtimeUs: at, severity: 3 })
	const plain = new LineRenderer({ colour: false })
	t.is(plain.render(record), 'Nov  1 07:08:09 web app[7]: disk full\n')
	t.is(plain.render({ ...record, procid: '' }), 'Nov  1 07:08:09 web app: disk full\n')
	t.is(plain.render({ ...record, tag: '', procid: '' }), 'Nov  1 07:08:09 web disk full\n')
	t.is(plain.render({ ...record, realtimeUs: at + 61e6 }), 'Nov  1 07:09:10 web app[7]: disk full\n')
	t.is(new LineRenderer({ colour: true }).render(record), 'Nov  1 07:08:09 web \x1b[31mapp[7]: disk full\x1b[0m\n')
	t.is(new LineRenderer({ colour: false, nameWidth: 5 }).render(record), 'web   | Nov  1 07:08:09 app[7]: disk full\n')
})

test('names of several POGs have their own colours and a width that grows', t => {
	const at = new Date(2025, 10, 1, 7, 8, 9).getTime() * 1000
	const record = makeRecord('web', 0, 'up', { realtimeUs: at })
	const coloured = new LineRenderer({ colour: true, nameWidth: 4 })
	t.is(coloured.render(record), `${nameColour('web')}web \x1b[0m | Nov  1 07:08:09 \x1b[1mapp[7]: up\x1b[0m\n`)
	const plain = new LineRenderer({ colour: false, nameWidth: 4 })
	t.is(plain.render({ ...record, pog: 'database' }), 'database | Nov  1 07:08:09 app[7]: up\n')
	t.is(plain.render(record), 'web      | Nov  1 07:08:09 app[7]: up\n')
	t.is(nameColour('host'), '\x1b[1m')
	t.true(new Set(['web', 'db', 'cache', 'mail', 'proxy', 'cron'].map(nameColour)).size > 2)
	// What severities look like is never a name.
	fc.assert(fc.property(fc.string(), name => /^\[(?:1|3[2456]|9[2456])m$/.test(nameColour(name).slice(1))))
})

test('an event is one safe line whatever it says', t => {
	const clock = new LineClock()
	const event = makeEvent(0, 'drops', 'web', { ratelimited: 3 })
	t.true(renderEvent(event, clock, true).endsWith('\x1b[33mdrops ratelimited=3\x1b[0m'))
	const hostile = fc.string({ unit: 'binary' })
	fc.assert(
		fc.property(hostile, hostile, (pog, value) => {
			const line = renderEvent({ ...event, pog, fields: { value } }, clock, false)
			// eslint-disable-next-line no-control-regex
			return !/[\x00-\x08\x0a-\x1f\x7f-\x9f]/.test(line)
		}),
	)
})

test('top tells what happened between two looks, the busiest first', t => {
	const web = makePog(1, 'web', { ring: { sizeBytes: 65_536, usedBytes: 32_768, records: 5, nextSeq: 100 } })
	const db = makePog(2, 'db')
	const before = { atMs: 10_000, pogs: [web, db], newest: [] }
	const busy = { ...db, ring: { ...db.ring, nextSeq: 31 }, drops: { ...db.drops, ratelimited: 7 } }
	const idle = { ...web, ring: { ...web.ring, nextSeq: 101 } }
	const fresh = makePog(3, 'fresh', { ring: { ...db.ring, nextSeq: 50 } })
	const newest = [makeRecord('db', 30, 'slow')]
	const rows = compare(before, { atMs: 12_000, pogs: [idle, busy, fresh], newest })
	t.deepEqual(
		rows.map(row => [row.pog, row.rate, row.newDrops, row.newest?.text]),
		[
			['db', 15.5, 7, 'slow'],
			['web', 0.5, 0, undefined],
			['fresh', 0, 0, undefined],
		],
	)
	const lines = renderTop(rows, 12_000)
	t.regex(lines[0] ?? '', /3 logs, 16 records\/s, 7 new drops$/)
	t.regex(lines[2] ?? '', /^ {2}2 {2}db +created +16 +256k +0% +7 \+7 {2}\d\d:\d\d:\d\d app: slow$/)
	t.regex(lines[3] ?? '', /^ {2}1 {2}web +created +0\.5 +64k +50% +0 {2}-$/)
	// A service that started again counts from 0: no rate is below 0.
	t.is(compare({ ...before, pogs: [idle] }, { ...before, atMs: 11_000 })[0]?.rate, 0)
})
