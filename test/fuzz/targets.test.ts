/** Every fuzz target for a moment, with the values that once broke something; `make fuzz` runs them for hours. */
import test from 'ava'
import { TARGETS } from './targets.ts'

/** Enough for a slow machine to try what `runs` asks for, little enough for every run of the suite. */
const LIMIT_MS = 4_000

for (const target of TARGETS) {
	// One after the other: descriptors are counted.
	test.serial(`fuzz ${target.name}: ${target.what}`, async t => {
		const { tried, failure } = await target.run({ limitMs: LIMIT_MS })
		t.is(failure, undefined, failure)
		t.true(tried > 0)
	})
}
