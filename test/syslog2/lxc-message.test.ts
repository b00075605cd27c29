/** Messages of LXC's seccomp proxy: one as LXC 5.0.2 sent it for "busybox dmesg -c", and whatever else comes. */
import test from 'ava'
import fc from 'fast-check'
import { parseLxcMessage, renderLxcAnswer } from '../../src/syslog2/lxc-message.ts'

const HEADER = '0000000000000000de130000e013000050001800400000000400000000000000'
const NOTIFICATION = [
	'2ca380e03942b97dfa13000000000000670000003e0000c00715480000000000',
	'040000000000000010070b140000000000400000000000000000000000000000',
	'00000000000000000000000000000000',
].join('')
const RESPONSE = '2ca380e03942b97d00000000000000000000000000000000'
const COOKIE = '636f6f6b'
const MESSAGE = Buffer.from(HEADER + NOTIFICATION + RESPONSE + COOKIE, 'hex')

test('a call is read, and its answer is the message with the response filled in', t => {
	const parsed = parseLxcMessage(MESSAGE)
	if ('problem' in parsed) return t.fail(parsed.problem)
	const { bytes, responseAt, ...call } = parsed.value
	t.deepEqual(call, {
		initPid: 0x13e0,
		tid: 0x13fa,
		idLow: 0xe080a32c,
		idHigh: 0x7db94239,
		nr: 103,
		arch: 0xc000003e,
		type: 4,
		buffer: 0x140b0710,
		len: 0x4000,
	})
	const answered = (value: number): string => Buffer.from(renderLxcAnswer(parsed.value, value)).toString('hex')
	const before = HEADER + NOTIFICATION
	t.is(answered(0x1234), `${before}2ca380e03942b97d34120000000000000000000000000000`)
	t.is(answered(-4), `${before}2ca380e03942b97d0000000000000000fcffffff00000000`)
	t.is(responseAt, 112)
	t.is(bytes.length, MESSAGE.length - 4)
})

test('a message that is too short, or that says it is shorter than it can be, is told', t => {
	for (let length = 0; length < MESSAGE.length - 4; length++)
		t.true('problem' in parseLxcMessage(MESSAGE.subarray(0, length)), `${length} bytes`)
	const small = Buffer.from(MESSAGE)
	small.writeUInt16LE(79, 16)
	t.true('problem' in parseLxcMessage(small))
})

test('whatever comes, the answer fits into what came', t => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: -4095, max: 65_536 }), (bytes, value) => {
			// Sizes that are plausible, or nothing would get that far.
			bytes.set([80, 0, 24, 0].slice(0, Math.max(0, bytes.length - 16)), Math.min(16, bytes.length))
			const parsed = parseLxcMessage(bytes)
			return 'problem' in parsed || renderLxcAnswer(parsed.value, value).length <= bytes.length
		}),
	)
	t.pass()
})
