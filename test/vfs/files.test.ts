/** Kernel log files, commands and the configuration file, without a kernel. Sources: printk.c and fs/proc/kmsg.c (v6.12). */
import test from 'ava'
import fc from 'fast-check'
import { PENDING } from '../../src/fuse/filesystem.ts'
import { EAGAIN, EFBIG, EINVAL, ENOMEM, EPERM, EPIPE, ESPIPE } from '../../src/lib/errno.ts'
import { CALLER, newAttr, O_RDWR, O_TRUNC, O_WRONLY, withTree } from '../helpers/trees.ts'

process.env['TZ'] = 'UTC'
const HEAD = 'Nov 22 10:00:00 box '
const DEV = '/dev/kmsg'
const PROC = '/proc/kmsg'

test('/dev/kmsg gives one record a read, EAGAIN at the end, EINVAL for a small buffer, which consumes', t => {
	withTree({}, tree => {
		const handle = tree.open(DEV, O_RDWR)
		t.is(tree.write(handle, '<30>one\n'), 8)
		tree.send('<13>not: for the kernel log')
		tree.write(handle, 'two \x01\\\xc3\xa9\n')
		tree.write(handle, '<6>three\n')
		t.is(tree.read(handle, 0, 8192), '30,0,5000000,-;one\n')
		t.is(tree.read(handle, 19, 10), -EINVAL)
		t.is(tree.read(handle, 19, 8192), '14,2,5000000,-;three\n')
		t.is(tree.read(handle, 40, 8192), -EAGAIN)
		// SEEK_SET 0: the kernel moves the offset, we see it at the next read.
		t.is(tree.read(handle, 0, 8192), '30,0,5000000,-;one\n')
		t.is(tree.read(handle, 19, 8192), '12,1,5000000,-;two \\x01\\x5c\\xc3\\xa9\n')
		t.is(tree.write(handle, 'x'.repeat(1025)), -EINVAL)
		t.is(tree.write(handle, 'x'.repeat(1024)), 1024)
		t.is(tree.pog.ledger.drops().refused, 1)
		tree.tree.release(0, handle)
	})
})

test('/dev/kmsg seeks: END, DATA after a clear, a record by its position, and nothing else', t => {
	withTree({}, tree => {
		for (const text of ['a', 'b', 'c']) tree.kmsg(`<13>${text}`)
		const handle = tree.open(DEV, O_RDWR)
		const attr = newAttr()
		tree.tree.getattr(tree.node(DEV), -1, attr)
		// Not 0, or sendfile(2) would find nothing to send.
		t.is(attr.size, 8192)
		tree.tree.getattr(tree.node(DEV), handle, attr)
		t.is(tree.read(handle, attr.size, 8192), -EAGAIN)
		tree.kmsg('<13>d')
		t.is(tree.read(handle, attr.size, 8192), '13,3,5000000,-;d\n')
		const data = tree.tree.lseek(0, handle, 0, 3)
		t.is(tree.read(handle, data, 8192), '13,0,5000000,-;a\n')
		tree.pog.clear()
		const cleared = tree.tree.lseek(0, handle, 0, 3)
		t.is(tree.read(handle, cleared, 8192), -EAGAIN)
		t.is(tree.read(handle, 8192 * 2, 8192), '13,1,5000000,-;b\n')
		t.deepEqual([tree.tree.lseek(0, handle, 5, 3), tree.tree.lseek(0, handle, 0, 4)], [-ESPIPE, -EINVAL])
		for (const offset of [5, 8193, 8192 * 6, 8192 * 2 ** 38])
			t.is(tree.read(handle, offset, 8192), -ESPIPE, String(offset))
		tree.tree.release(0, handle)
	})
})

test('/dev/kmsg: SEEK_END goes to the end also when somebody looks the file up meanwhile', t => {
	withTree({}, tree => {
		for (const text of ['a', 'b']) tree.kmsg(`<13>${text}`)
		const handle = tree.open(DEV, O_RDWR)
		const attr = newAttr()
		tree.tree.getattr(tree.node(DEV), handle, attr)
		// The look-up's size takes the place of the end in the inode, before lseek(2) has read it there.
		tree.tree.getattr(tree.node(DEV), -1, attr)
		t.is(tree.read(handle, attr.size, 8192), -EAGAIN)
		tree.kmsg('<13>c')
		t.is(tree.read(handle, attr.size, 8192), '13,2,5000000,-;c\n')
		t.is(tree.read(handle, 8192, 8192), '13,0,5000000,-;a\n')
		tree.tree.release(0, handle)
	})
})

