/** The parsers against the corpus in fixtures/records, and the promises that hold for any bytes. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { parseDatagram } from '../../src/record/datagram.ts'
import { textOf } from '../../src/record/decode.ts'
import { FACILITIES, facilityByName, facilityName } from '../../src/record/facility.ts'
import { parseKmsgWrite } from '../../src/record/kmsg-write.ts'
import { composed, composeLine, LineHead, maxLineBytes } from '../../src/record/line.ts'
import { newParsed } from '../../src/record/parsed.ts'
import type { Parsed } from '../../src/record/parsed.ts'
import { SEVERITIES, severityByName, severityName } from '../../src/record/severity.ts'

interface Row {
	readonly from: string
	readonly input: string
	readonly expect: Readonly<Record<string, string | number | boolean>>
}

function corpus(name: string): Row[] {
	const text = readFileSync(new URL(`../../fixtures/records/${name}`, import.meta.url), 'utf8')
	return text
		.trimEnd()
		.split('\n')
		.map(line => JSON.parse(line) as Row)
}

const latin1 = (bytes: Uint8Array, start: number, end: number) =>
	Buffer.from(bytes.slice(start, end)).toString('latin1')

/** The parts that are there, as the corpus writes them. */
function partsOf(bytes: Uint8Array, p: Parsed): Record<string, string> {
	const ranges = {
		time: [p.timeStart, p.timeEnd],
		host: [p.hostStart, p.hostEnd],
		tag: [p.tagStart, p.tagEnd],
		pid: [p.pidStart, p.pidEnd],
		msgid: [p.msgidStart, p.msgidEnd],
		sd: [p.sdStart, p.sdEnd],
	} as const
	const parts: Record<string, string> = {}
	for (const [name, [start, end]] of Object.entries(ranges)) if (end > start) parts[name] = latin1(bytes, start, end)
	return parts
}

/** The input in the middle of other bytes, so that a look outside of it shows. */
function surrounded(
	input: Uint8Array,
	behind = '0>: [1]: - - - x\n\0',
): { bytes: Uint8Array; start: number; end: number } {
	const before = Buffer.from('<1>1 Nov 21 22:00:01 other[9]: ')
	return {
		bytes: Buffer.concat([before, input, Buffer.from(behind, 'latin1')]),
		start: before.length,
		end: before.length + input.length,
	}
}

/** What would complete a part that is cut short. */
const BEHIND = [
	'0>: x',
	'>x',
	': x',
	' x',
	'] x',
	'1]: x',
	'"] x',
	'Z x',
	' 22:00:01 x',
	':00 x',
	'0:00 x',
	'- x',
	'\n\0',
]

const HOST = 'web1'

test('datagram corpus is parsed part for part and composed to its line', t => {
	const head = new LineHead(HOST)
	head.update(0)
	for (const { from, input, expect } of corpus('datagrams.jsonl')) {
		const { bytes, start, end } = surrounded(Buffer.from(input, 'latin1'))
		const p = newParsed()
		parseDatagram(bytes, start, end, p)
		const { facility, severity, priValid, dialect } = p
		const found = {
			facility,
			severity,
			priValid,
			dialect,
			...partsOf(bytes, p),
			msg: latin1(bytes, p.msgStart, p.msgEnd),
		}
		const { line, ...parts } = expect
		t.deepEqual<object, object>(found, { ...parts, msg: parts['msg'] ?? '' }, from)
		t.is(p.bodyStart, p.msgStart, from)

		const target = new Uint8Array(maxLineBytes(p, head))
		const written = composeLine(target, 0, head, bytes, p)
		t.is(latin1(target, head.length, written), `${String(line)}\n`, from)
	}
})

test('kernel log write corpus is parsed to its PRI, text and tag', t => {
	for (const { from, input, expect } of corpus('kmsg-writes.jsonl')) {
		const { bytes, start, end } = surrounded(Buffer.from(input, 'latin1'))
		const p = newParsed()
		parseKmsgWrite(bytes, start, end, p)
		const { facility, severity } = p
		const found = { facility, severity, text: latin1(bytes, p.msgStart, p.msgEnd), ...partsOf(bytes, p) }
		t.deepEqual<object, object>(found, expect, `${from}: ${JSON.stringify(input)}`)
		const prefix =
			'tag' in expect ? `${String(expect['tag'])}${'pid' in expect ? `[${String(expect['pid'])}]` : ''}: ` : ''
		t.is(latin1(bytes, p.msgStart, p.bodyStart), prefix, from)
	}
})

