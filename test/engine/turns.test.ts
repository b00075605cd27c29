/** Whose turn it is: `turns.ts` alone, with made-up times. */
import test from 'ava'
import { Account, Turns } from '../../src/engine/turns.ts'

/** Gives `count` turns to whoever used least; how many each had. `costs`: what a turn of each takes. */
function give(turns: Turns, accounts: readonly Account[], costs: readonly number[], count: number): number[] {
	const had = accounts.map(() => 0)
	for (let n = 0; n < count; n++) {
		const next = accounts.reduce((a, b) => (b.usedMs < a.usedMs ? b : a))
		const i = accounts.indexOf(next)
		turns.charge(next, costs[i] ?? 0)
		had[i] = (had[i] ?? 0) + 1
	}
	return had
}

test('who has expensive requests gets fewer of them: the time is shared, not the turns', t => {
	const accounts = [new Account(), new Account(), new Account()]
	const had = give(new Turns(), accounts, [0.2, 2, 20], 1110)
	for (const [i, expected] of [1000, 100, 10].entries()) t.true(Math.abs((had[i] ?? 0) - expected) <= 2, String(had))
})

test('who comes after a pause is served first, and cannot make up for the pause', t => {
	const turns = new Turns()
	const busy = [new Account(), new Account()]
	give(turns, busy, [1, 1], 1000)
	const late = new Account()
	turns.enter(late)
	t.true(busy.every(account => late.usedMs < account.usedMs))
	// From then on it has its share, after a head start of a few turns.
	const had = give(turns, [...busy, late], [1, 1, 1], 300)
	t.true((had[2] ?? 0) <= 110, String(had))
})

test('who entered is not put back: a pause gives no time to others that it had used', t => {
	const turns = new Turns()
	const [greedy, other] = [new Account(), new Account()]
	turns.charge(greedy, 500)
	give(turns, [other], [1], 10)
	turns.enter(greedy)
	t.is(greedy.usedMs, 500)
})