test('/dev/kmsg says EPIPE once to a reader that was overtaken, and goes on with the oldest record', t => {
	withTree({}, tree => {
		tree.kmsg('<13>first')
		const handle = tree.open(DEV)
		for (let n = 0; n < 2000; n++) tree.kmsg(`<13>${n}`)
		t.is(tree.tree.poll(0, handle, 7, false), 0x41 | 0x0a)
		t.is(tree.read(handle, 0, 8192), -EPIPE)
		t.is(tree.read(handle, 0, 8192), `13,${2001 - 512},5000000,-;${2000 - 512}\n`)
		t.is(tree.tree.poll(0, handle, 7, false), 0x41)
		tree.tree.release(0, handle)
	})
})

test('a blocking read is answered by the next record, or forgotten when it is interrupted', t => {
	withTree({ limits: { pendingReads: 3 } }, tree => {
		const handle = tree.open(DEV)
		t.is(tree.read(handle, 0, 8192, 0, 11), PENDING)
		tree.send('<13>x: not for the kernel log')
		t.is(tree.late.size, 0)
		tree.kmsg('<13>one')
		t.is(tree.late.get(11), '13,0,5000000,-;one\n')
		t.is(tree.read(handle, 19, 8192, 0, 12), PENDING)
		tree.tree.interrupted(12)
		tree.kmsg('<13>two')
		t.is(tree.late.get(12), undefined)
		t.is(tree.read(handle, 19, 8192), '13,1,5000000,-;two\n')
		// Too many: the oldest one gives up.
		for (const request of [21, 22, 23, 24]) t.is(tree.read(tree.open(DEV), 8192 * 3, 8192, 0, request), PENDING)
		t.is(tree.late.get(21), -ENOMEM)
		t.regex(tree.cat('/run/pog/stats'), /denied_reads 1\n/)
		tree.kmsg('<13>three')
		for (const request of [22, 23, 24]) t.is(tree.late.get(request), '13,2,5000000,-;three\n')
	})
})

test('whoever polled a kernel log file is notified once for each look, until it is closed', t => {
	withTree({}, tree => {
		const [dev, proc] = [tree.open(DEV), tree.open(PROC)]
		// Nobody has waited yet, so there is nobody to notify.
		t.is(tree.tree.poll(0, dev, 70, false), 0)
		tree.kmsg('<13>none')
		t.deepEqual(tree.notified(), [])
		t.deepEqual([tree.tree.poll(0, dev, 70, true), tree.tree.poll(0, proc, 71, true)], [0x41, 0x41])
		tree.kmsg('<13>one')
		tree.kmsg('<13>two')
		t.deepEqual(tree.notified(), [70, 71])
		// The look that follows a notice comes without the flag, and is followed by a notice all the same.
		t.deepEqual([tree.tree.poll(0, dev, 70, false), tree.tree.poll(0, proc, 71, false)], [0x41, 0x41])
		tree.tree.release(0, dev)
		tree.kmsg('<13>three')
		t.deepEqual(tree.notified(), [71])
		tree.tree.release(0, proc)
	})
})

test('a record tells thousands who wait and poll in steps, those who waited longest first', t => {
	withTree({}, tree => {
		let nudges = 0
		tree.tree.onWork = () => void nudges++
		const handles = Array.from({ length: 100 }, () => tree.open(DEV))
		for (const [n, handle] of handles.entries()) {
			t.is(tree.read(handle, 0, 8192, 0, 100 + n), PENDING)
			tree.tree.poll(0, handle, 1000 + n, true)
		}
		tree.kmsg('<13>one')
		const first = tree.late.size
		t.true(first > 0 && first < 100)
		t.deepEqual(
			[...tree.late.keys()],
			Array.from({ length: first }, (_, n) => 100 + n),
		)
		t.is(tree.notified().length, first)
		// One of those left goes away, one looks again, and another record comes meanwhile.
		tree.tree.interrupted(199)
		tree.tree.poll(0, handles[0] ?? 0, 1000, false)
		tree.kmsg('<13>two')
		t.is(nudges, 1)
		while (tree.tree.work()) {}
		t.is(tree.late.get(150), '13,0,5000000,-;one\n')
		t.is(tree.late.size, 99)
		t.is(tree.notified().filter(kernelHandle => kernelHandle === 1000).length, 1)
		for (const handle of handles) tree.tree.release(0, handle)
	})
})

