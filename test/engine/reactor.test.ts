/** The loop with real descriptors: that a patient endpoint is left alone and misses nothing. One thread: timers feed the endpoints. */
import test from 'ava'
import { Reactor } from '../../src/engine/reactor.ts'
import { Account } from '../../src/engine/turns.ts'
import { close, EFD_CLOEXEC, EFD_NONBLOCK, eventfd, read, write } from '../../src/sys/io.ts'
import { allocate } from '../../src/sys/memory.ts'

/** Of the clock, a look: turns take one, as those of a machine that has nothing else to do. */
const STEP_MS = 0.05

/** An endpoint whose work is what was added to an eventfd; it remembers how much came with each turn that had some. */
function counter(patient: boolean, onTurn: () => void = () => {}) {
	const fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
	const memory = allocate(8)
	const number = new BigUint64Array(memory.buffer, 0, 1)
	const came: number[] = []
	const turn = (): number => {
		if (read(fd, memory.address, 8) < 0) return 0
		came.push(Number(number[0]))
		onTurn()
		return Number(number[0])
	}
	const feed = (): void => {
		number[0] = 1n
		write(fd, memory.address, 8)
	}
	return { endpoint: { fd, patient, turn, over: () => {} }, feed, came, total: () => came.reduce((a, b) => a + b, 0) }
}

/** A clock that goes on by each look at it: what the loop finds does not depend on how long it was held up. */
function steps(): () => number {
	let nowMs = 0
	return () => (nowMs += STEP_MS)
}

/** The same, in steps of no regular length. */
function uneven(): () => number {
	let nowMs = 0
	let n = 1
	return () => {
		n = (n * 48_271) % 2_147_483_647
		nowMs += (STEP_MS / 5) * (n / 2_147_483_647)
		return nowMs
	}
}

test('a reactor that was paused goes on where it was, and misses nothing', t => {
	const prompt = counter(false)
	const reactor = new Reactor(undefined, steps())
	reactor.add(prompt.endpoint)
	let fed = 0
	reactor.every(1, () => {
		if (fed++ < 20) prompt.feed()
		else reactor.stop()
	})
	reactor.every(1, () => reactor.pause())
	let pauses = 0
	while (reactor.run()) pauses++
	t.is(prompt.total(), 20)
	t.true(pauses >= 10, String(pauses))
})

test('reactor leaves a patient endpoint alone between turns, others never, and nothing of either is missed', t => {
	const [patient, prompt] = [counter(true), counter(false)]
	const reactor = new Reactor(undefined, steps())
	reactor.add(patient.endpoint)
	reactor.add(prompt.endpoint)
	let fed = 0
	reactor.every(1, () => {
		if (fed === 200) return
		patient.feed()
		if (++fed % 50 === 0) prompt.feed()
	})
	reactor.every(1, () => {
		if (patient.total() === 200 && prompt.total() === 4) reactor.stop()
	})
	reactor.run()
	t.deepEqual(prompt.came, [1, 1, 1, 1])
	t.true(patient.came.length <= 100, `${patient.came.length} turns for 200 units that came one by one`)
	for (const { endpoint } of [patient, prompt]) close(endpoint.fd)
})

test('reactor does what was left before other work of the same account', t => {
	let fed = 0
	const patient = counter(true)
	const seen: [number, number][] = []
	const prompt = counter(false, () => seen.push([patient.total(), fed]))
	const reactor = new Reactor(undefined, steps())
	const account = new Account()
	reactor.add(prompt.endpoint, account)
	reactor.add(patient.endpoint, account)
	reactor.every(1, () => {
		patient.feed()
		if (++fed % 10 === 0) prompt.feed()
		if (fed === 200) reactor.stop()
	})
	reactor.run()
	t.true(seen.length >= 19)
	for (const [served, before] of seen) t.is(served, before)
	for (const { endpoint } of [patient, prompt]) close(endpoint.fd)
})

test('reactor leaves all patient endpoints alone together, however many they are and seldom each has work', t => {
	const reactor = new Reactor(undefined, steps())
	let fed = 0
	const servedAt = new Set<number>()
	const many = Array.from({ length: 50 }, () => counter(true, () => servedAt.add(fed)))
	for (const { endpoint } of many) reactor.add(endpoint)
	const total = (): number => many.reduce((sum, one) => sum + one.total(), 0)
	reactor.every(1, () => {
		if (fed < 200) many[fed++ % many.length]?.feed()
		else if (total() === 200) reactor.stop()
	})
	reactor.run()
	t.is(total(), 200)
	t.true(servedAt.size <= 100, `${servedAt.size} times for 200 units that came one by one`)
	for (const { endpoint } of many) close(endpoint.fd)
})

test('reactor serves what came before a patient endpoint was removed, and no more of it after', t => {
	const reactor = new Reactor(undefined, steps())
	const [gone, stays] = [counter(true), counter(true)]
	reactor.add(gone.endpoint)
	reactor.add(stays.endpoint)
	let fed = 0
	reactor.every(1, () => {
		if (++fed === 20) reactor.remove(gone.endpoint)
		gone.feed()
		stays.feed()
		if (fed === 60) reactor.stop()
	})
	reactor.run()
	t.true(gone.total() >= 10 && gone.total() < 20, `${gone.total()} units`)
	t.true(stays.total() >= 50, `${stays.total()} units`)
	for (const { endpoint } of [gone, stays]) close(endpoint.fd)
})

test('reactor: what was sent to a log comes before what is asked of it, also when both came together', t => {
	const order: string[] = []
	const reactor = new Reactor()
	const account = new Account()
	const prompt = counter(false, () => {
		order.push('asked')
		reactor.stop()
	})
	const patient = counter(true, () => order.push('sent'))
	reactor.add(prompt.endpoint, account)
	reactor.add(patient.endpoint, account)
	prompt.feed()
	patient.feed()
	reactor.run()
	t.deepEqual(order, ['sent', 'asked'])
	for (const { endpoint } of [patient, prompt]) close(endpoint.fd)
})

test('reactor is contended while several have work at once, not while it looks again at who had some', t => {
	for (const isBusy of [true, false]) {
		let contended = 0
		const reactor = new Reactor(() => contended++, uneven())
		// One client, of two: it asks the second when the first has answered. Or more than a turn's work for both, each time.
		const second = counter(false)
		const first = counter(false, second.feed)
		for (const { endpoint } of [first, second])
			reactor.add(isBusy ? { ...endpoint, turn: (units: number) => units } : endpoint)
		let ticks = 0
		const feed = isBusy ? [first.feed, second.feed] : [first.feed]
		reactor.every(1, () => {
			for (const each of feed) each()
			if (++ticks === 200) reactor.stop()
		})
		reactor.run()
		t.is(contended > 20, isBusy, String(contended))
		for (const { endpoint } of [first, second]) close(endpoint.fd)
	}
})
