/** The rate limit of a POG: what passes, what is counted. */
import test from 'ava'
import { RateLimit } from '../../src/pog/rate-limit.ts'

test('a burst passes at once, then one record for each refilled token', t => {
	const limit = new RateLimit({ perSecond: 10, burst: 3 })
	const passed = (atUs: number): boolean => limit.admits(atUs)
	t.deepEqual([passed(0), passed(0), passed(0), passed(0)], [true, true, true, false])
	t.is(passed(99_999), false)
	t.is(passed(100_100), true)
	t.is(passed(100_100), false)
	t.is(limit.refused, 3)
})

test('rest refills no more than the burst', t => {
	const limit = new RateLimit({ perSecond: 1000, burst: 2 })
	for (let i = 0; i < 2; i++) t.true(limit.admits(0))
	t.false(limit.admits(0))
	t.deepEqual(
		[1, 2, 3].map(() => limit.admits(60e6)),
		[true, true, false],
	)
})

test('a clock that seems to go back lets nothing more pass', t => {
	const limit = new RateLimit({ perSecond: 1, burst: 1 })
	t.true(limit.admits(10e6))
	t.false(limit.admits(1e6))
	t.false(limit.admits(1.5e6))
})