/** Bytes that look like messages often enough to get deep into the parsers. */
const messageBytes = fc.oneof(
	fc.uint8Array({ maxLength: 200 }),
	fc
		.array(
			fc.oneof(
				fc.constantFrom(
					'<13>',
					'<',
					'>',
					'<191>',
					'<192>',
					'1 ',
					'- ',
					'-',
					' ',
					':',
					': ',
					'[',
					']',
					'[7]',
					'="',
					'"',
					'\\',
				),
				fc.constantFrom(
					'Nov 21 22:00:01 ',
					'2026-11-21T22:00:01.5Z ',
					'2026-11-21T22:00:01+00:00 ',
					'prog',
					'a b',
					'\n',
					'\0',
				),
				fc.string({ maxLength: 4, unit: 'binary' }),
			),
			{ maxLength: 20 },
		)
		.map(words => Buffer.from(words.join(''), 'latin1')),
)

const RANGES = ['tag', 'pid', 'msgid', 'sd', 'msg', 'time', 'host'] as const

function rangesLieWithin(p: Parsed, start: number, end: number): boolean {
	return (
		RANGES.every(
			name => start <= p[`${name}Start`] && p[`${name}Start`] <= p[`${name}End`] && p[`${name}End`] <= end,
		) &&
		p.msgStart <= p.bodyStart &&
		p.bodyStart <= p.msgEnd
	)
}

for (const [name, parse, maxFacility] of [
	['parseDatagram', parseDatagram, 23],
	['parseKmsgWrite', parseKmsgWrite, 255],
] as const) {
	test(`${name} answers ranges within the input for any bytes, and looks nowhere else`, t => {
		const p = newParsed()
		const alone = newParsed()
		fc.assert(
			fc.property(messageBytes, fc.constantFrom(...BEHIND), (input, behind) => {
				const { bytes, start, end } = surrounded(input, behind)
				parse(bytes, start, end, p)
				parse(input, 0, input.length, alone)
				const isValid = p.facility >= 1 && p.facility <= maxFacility && p.severity >= 0 && p.severity <= 7
				const isSame = RANGES.every(
					range =>
						latin1(bytes, p[`${range}Start`], p[`${range}End`]) ===
						latin1(input, alone[`${range}Start`], alone[`${range}End`]),
				)
				return isValid && isSame && rangesLieWithin(p, start, end)
			}),
			{ numRuns: 2000 },
		)
		t.pass()
	})

	test(`${name} looks nowhere else wherever a message is cut`, t => {
		const p = newParsed()
		const alone = newParsed()
		for (const { input } of [...corpus('datagrams.jsonl'), ...corpus('kmsg-writes.jsonl')]) {
			const whole = Buffer.from(input, 'latin1').subarray(0, 160)
			for (let cut = 0; cut < whole.length; cut++) {
				const { bytes, start, end } = surrounded(whole.subarray(0, cut), whole.subarray(cut).toString('latin1'))
				parse(bytes, start, end, p)
				parse(bytes.slice(start, end), 0, cut, alone)
				for (const key of [
					'tagStart',
					'pidEnd',
					'msgidEnd',
					'sdEnd',
					'msgStart',
					'msgEnd',
					'timeEnd',
					'hostEnd',
				] as const) {
					if (p[key] - start !== alone[key]) t.fail(`${key} of ${JSON.stringify(input)} cut at ${cut}`)
				}
				if (p.priValid !== alone.priValid || p.facility !== alone.facility || p.dialect !== alone.dialect) t.fail(input)
			}
		}
		t.pass()
	})

	test(`${name} takes 64 KiB of anything`, t => {
		const p = newParsed()
		for (const [filler, prefix] of [
			[0x61, '<13>'],
			[0x39, '<'],
			[0x00, '<13>x'],
			[0x0a, '<13>'],
			[0x20, '<13>1 - - a - - [x'],
			[0x22, '<13>1 - - a - - [x y="'],
			[0x5c, '<13>1 - - a - - [x y="'],
			[0x5b, '<13>prog'],
			[0xff, ''],
		] as const) {
			const bytes = new Uint8Array(65536).fill(filler)
			bytes.set(Buffer.from(prefix))
			parse(bytes, 0, bytes.length, p)
			t.true(rangesLieWithin(p, 0, bytes.length), prefix)
		}
	})
}

