/** The time of a record, on a clock that the test moves. */
import test from 'ava'
import { Stamps } from '../../src/pog/stamps.ts'

const BOOT_US = 1_700_000_000_000_000

function stamps() {
	let nowUs = 5_000_000
	const clock = { monotonicUs: () => nowUs, realtimeUs: (monotonicUs: number) => BOOT_US + monotonicUs }
	const stamped = new Stamps(clock)
	const record = { monotonicUs: 0, realtimeUs: 0 }
	/** The monotonic time of a record that is made at `atUs`. */
	const at = (atUs: number, sentUs = 0): number => {
		nowUs = atUs
		stamped.stamp(record, sentUs === 0 ? 0 : BOOT_US + sentUs)
		return record.monotonicUs
	}
	return { at, record }
}

test('a message has the time at which it was sent, on both clocks', t => {
	const { at, record } = stamps()
	t.is(at(6_004_000, 6_000_000), 6_000_000)
	t.is(record.realtimeUs, BOOT_US + 6_000_000)
	t.is(at(6_005_000), 6_005_000)
})

test('one log never goes back, and the time before it began is not believed', t => {
	const { at } = stamps()
	t.is(at(5_000_100, 4_900_000), 5_000_000)
	t.is(at(6_000_000), 6_000_000)
	t.is(at(6_000_500, 5_999_000), 6_000_000)
})

test('a clock that was set meanwhile makes no times of the future or of long ago', t => {
	const { at } = stamps()
	t.is(at(6_000_000, 7_000_000), 6_000_000)
	t.is(at(20_000_000, 8_000_000), 20_000_000)
})