test('a reader of /dev/kmsg is not kept waiting by those of /proc/kmsg that find nothing', t => {
	withTree({}, tree => {
		for (const request of [41, 42, 43]) t.is(tree.read(tree.open(PROC), 0, 4096, 0, request), PENDING)
		t.is(tree.read(tree.open(DEV), 0, 8192, 0, 44), PENDING)
		tree.kmsg('<13>one')
		t.deepEqual([...tree.late.keys()], [41, 44])
	})
})

test('/proc/kmsg is read by all together: whole records as fit, the first one in parts, and what was read is gone', t => {
	withTree({ ringBytes: 1 << 19 }, tree => {
		for (const text of ['<4>one', 'two\nlines', '<6>three']) tree.kmsg(text)
		const [a, b] = [tree.open(PROC), tree.open(PROC)]
		const line = (pri: number, text: string): string => `<${pri}>[    5.000000] ${text}\n`
		t.is(tree.read(a, 0, 10), '<12>[    5')
		t.is(tree.read(b, 0, 14), '.000000] one\n')
		t.is(tree.read(b, 0, 60), line(12, 'two') + line(12, 'lines'))
		t.is(tree.read(a, 99, 4096), line(14, 'three'))
		t.is(tree.read(a, 0, 4096), -EAGAIN)
		t.is(
			tree.tree.write(
				{
					node: 0,
					handle: a,
					offset: 0,
					flags: 0,
					memory: { address: 0, bytes: new Uint8Array(1), buffer: new ArrayBuffer(1) },
					start: 0,
					sizeBytes: 1,
					request: 1,
				},
				CALLER,
			) < 0,
			true,
		)
		// Both wait: the first gets it, the other goes on waiting.
		t.is(tree.read(a, 0, 4096, 0, 31), PENDING)
		t.is(tree.read(b, 0, 4096, 0, 32), PENDING)
		tree.kmsg('four')
		t.deepEqual([tree.late.get(31), tree.late.get(32)], [line(12, 'four'), undefined])
		tree.kmsg('five')
		t.is(tree.late.get(32), line(12, 'five'))
		// Never a reply as large as the largest request: its sender would wait for more.
		t.is(line(12, 'x'.repeat(492)).length, 512)
		for (let n = 0; n < 300; n++) tree.kmsg('x'.repeat(492))
		t.is(String(tree.read(a, 0, 1 << 17)).length, (1 << 17) - 512)
	})
})

test('devkmsg: off refuses to open, ratelimit drops and says so at the end', t => {
	withTree({}, tree => {
		tree.pog.setPolicy({ devkmsg: 'ratelimit', defaultConf: tree.pog.policy.defaultConf })
		const handle = tree.open(DEV, O_WRONLY)
		for (let n = 0; n < 13; n++) t.is(tree.write(handle, `<13>${n}`), n < 10 ? 5 : 6)
		t.is(tree.pog.ledger.drops().ratelimited, 3)
		tree.tree.release(0, handle)
		t.regex(tree.cat('/var/log/all'), /printk: .*3 output lines suppressed due to ratelimiting\n$/)
		tree.pog.setPolicy({ devkmsg: 'off', defaultConf: tree.pog.policy.defaultConf })
		t.is(tree.open(DEV), -EPERM)
	})
})

test('ctl takes one command a write, and tells how it went', t => {
	withTree({}, tree => {
		tree.send('<13>x: y')
		const handle = tree.open('/run/pog/ctl', O_RDWR)
		const say = (command: string): [number, unknown] => [tree.write(handle, command), tree.read(handle, 0, 4096)]
		t.deepEqual(say('clear\n'), [6, 'ok cleared\n'])
		t.is(tree.cat('/var/log/all'), '')
		t.is(say('write <14>app: text\n')[0], 20)
		t.is(tree.cat('/var/log/all'), `${HEAD}app: text\n`)
		t.deepEqual(say('resize 128k'), [11, 'ok 131072\n'])
		t.is(tree.pog.ring.textBytes, 131_072)
		tree.put('/etc/syslog.conf', '*.* /var/log/own\n')
		t.is(tree.pog.configured.state, 'own')
		t.is(say('conf reset')[0], 10)
		t.is(tree.pog.configured.state, 'default')
		for (const bad of [
			'',
			'resize',
			'resize lots',
			'conf',
			'conf x',
			'frobnicate',
			'constructor',
			'__proto__ x',
			'\0\xff',
			'x'.repeat(5000),
		]) {
			const [answer, text] = say(bad)
			t.is(answer, -EINVAL, bad.slice(0, 20))
			t.regex(String(text), /^error .+\n$/)
			t.true(String(text).length < 300)
		}
		t.is(tree.read(handle, 0, 100), '')
	})
})

