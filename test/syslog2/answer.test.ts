/**
 * What syslog(2) answers. Source of truth: do_syslog, syslog_print, syslog_print_all and check_syslog_permissions of
 * kernel/printk/printk.c (v6.12); the model below follows them over a plain array.
 */
import test from 'ava'
import fc from 'fast-check'
import { EFAULT, EINVAL, EPERM } from '../../src/lib/errno.ts'
import { ACTIONS } from '../../src/syslog2/actions.ts'
import { answer, apply } from '../../src/syslog2/answer.ts'
import { KmsgText } from '../../src/syslog2/kmsg-text.ts'
import { newPog, type TestPog, withPog } from '../helpers/pogs.ts'

const BUFFER = 0x7f00_0000_1000
const KERNEL_BUFFER = 2 ** 63 + 4096

interface Outcome {
	value: number | 'wait'
	bytes: string
	/** Whether the caller's rights were asked for. */
	asked: boolean
}

interface Circumstances {
	buffer?: number
	privileged?: boolean
	/** Bytes of the caller's buffer that can be written. */
	writable?: number
	/** The caller was still there when it was answered. */
	accepted?: boolean
	/** Bytes of the memory that text is rendered in. */
	scratch?: number
}

function call(on: TestPog, type: number, len: number, how: Circumstances = {}): Outcome {
	const { buffer = BUFFER, privileged = true, writable = Number.POSITIVE_INFINITY, accepted = true } = how
	let asked = false
	const text = new KmsgText(on.pog)
	const found = answer({ type, buffer, len }, text, () => {
		asked = true
		return privileged
	})
	if (found === 'wait') return { value: 'wait', bytes: '', asked }
	if (!('delivery' in found)) {
		if (accepted && found.effect !== undefined) apply(found.effect, text)
		return { value: found.value, bytes: '', asked }
	}
	const target = new Uint8Array(how.scratch ?? 4096)
	let bytes = ''
	const copied = text.render(found.delivery.stretch, target, size => {
		const some = Math.min(size, writable - bytes.length)
		bytes += Buffer.from(target.subarray(0, some)).toString('latin1')
		return some
	})
	const value = found.delivery.value(copied)
	const effect = found.effect(value)
	if (accepted && effect !== undefined) apply(effect, text)
	return { value, bytes: value > 0 ? bytes.slice(0, value) : '', asked }
}

/** Every number an int can have that matters. */
const TYPES = [...ACTIONS.keys(), -1, 11, 12, 99, 0x7fffffff, -0x80000000]
const FREE = new Set([3, 10])

test('without privilege everything but READ_ALL and SIZE_BUFFER is EPERM, an unknown type and a bad buffer too', t => {
	withPog({}, on => {
		for (const type of TYPES) {
			for (const [buffer, len] of [
				[0, -1],
				[BUFFER, 4096],
			] as const) {
				const { value, asked } = call(on, type, len, { buffer, privileged: false })
				if (FREE.has(type)) {
					t.not(value, -EPERM, `type ${type}`)
					t.false(asked)
				} else t.is(value, -EPERM, `type ${type}`)
			}
		}
	})
})

test('with dmesg_restrict everything is EPERM without privilege, and nothing with it', t => {
	withPog({}, on => {
		on.pog.printk.dmesgRestrict = 1
		for (const type of TYPES) {
			t.is(call(on, type, 1, { privileged: false }).value, -EPERM, `type ${type}`)
			t.not(call(on, type, 1).value, -EPERM, `type ${type}`)
		}
	})
})

test('an unknown type is EINVAL to who is privileged', t => {
	withPog({}, on => {
		for (const type of TYPES.filter(each => each < 0 || each > 10)) t.is(call(on, type, 100).value, -EINVAL)
	})
})

test('READ, READ_ALL and READ_CLEAR check the buffer before anything else; a length of 0 does nothing', t => {
	withPog({}, on => {
		on.kmsg('<6>here')
		for (const type of [2, 3, 4]) {
			t.is(call(on, type, 100, { buffer: 0 }).value, -EINVAL, 'no buffer')
			t.is(call(on, type, 0, { buffer: 0 }).value, -EINVAL, 'no buffer, no length')
			t.is(call(on, type, -1).value, -EINVAL, 'a negative length')
			t.is(call(on, type, -0x80000000, { buffer: 0 }).value, -EINVAL)
			t.is(call(on, type, 0).value, 0, 'no length')
			t.is(call(on, type, 0, { buffer: KERNEL_BUFFER }).value, 0, 'no length in the kernel')
			t.is(call(on, type, 100, { buffer: KERNEL_BUFFER }).value, -EFAULT, 'in the kernel')
		}
		t.is(call(on, 3, 100).value, 24, 'nothing was cleared')
		t.is(call(on, 9, 0).value, 24, 'nothing was read')
	})
})

test('the other actions look at no buffer', t => {
	withPog({}, on => {
		for (const type of [0, 1, 5, 6, 7, 9]) {
			for (const len of [-1, 0, 5]) t.is(call(on, type, len, { buffer: 0 }).value, 0, `type ${type}`)
		}
		t.is(call(on, 10, -1, { buffer: 0 }).value, 65_536)
	})
})

