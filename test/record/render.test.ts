/** The renderers against rows written by hand, and against naive ones that follow the documents sentence by sentence. */
import test from 'ava'
import fc from 'fast-check'
import { parseDatagram } from '../../src/record/datagram.ts'
import { renderDevKmsg } from '../../src/record/dev-kmsg.ts'
import { newParsed } from '../../src/record/parsed.ts'
import { PROC_KMSG_CAP_BYTES, renderProcKmsg } from '../../src/record/proc-kmsg.ts'
import { renderRfc5424, Rfc5424Head, sizeRfc5424 } from '../../src/record/rfc5424.ts'

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const bytesOf = (text: string) => Buffer.from(text, 'latin1')

function devKmsg(text: string, dict?: string, cap?: number): string {
	const target = new Uint8Array(4096).fill(0xee)
	const source = bytesOf(`?${text}?`)
	const rawDict = dict === undefined ? undefined : bytesOf(dict)
	const end = renderDevKmsg(target, 3, 1, 6, 339, 5_140_900, source, 1, source.length - 1, rawDict, cap)
	return latin1(target.subarray(3, end))
}

test('/dev/kmsg shows PRI, sequence, microseconds, flags and the escaped text', t => {
	for (const [text, shown] of [
		['plain', 'plain'],
		['', ''],
		['a\nb', 'a\\x0ab'],
		['tab\there', 'tab\\x09here'],
		['back\\slash', 'back\\x5cslash'],
		['\u00c3\u00a9', '\\xc3\\xa9'],
		['\x00\x1f\x7f\x80\xff', '\\x00\\x1f\\x7f\\x80\\xff'],
		['; , - =', '; , - ='],
	] as const) {
		t.is(devKmsg(text), `14,339,5140900,-;${shown}\n`)
	}
})

test('/dev/kmsg shows the dictionary on lines of its own', t => {
	t.is(
		devKmsg('usb 1-1', 'SUBSYSTEM=usb\nDEVICE=c189:1\n'),
		'14,339,5140900,-;usb 1-1\n SUBSYSTEM=usb\n DEVICE=c189:1\n',
	)
	t.is(devKmsg('x', 'SUBSYSTEM=\nDEVICE=+usb\\1'), '14,339,5140900,-;x\n DEVICE=+usb\\x5c1\n')
})

test('/dev/kmsg takes the largest numbers', t => {
	const target = new Uint8Array(128)
	const end = renderDevKmsg(target, 0, 255, 7, Number.MAX_SAFE_INTEGER, 4_294_967_296_123, bytesOf('x'), 0, 1)
	t.is(latin1(target.subarray(0, end)), '2047,9007199254740991,4294967296123,-;x\n')
})

test('numbers are written exactly at every power of ten and of two', t => {
	const target = new Uint8Array(128)
	for (const base of [2, 10]) {
		for (let power = 1; power < Number.MAX_SAFE_INTEGER; power *= base) {
			for (const number of [power - 1, power, power + 1]) {
				const end = renderDevKmsg(target, 0, 1, 6, number, number, bytesOf(''), 0, 0)
				t.is(latin1(target.subarray(0, end)), `14,${number},${number},-;\n`)
			}
		}
	}
})

test('/dev/kmsg cuts a record at 2048 bytes and ends it with a newline', t => {
	const header = '14,339,5140900,-;'
	for (const text of [
		'\x01'.repeat(600),
		'\x01'.repeat(505) + 'abc'.repeat(40),
		`${'a'.repeat(10)}${'\xff'.repeat(1000)}`,
	]) {
		const whole = header + naiveEscaped(text)
		t.is(devKmsg(text), `${whole.slice(0, 2047)}\n`)
	}
	const full = 'a'.repeat(2048 - header.length - 1)
	t.is(devKmsg(full), `${header}${full}\n`)
	t.is(devKmsg(full, 'SUBSYSTEM=usb'), `${header}${full}\n`)
	t.is(devKmsg(full.slice(4), 'SUBSYSTEM=usb'), `${header}${full.slice(4)}\n SU\n`)
})

const anyText = fc.oneof(
	fc.string({ maxLength: 400, unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)) }),
	fc
		.array(fc.constantFrom('line', '\n', '\n\n', 'a longer line of words', '\\', '\x7f'), { maxLength: 60 })
		.map(words => words.join('')),
)

test('/dev/kmsg escapes any text as the document says', t => {
	fc.assert(
		fc.property(anyText, fc.integer({ min: 64, max: 2048 }), (text, cap) => {
			const whole = `14,339,5140900,-;${naiveEscaped(text)}`
			return devKmsg(text, undefined, cap) === `${whole.slice(0, cap - 1)}\n`
		}),
	)
	t.pass()
})

function naiveEscaped(text: string): string {
	return Array.from(text, char => {
		const code = char.charCodeAt(0)
		return code < 32 || code >= 127 || char === '\\' ? `\\x${code.toString(16).padStart(2, '0')}` : char
	}).join('')
}

