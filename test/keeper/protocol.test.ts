/** The keeper's parts that need no process: what may be said, what is held, when to try again. */
import test from 'ava'
import fc from 'fast-check'
import { Backoff } from '../../src/keeper/backoff.ts'
import { Descriptors } from '../../src/keeper/descriptors.ts'
import { parseNotification } from '../../src/keeper/notification.ts'
import { batches } from '../../src/keeper/standby.ts'

test('the words of sd_notify are read, and what is none of them is not', t => {
	const parse = parseNotification
	t.like(parse('READY=1\nSTATUS=serves 3'), { ready: true, status: 'serves 3', stopping: false, alive: false })
	t.like(parse('STOPPING=1'), { stopping: true, ready: false })
	t.like(parse('WATCHDOG=1'), { alive: true })
	t.is(parse('WATCHDOG_USEC=5000000').watchdogUs, 5_000_000)
	t.is(parse('WATCHDOG_USEC=soon').watchdogUs, undefined)
	t.is(parse('FDSTORE=1\nFDNAME=fuse-3\nFDPOLL=0').keep, 'fuse-3')
	t.is(parse('FDSTORE=1').keep, 'stored')
	t.is(parse('FDSTORE=1\nFDNAME=a:b').keep, undefined)
	t.is(parse('FDSTORE=0\nFDNAME=a').keep, undefined)
	t.is(parse('FDSTOREREMOVE=1\nFDNAME=log-3').forget, 'log-3')
	t.is(parse('FDSTOREREMOVE=1').forget, undefined)
	t.is(parse('READY=1\nX_POGS_STANDBY=1').standby, true)
	t.is(parse('X_POGS_STANDBY=0').standby, false)
	t.is(parse('READY=1').standby, undefined)
	t.deepEqual(
		[parse('READY=1').serves, parse('X_POGS_SERVES=1').serves, parse('WATCHDOG=1').serves],
		[true, true, false],
	)
	t.like(parse('READY=yes\n=1\nready=1'), { ready: false })
})

test('no text is too odd to be read, and no name parts a list of names', t => {
	t.pass()
	fc.assert(
		fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, keep) => {
			const { keep: kept, forget } = parseNotification(keep ? `FDSTORE=1\nFDNAME=${text}` : text)
			for (const name of [kept, forget]) if (name !== undefined) t.regex(name, /^[!-9;-~]{1,255}$/)
		}),
	)
})

test('descriptors are held by name, in their order, and closed when they are given up', t => {
	const closed: number[] = []
	const held = new Descriptors(fd => closed.push(fd))
	t.true(held.keep('a', 3))
	t.true(held.keep('b', 4))
	t.true(held.keep('a', 5))
	t.deepEqual(
		held.all.map(({ fd }) => fd),
		[3, 4, 5],
	)
	held.forget('a')
	held.forget('none')
	t.deepEqual(closed, [5, 3])
	t.deepEqual(held.all, [{ name: 'b', fd: 4 }])
	held.closeAll()
	t.deepEqual(closed, [5, 3, 4])
	t.is(held.size, 0)
})

test('descriptors are bounded in number and in the length of their names; one too many is closed', t => {
	const closed: number[] = []
	const few = new Descriptors(fd => closed.push(fd), 2)
	t.deepEqual([few.keep('a', 1), few.keep('b', 2), few.keep('c', 3)], [true, true, false])
	t.deepEqual(closed, [3])
	few.forget('a')
	t.true(few.keep('d', 4))
	const long = new Descriptors(() => {})
	let kept = 0
	while (long.keep('n'.repeat(255), kept)) kept++
	t.true(kept * 256 <= 128 * 1024)
	t.true(kept * 256 > 100 * 1024)
})

test('an engine that dies now and then is started at once; one that dies again and again, later and later, for ever', t => {
	const backoff = new Backoff()
	for (let i = 0; i < 100; i++) t.is(backoff.wait(5_000), 0)
	const waits = Array.from({ length: 40 }, () => backoff.wait(10))
	t.deepEqual(waits.slice(0, 4), [0, 0, 0, 0])
	t.true(waits.every((wait, i) => i === 0 || wait >= (waits[i - 1] ?? 0)))
	t.is(waits.at(-1), 30_000)
	t.is(backoff.wait(60_000), 0)
	t.is(backoff.deaths, 1)
	// Serving for a moment makes good for a death; a row of quick ones is remembered.
	for (let i = 0; i < 100; i++) t.is(backoff.wait(150), 0)
	for (let i = 0; i < 4; i++) backoff.wait(10)
	t.true(backoff.wait(50) > 0)
})

test('what is kept is handed over in messages that the kernel takes: of descriptors, and of bytes of names', t => {
	const held = (count: number, bytes: number): { name: string; fd: number }[] =>
		Array.from({ length: count }, (_, fd) => ({ name: 'n'.repeat(bytes), fd }))
	for (const [count, bytes] of [
		[0, 1],
		[250, 1],
		[251, 1],
		[1000, 3],
		[100, 255],
		[17, 240],
	] as const) {
		const all = batches(held(count, bytes))
		t.deepEqual(all.flat(), held(count, bytes))
		for (const some of all) {
			t.true(some.length > 0 && some.length <= 250)
			t.true(`LISTEN_FDNAMES=${some.map(({ name }) => name).join(':')}`.length <= 4096)
		}
	}
})