test('composed lines keep one record on one line within the promised room', t => {
	const head = new LineHead(HOST)
	head.update(1_795_000_000_000_000)
	const fallback = Buffer.from('kernel')
	const p = newParsed()
	fc.assert(
		fc.property(messageBytes, fc.boolean(), fc.boolean(), (input, isKmsg, hasFallback) => {
			if (isKmsg) parseKmsgWrite(input, 0, input.length, p)
			else parseDatagram(input, 0, input.length, p)
			const room = maxLineBytes(p, head, hasFallback ? fallback : undefined)
			const target = new Uint8Array(room + 8).fill(0xee)
			const end = composeLine(target, 4, head, input, p, hasFallback ? fallback : undefined)
			const line = latin1(target, 4, end)
			const { tagOffset, tagBytes, pidOffset, pidBytes, msgOffset, clean } = composed
			const hasTag = p.tagEnd > p.tagStart
			const tag = hasTag ? latin1(input, p.tagStart, p.tagEnd) : hasFallback ? 'kernel' : ''
			const pid = hasTag ? latin1(input, p.pidStart, p.pidEnd) : ''
			const body = latin1(input, p.bodyStart, p.msgEnd)
			return (
				end - 4 <= room &&
				latin1(target, 0, 4) === '\xee\xee\xee\xee' &&
				latin1(target, end, end + 4) === '\xee\xee\xee\xee' &&
				line.indexOf('\n') === line.length - 1 &&
				line.slice(tagOffset, tagOffset + tagBytes) === tag &&
				line.slice(pidOffset, pidOffset + pidBytes) === pid &&
				line.slice(0, msgOffset) === `${latin1(head.bytes, 0, head.length)}${tag}${pid && `[${pid}]`}${tag && ': '}` &&
				line.slice(msgOffset, -1) === naiveSanitised(body) &&
				clean === (naiveSanitised(body) === body)
			)
		}),
		{ numRuns: 2000 },
	)
	t.pass()
})

/** The rule of the file format, character by character. */
function naiveSanitised(text: string): string {
	return Array.from(text, char => {
		const code = char.charCodeAt(0)
		if (char === '\n') return ' '
		if (char === '\t' || (code >= 32 && code !== 127)) return char
		return code === 127 ? '^?' : `^${'@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_'.charAt(code)}`
	}).join('')
}

test('every byte at every position of a line is sanitised by the rule', t => {
	const head = new LineHead(HOST)
	head.update(0)
	const p = newParsed()
	for (let byte = 0; byte < 256; byte++) {
		for (let at = 1; at < 19; at++) {
			const input = Buffer.alloc(20, 'x')
			input[at] = byte
			parseDatagram(input, 0, input.length, p)
			if (p.tagEnd > p.tagStart) continue
			const target = new Uint8Array(maxLineBytes(p, head))
			const end = composeLine(target, 0, head, input, p)
			t.is(latin1(target, head.length, end), `${naiveSanitised(input.toString('latin1'))}\n`)
		}
	}
})

test('line heads show local time with the day padded by a space', t => {
	const head = new LineHead('h x\n\u00e9')
	for (const time of [
		new Date(2026, 10, 1, 2, 3, 4),
		new Date(2026, 10, 21, 22, 0, 59),
		new Date(2027, 0, 9, 0, 0, 0),
	]) {
		head.update(time.getTime() * 1000 + 999_999)
		const [, month, day, , clock] = time.toString().split(' ') as [string, string, string, string, string]
		t.is(Buffer.from(head.bytes).toString(), `${month} ${day.replace(/^0/, ' ')} ${clock} h?x?\u00e9 `)
	}
	t.is(Buffer.from(new LineHead('').bytes.subarray(16)).toString(), '- ')
})

test('facility and severity names go both ways, in any case, with their aliases', t => {
	for (const { code, name, aliases } of FACILITIES) {
		t.is(facilityName(code), name)
		for (const each of [name, name.toUpperCase(), ...aliases]) t.is(facilityByName(each), code)
	}
	for (const { code, name, aliases } of SEVERITIES) {
		t.is(severityName(code), name)
		for (const each of [name, name.toUpperCase(), ...aliases]) t.is(severityByName(each), code)
	}
	t.deepEqual(
		['security', 'audit', 'ntp', 'console', 'cron2', 'local7', 'mark'].map(facilityByName),
		[13, 13, 12, 14, 15, 23, 24],
	)
	t.deepEqual(['panic', 'error', 'warn', 'debug'].map(severityByName), [0, 3, 4, 7])
	t.deepEqual(
		[facilityName(40), facilityByName('32'), facilityByName('__proto__'), severityByName('none')],
		['40', undefined, undefined, undefined],
	)
})

test('text that is no UTF-8 is decoded with replacements', t => {
	const bytes = Buffer.from('--\xef\xbb\xbfbad \xff \xc3\xa9--', 'latin1')
	t.is(textOf(bytes, 2, bytes.length - 2), '\ufeffbad \ufffd \u00e9')
})
