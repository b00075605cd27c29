/** Work that is put off until no container is being started or ended. */
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Calm } from '../../src/engine/calm.ts'

/** A calm with short times, and what has been done. */
function began({ quietMs = 20, mostMs = 10_000 } = {}): { calm: Calm; done: string[]; putOff: (what: string) => void } {
	const calm = new Calm(quietMs, mostMs)
	const done: string[] = []
	return { calm, done, putOff: what => void calm.come().then(() => done.push(what)) }
}

test('without starts and ends nothing is put off for long', async t => {
	const { calm } = began({ quietMs: 60_000 })
	await calm.come()
	t.pass()
})

test('work waits until the last start or end is long enough ago, and keeps its order', async t => {
	let now = 0
	const calm = new Calm(20, 10_000, () => now)
	const done: string[] = []
	calm.stir()
	for (const what of ['first', 'second']) void calm.come().then(() => done.push(what))
	now = 15
	calm.stir()
	await sleep(40)
	t.deepEqual(done, [])
	now = 35
	await sleep(40)
	t.deepEqual(done, ['first', 'second'])
})

test('however many containers come and go, it is done in the end', async t => {
	const { calm, done, putOff } = began({ quietMs: 60_000, mostMs: 30 })
	calm.stir()
	putOff('work')
	const until = performance.now() + 5_000
	while (done.length === 0 && performance.now() < until) {
		calm.stir()
		await sleep(5)
	}
	t.deepEqual(done, ['work'])
})

test('what comes later is not done before its own time because earlier work was due', async t => {
	let now = 0
	const calm = new Calm(60_000, 20, () => now)
	const done: string[] = []
	calm.stir()
	void calm.come().then(() => done.push('first'))
	now = 15
	void calm.come().then(() => done.push('second'))
	now = 21
	await sleep(60)
	t.deepEqual(done, ['first'])
	now = 36
	await sleep(60)
	t.deepEqual(done, ['first', 'second'])
})