test('READ consumes for everybody, whole records where they fit, else a part of the first', t => {
	withPog({}, on => {
		t.is(call(on, 2, 100).value, 'wait')
		on.kmsg('<6>one\ntwo\n')
		on.clock.nowUs = 65_000_001
		on.kmsg('<3>three')
		t.is(call(on, 9, 0).value, 23 + 23 + 25)
		t.deepEqual(call(on, 2, 10).bytes, '<14>[    5')
		t.is(call(on, 9, 0).value, 13 + 23 + 25)
		t.is(call(on, 2, 60).bytes, '.000000] one\n<14>[    5.000000] two\n')
		t.is(call(on, 2, 60).bytes, '<11>[   65.000001] three\n')
		t.is(call(on, 2, 60).value, 'wait')
		t.is(call(on, 9, 0).value, 0)
	})
})

test('CLEAR hides from READ_ALL and not from READ; READ_ALL consumes nothing', t => {
	withPog({}, on => {
		on.kmsg('<6>one')
		t.is(call(on, 5, 0).value, 0)
		on.kmsg('<6>two')
		for (const _ of [1, 2]) t.is(call(on, 3, 4096).bytes, '<14>[    5.000000] two\n')
		t.is(call(on, 2, 4096).bytes, '<14>[    5.000000] one\n<14>[    5.000000] two\n')
		t.is(call(on, 4, 4096).bytes, '<14>[    5.000000] two\n')
		t.is(call(on, 3, 4096).value, 0)
		t.is(call(on, 4, 4096).value, 0)
	})
})

test('a call that was taken back has no effect', t => {
	withPog({}, on => {
		on.kmsg('<6>one')
		const gone = { accepted: false }
		t.is(call(on, 2, 10, gone).value, 10)
		t.is(call(on, 2, 100, gone).value, 23)
		for (const type of [4, 5, 6, 8]) call(on, type, 5, gone)
		t.is(call(on, 3, 100).value, 23)
		t.is(call(on, 9, 0).value, 23)
		t.is(on.pog.printk.printkText, '7\t4\t1\t7\n')
	})
})

test('a buffer that cannot be written is EFAULT, after whole records of a READ that could; nothing is lost or cleared', t => {
	withPog({}, on => {
		t.is(call(on, 3, 100, { writable: 0 }).value, 0, 'nothing to copy')
		on.kmsg('<6>one')
		on.kmsg('<6>two')
		for (const type of [2, 3, 4]) t.is(call(on, type, 100, { writable: 0 }).value, -EFAULT)
		for (const type of [3, 4]) t.is(call(on, type, 100, { writable: 30 }).value, -EFAULT)
		t.is(call(on, 2, 10, { writable: 5 }).value, -EFAULT)
		t.is(call(on, 9, 0).value, 46)
		t.is(call(on, 2, 100, { writable: 30 }).bytes, '<14>[    5.000000] one\n')
		t.is(call(on, 2, 100).bytes, '<14>[    5.000000] two\n')
		t.is(call(on, 3, 100).value, 46)
	})
})

test('only what /dev/kmsg shows is there', t => {
	withPog({}, on => {
		on.send('<13>app: for the files')
		on.kmsg('<6>one')
		on.send('<13>app: again')
		t.is(call(on, 3, 4096).bytes, '<14>[    5.000000] one\n')
		t.is(call(on, 2, 4096).bytes, '<14>[    5.000000] one\n')
		on.send('<13>app: again')
		t.is(call(on, 2, 4096).value, 'wait')
		t.is(call(on, 9, 0).value, 0)
	})
})

test('the console level is saved once, put back once, and forgotten when it is set', t => {
	withPog({}, on => {
		const level = (): string => on.pog.printk.printkText.split('\t')[0] ?? ''
		const steps: [type: number, len: number, value: number, level: string][] = [
			[7, 0, 0, '7'], // nothing saved
			[6, 0, 0, '1'],
			[6, 0, 0, '1'], // does not save the 1
			[7, 0, 0, '7'],
			[7, 0, 0, '7'],
			[8, 3, 0, '3'],
			[6, 0, 0, '1'],
			[8, 8, 0, '8'], // forgets the 3
			[7, 0, 0, '8'],
			[8, 0, -EINVAL, '8'],
			[8, 9, -EINVAL, '8'],
			[8, -1, -EINVAL, '8'],
		]
		for (const [type, len, value, then] of steps) {
			t.is(call(on, type, len, { buffer: 0 }).value, value)
			t.is(level(), then)
		}
		on.pog.printk.writePrintk('7 4 5 7')
		t.is(call(on, 8, 2).value, 0)
		t.is(level(), '5', 'raised to the minimum')
		call(on, 6, 0)
		t.is(level(), '5')
	})
})

