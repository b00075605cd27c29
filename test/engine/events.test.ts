/** The journal of events, and what a POG is seen to do in its shard. */
import test from 'ava'
import fc from 'fast-check'
import type { PogEvent } from '../../src/control/events.ts'
import { EventJournal } from '../../src/engine/events.ts'
import { type Noticed, PogObserver } from '../../src/engine/pog-observer.ts'
import { newPog } from '../helpers/pogs.ts'

const WEB = { name: 'web', id: 7, containerId: '0123456789ab' }
const DB = { name: 'db', id: 8, containerId: '' }

async function all(stream: AsyncIterable<PogEvent>): Promise<number[]> {
	const seqs: number[] = []
	for await (const event of stream) seqs.push(event.seq)
	return seqs
}

test('a journal keeps the newest and gives those that were asked for', async t => {
	let nowMs = 1000
	const journal = new EventJournal(3, () => nowMs++)
	for (const subject of [WEB, DB, WEB, DB]) journal.add('created', subject, { pid: 1 })
	const { signal } = new AbortController()
	t.deepEqual(await all(journal.stream({}, signal)), [1, 2, 3])
	t.deepEqual(await all(journal.stream({ last: 1 }, signal)), [3])
	t.deepEqual(await all(journal.stream({ last: 0 }, signal)), [])
	t.deepEqual(await all(journal.stream({ sinceRealtimeUs: 1_002_000 }, signal)), [2, 3])
	for (const word of ['web', '7', '0123', '0123456789ab'])
		t.deepEqual(await all(journal.stream({ pogs: [word] }, signal)), [2], word)
	for (const word of ['we', '', '012', '70']) t.deepEqual(await all(journal.stream({ pogs: [word] }, signal)), [], word)
})

test('a follower gets every event once and in order, or is told how many it missed', async t => {
	await fc.assert(
		fc.asyncProperty(fc.array(fc.nat({ max: 7 }), { maxLength: 30 }), async bursts => {
			const journal = new EventJournal(4)
			const control = new AbortController()
			const stream = journal.stream({ follow: true, last: 0 }, control.signal)
			let pending = stream.next()
			let [made, next] = [0, 0]
			for (const burst of bursts) {
				for (let n = 0; n < burst; n++) journal.add('started', WEB, { n: made++ })
				while (next < made) {
					const result: IteratorResult<PogEvent> = await pending
					if (result.done === true) return false
					const { value } = result
					pending = stream.next()
					if (value.event === 'missed') next += Number(value.fields['events'])
					else if (value.seq !== next++) return false
				}
			}
			control.abort()
			return (await pending).done === true && next === made
		}),
		{ numRuns: 50 },
	)
	t.pass()
})

test('a reader that waits is woken by the abort alone, too', async t => {
	const journal = new EventJournal()
	const control = new AbortController()
	const pending = journal.stream({ follow: true }, control.signal).next()
	control.abort()
	t.true((await pending).done)
})

test('configurations, sizes and drops are told once each, and the ordinary drops only when they begin', t => {
	const made = newPog({ ringBytes: 65_536, defaultConf: '*.* /var/log/messages\n' })
	const { pog } = made
	const observer = new PogObserver(pog)
	const seen: Noticed[] = []
	const look = (): Noticed[] => {
		observer.look(noticed => seen.push(noticed))
		return seen.splice(0)
	}
	t.deepEqual(look(), [])
	pog.configured.set('mail.* /var/log/mail\nmail.wrn /x\n')
	t.deepEqual(look(), [
		{ kind: 'configured', fields: { state: 'own', rules: 1, errors: 1, warnings: 0 } },
		// What is wrong with it, and that it is in force, are of facility syslog: no rule takes them.
		{ kind: 'drops', fields: { unrouted: 2 } },
	])
	pog.ledger.drop('refused', 2)
	pog.ledger.drop('oversized')
	made.resize(131_072)
	t.deepEqual(look(), [
		{ kind: 'resized', fields: { ringBytes: 131_072 } },
		{ kind: 'drops', fields: { refused: 2, oversized: 1 } },
	])
	for (let n = 0; n < 5000; n++) pog.log('control', 2, 5, 'mail', `${n} ${'x'.repeat(100)}`)
	for (let n = 0; n < 5; n++) look()
	const { tailSeq } = pog.ring
	t.true(tailSeq > 0)
	for (let n = 0; n < 5000; n++) pog.log('control', 2, 5, 'mail', `${n} ${'x'.repeat(100)}`)
	t.true(pog.ring.tailSeq > tailSeq)
	for (let n = 0; n < 100; n++) t.deepEqual(look(), [])
	made.close()
})

test('what goes on and on is told less and less often, and wholly when it is over', t => {
	const made = newPog({ ringBytes: 65_536 })
	const { pog } = made
	const observer = new PogObserver(pog)
	let told = 0
	const ticks: number[] = []
	const look = (tick: number, last = false): void =>
		observer.look(({ kind, fields }) => {
			if (kind !== 'drops') return
			ticks.push(tick)
			told += Number(fields['refused'])
		}, last)
	for (let tick = 0; tick < 300; tick++) {
		pog.ledger.drop('refused')
		pog.configured.generation++
		look(tick)
	}
	t.deepEqual(ticks, [0, 1, 3, 7, 15, 31, 63, 127, 191, 255])
	look(300, true)
	t.is(told, 300)
	for (let tick = 0; tick < 130; tick++) look(tick)
	ticks.length = 0
	pog.ledger.drop('refused')
	look(1)
	t.deepEqual(ticks, [1])
	made.close()
})