test('an edited configuration is in force when it is closed, for whoever opened it, and a gap is NUL', t => {
	withTree({}, tree => {
		const file = '/etc/syslog.conf'
		const [writer, reader] = [tree.open(file, O_WRONLY | O_TRUNC), tree.open(file)]
		t.is(tree.attr(file).size, 0)
		// The shell's first close of a redirect: nothing was written.
		tree.tree.flush(0, writer)
		t.is(tree.pog.configured.state, 'default')
		const text = '*.* /var/log/new\n'
		for (let n = 0; n < text.length; n++) tree.write(writer, text.charAt(n), n)
		t.is(tree.read(reader, 0, 100), text)
		tree.tree.flush(0, reader)
		tree.tree.release(0, reader)
		t.is(tree.pog.configured.state, 'default')
		tree.tree.flush(0, writer)
		t.is(tree.pog.configured.text, text)
		t.is(tree.attr(file).size, text.length)
		tree.write(writer, '#', text.length + 3)
		tree.tree.release(0, writer)
		t.is(tree.cat(file, 3), `${text}\0\0\0#`)
		t.is(tree.cat('/run/pog/syslog.conf'), `${text}\0\0\0#`)
	})
	withTree({ limits: { confBytes: 20 } }, tree => {
		const writer = tree.open('/etc/syslog.conf', O_WRONLY)
		t.is(tree.write(writer, 'x'.repeat(21)), -EFBIG)
		t.is(tree.write(writer, 'x', 20), -EFBIG)
		const change = { valid: 8, handle: -1, size: 0, atimeUs: 0, mtimeUs: 0, mode: 0, uid: 0, gid: 0 }
		t.is(tree.tree.setattr(tree.node('/etc/syslog.conf'), { ...change, size: 21 }, newAttr()), -EFBIG)
		t.is(tree.tree.setattr(tree.node('/etc/syslog.conf'), { ...change, size: 4 }, newAttr()), 0)
		t.is(tree.cat('/etc/syslog.conf'), '*.* ')
	})
})

test('the draft of a configuration is what a file would hold, for any writes and truncations', t => {
	const op = fc.oneof(
		fc.record({
			at: fc.nat(70),
			text: fc.string({ unit: fc.constantFrom('a', '#', '\n'), minLength: 1, maxLength: 30 }),
		}),
		fc.record({ size: fc.nat(90) }),
	)
	fc.assert(
		fc.property(fc.array(op, { maxLength: 12 }), fc.boolean(), (ops, empty) => {
			withTree({ limits: { confBytes: 80 } }, tree => {
				const handle = tree.open('/etc/syslog.conf', empty ? O_RDWR | O_TRUNC : O_RDWR)
				let model = empty ? '' : tree.pog.configured.text
				for (const now of ops) {
					if ('text' in now) {
						const answer = tree.write(handle, now.text, now.at)
						const grown = model.padEnd(now.at, '\0')
						const next = grown.slice(0, now.at) + now.text + grown.slice(now.at + now.text.length)
						t.is(answer, next.length > 80 ? -EFBIG : now.text.length)
						if (answer >= 0) model = next
					} else {
						const change = { valid: 8, handle, size: now.size, atimeUs: 0, mtimeUs: 0, mode: 0, uid: 0, gid: 0 }
						const answer = tree.tree.setattr(tree.node('/etc/syslog.conf'), change, newAttr())
						t.is(answer, now.size > 80 ? -EFBIG : 0)
						if (answer === 0) model = model.padEnd(now.size, '\0').slice(0, now.size)
					}
					t.is(tree.read(handle, 0, 100), model)
				}
			})
		}),
		{ numRuns: 40 },
	)
})

test('stats and status tell figures, what is wrong and what was lost', t => {
	withTree({ conf: '*.* /var/log/all\nnonsense\n' }, tree => {
		for (let n = 0; n < 600; n++) tree.send('<13>x: y')
		t.regex(
			tree.cat('/run/pog/stats', 10),
			/^ring_size_bytes 65536\n[\s\S]*accepted_devlog 600\n[\s\S]*drops_overwritten [1-9]/,
		)
		t.regex(tree.cat('/run/pog/status'), /syslog.conf:2:1: [\s\S]*overwritten: [1-9]/)
	})
})