test('/proc/sys/kernel/printk takes one to four numbers, dmesg_restrict 0 or 1', t => {
	withPog({}, ({ pog: { printk } }) => {
		for (const [text, answer, then] of [
			['5', 0, '5\t4\t1\t7\n'],
			['6 6\n', 0, '6\t6\t1\t7\n'],
			['\t1\n2  3 4\n', 0, '1\t2\t3\t4\n'],
			['7 4 1 7 9', 0, '7\t4\t1\t7\n'],
			['0x8 010', 0, '8\t8\t1\t7\n'],
			['-1', 0, '-1\t8\t1\t7\n'],
			['7 x', -EINVAL, '7\t8\t1\t7\n'],
			['', -EINVAL, '7\t8\t1\t7\n'],
			['\n', -EINVAL, '7\t8\t1\t7\n'],
			['7,4', -EINVAL, '7\t8\t1\t7\n'],
			['99999999999', -EINVAL, '7\t8\t1\t7\n'],
		] as const) {
			t.is(printk.writePrintk(text), answer, JSON.stringify(text))
			t.is(printk.printkText, then, JSON.stringify(text))
		}
		for (const [text, answer, then] of [
			['1\n', 0, '1\n'],
			['2', -EINVAL, '1\n'],
			['-1', -EINVAL, '1\n'],
			['no', -EINVAL, '1\n'],
			['0', 0, '0\n'],
		] as const) {
			t.is(printk.writeDmesgRestrict(text), answer)
			t.is(printk.dmesgRestrictText, then)
		}
	})
})

/** The kernel's log as an array of formatted records, and do_syslog's positions over it. */
class Model {
	readonly #records: string[] = []
	#clear = 0
	#next = 0
	#partial = 0

	append(priority: number, seconds: number, text: string): void {
		const head = `<${priority}>[${String(seconds).padStart(5)}.000000] `
		this.#records.push(
			text
				.split('\n')
				.map(line => `${head}${line}\n`)
				.join(''),
		)
	}

	call(type: number, len: number): { value: number | 'wait'; bytes: string } {
		const given = (bytes: string): { value: number; bytes: string } => ({ value: bytes.length, bytes })
		const unread = this.#records.slice(this.#next).join('').slice(this.#partial)
		if (type === 9) return { value: unread.length, bytes: '' }
		if (type === 5) {
			this.#clear = this.#records.length
			return given('')
		}
		if (type === 2) {
			if (unread === '') return { value: 'wait', bytes: '' }
			let bytes = ''
			while (this.#next < this.#records.length) {
				const rest = (this.#records[this.#next] ?? '').slice(this.#partial)
				if (bytes.length + rest.length > len) break
				bytes += rest
				this.#next++
				this.#partial = 0
			}
			if (bytes === '') {
				bytes = unread.slice(0, len)
				this.#partial += len
			}
			return given(bytes)
		}
		const shown = this.#records.slice(this.#clear)
		while (shown.join('').length > len) shown.shift()
		if (type === 4) this.#clear = this.#records.length
		return given(shown.join(''))
	}
}

test('any sequence of calls answers as the kernel over an array of records', t => {
	const text = fc.stringMatching(/^[a-z]{0,40}(\n[a-z]{0,30}){0,3}$/).filter(each => !each.endsWith('\n'))
	const step = fc.oneof(
		fc.record({ append: text, severity: fc.nat(7) }),
		fc.record({ unrelated: text }),
		fc.record({
			type: fc.constantFrom(2, 3, 4, 5, 9),
			len: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(9999)),
		}),
	)
	fc.assert(
		fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(4096, 8192), (steps, scratch) => {
			const on = newPog()
			const model = new Model()
			try {
				for (const [index, each] of steps.entries()) {
					on.clock.nowUs = (index + 1) * 1_000_000
					if ('append' in each) {
						on.kmsg(`<${each.severity}>${each.append}`)
						model.append(8 + each.severity, index + 1, each.append)
					} else if ('unrelated' in each) on.send(`<13>other: ${each.unrelated}`)
					else {
						const { value, bytes } = call(on, each.type, each.len, { scratch })
						t.deepEqual({ value, bytes }, model.call(each.type, each.len))
					}
				}
			} finally {
				on.close()
			}
		}),
	)
	t.pass()
})

test('what was overwritten is skipped, and a part of it that was read is forgotten', t => {
	withPog({}, on => {
		on.kmsg('<6>first')
		call(on, 2, 5)
		for (let each = 0; each < 3000; each++) on.kmsg(`<6>number ${String(each).padStart(4, '0')} ${'x'.repeat(40)}`)
		const unread = call(on, 9, 0).value as number
		const { value, bytes } = call(on, 2, 1 << 20)
		t.is(value, unread)
		t.regex(bytes, /^<14>\[ {4}5\.000000\] number \d{4} x/)
		t.true(bytes.endsWith(`number 2999 ${'x'.repeat(40)}\n`))
		const all = call(on, 3, 1 << 20)
		t.is(all.bytes, bytes)
		t.is(call(on, 3, 100).bytes, bytes.slice(-72))
	})
})