function procKmsg(text: string, timeUs: number, facility: number, severity: number, cap: number): string {
	const target = new Uint8Array(4096).fill(0xee)
	const source = bytesOf(`\n${text}\n`)
	const end = renderProcKmsg(target, 3, cap, facility, severity, timeUs, source, 1, source.length - 1)
	const size = renderProcKmsg(undefined, 0, cap, facility, severity, timeUs, source, 1, source.length - 1)
	return size === end - 3 && size < cap
		? latin1(target.subarray(3, end))
		: `size ${size}, written ${end - 3}, cap ${cap}`
}

test('/proc/kmsg puts the prefix before each line of the raw text', t => {
	const cap = PROC_KMSG_CAP_BYTES
	for (const [text, timeUs, facility, severity, shown] of [
		['plain', 5_140_900, 0, 6, '<6>[    5.140900] plain\n'],
		['', 0, 1, 4, '<12>[    0.000000] \n'],
		['a\nb', 12_345_000_001, 1, 6, '<14>[12345.000001] a\n<14>[12345.000001] b\n'],
		['x\n', 999_999, 1, 6, '<14>[    0.999999] x\n<14>[    0.999999] \n'],
		['raw \x1b\\\xff', 1_234_567_000_042, 255, 7, '<2047>[1234567.000042] raw \x1b\\\xff\n'],
	] as const) {
		t.is(procKmsg(text, timeUs, facility, severity, cap), shown)
	}
})

test('/proc/kmsg leaves out the lines that do not fit', t => {
	const prefix = '<14>[    5.000000] '
	const line = `${prefix}\n`.length
	t.is(procKmsg('\n'.repeat(1023), 5e6, 1, 6, 2048), `${prefix}\n`.repeat(Math.floor(2047 / line)))
	t.is(
		procKmsg(`short\n${'x'.repeat(1000)}\n${'y'.repeat(1000)}`, 5e6, 1, 6, 2048),
		`${prefix}short\n${prefix}${'x'.repeat(1000)}\n`,
	)
	for (let cap = 40; cap < 120; cap++) {
		const count = Math.floor((cap - 1) / (line + 1))
		t.is(
			procKmsg('a\nb\nc\nd', 5e6, 1, 6, cap),
			['a', 'b', 'c', 'd']
				.slice(0, count)
				.map(each => `${prefix}${each}\n`)
				.join(''),
		)
	}
	t.is(procKmsg('z'.repeat(3000), 5e6, 1, 6, 2048), `${prefix}${'z'.repeat(2047 - line)}\n`)
})

test('/proc/kmsg shows any text as lines, as many as fit', t => {
	fc.assert(
		fc.property(anyText, fc.integer({ min: 500, max: 2048 }), fc.nat(1e15), (text, cap, timeUs) => {
			const seconds = String(Math.floor(timeUs / 1e6)).padStart(5)
			const prefix = `<30>[${seconds}.${String(timeUs % 1e6).padStart(6, '0')}] `
			let expected = ''
			for (const line of text.split('\n')) {
				if (expected.length + prefix.length + line.length + 2 > cap) break
				expected += `${prefix}${line}\n`
			}
			return expected === '' || procKmsg(text, timeUs, 3, 6, cap) === expected
		}),
	)
	t.pass()
})

function rfc5424(datagram: string, realtimeUs: number): string {
	const head = new Rfc5424Head('web1')
	head.update(0)
	head.update(realtimeUs)
	const source = bytesOf(datagram)
	const p = newParsed()
	parseDatagram(source, 0, source.length, p)
	const size = sizeRfc5424(head, source, p)
	const target = new Uint8Array(size + 6).fill(0xee)
	const end = renderRfc5424(target, 3, head, source, p)
	if (end - 3 !== size || target[end] !== 0xee) return `size ${size}, written ${end - 3}`
	return latin1(target.subarray(3, end))
}

test('RFC 5424 lines have every field, sanitised, in local time with microseconds', t => {
	const us = new Date(2026, 10, 21, 3, 4, 5).getTime() * 1000 + 7
	const zone = /GMT([+-]\d\d)(\d\d)/.exec(new Date(us / 1000).toString())
	const time = `2026-11-21T03:04:05.000007${zone?.[1] ?? ''}:${zone?.[2] ?? ''}`
	for (const [datagram, shown] of [
		['<14>1 - - app 7 ID4 [a b="c"] text', 'app 7 ID4 [a b="c"] text'],
		['<14>Nov 21 22:00:01 prog[9]: text', 'prog 9 - - text'],
		['<14>just text', '- - - - just text'],
		['<14>', '- - - - '],
		['<14>1 - - app - - [a b="c\nd\x7f"] x\ny\x01', 'app - - [a b="c d^?"] x y^A'],
	] as const) {
		t.is(rfc5424(datagram, us), `${time} web1 ${shown}\n`)
	}
})

test('RFC 5424 lines are one line of the promised size for any message', t => {
	fc.assert(
		fc.property(anyText, fc.constantFrom('<14>', '<14>1 - - a b c [x y="', '<14>prog[1]: '), (text, prefix) => {
			const line = rfc5424(`${prefix}${text}"] end`, 1.7e15)
			return line.indexOf('\n') === line.length - 1 && !line.startsWith('size')
		}),
	)
	t.pass()
})
