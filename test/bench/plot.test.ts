/** The charts of the evaluation: ticks that hold all values, and text that is well-formed whatever the title says. */
import fc from 'fast-check'
import test from 'ava'
import { plot, short, ticksOf } from '../../bench/evaluate/plot.ts'
import { summarise } from '../../bench/harness/statistics.ts'

test('ticks enclose the range, rise, and are few', t => {
	t.deepEqual(ticksOf('linear', 0, 93), [0, 20, 40, 60, 80, 100])
	t.deepEqual(ticksOf('log', 3, 4000), [1, 10, 100, 1000, 10_000])
	t.deepEqual(ticksOf('log', 7, 30), [1, 2, 5, 10, 20, 50, 100])
	fc.assert(
		fc.property(
			fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
			fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
			fc.constantFrom('linear' as const, 'log' as const),
			(a, b, scale) => {
				const [low, high] = [Math.min(a, b), Math.max(a, b)]
				const ticks = ticksOf(scale, low, high)
				const slack = 1e-6 * high
				t.true((ticks[0] ?? Number.NaN) <= low + slack && (ticks.at(-1) ?? Number.NaN) >= high - slack)
				t.true(ticks.every((tick, at) => at === 0 || tick > (ticks[at - 1] ?? Number.NaN)))
				t.true(ticks.length >= 2 && ticks.length <= 12)
			},
		),
	)
})

test('a chart shows each series once and escapes its words; a logarithmic axis leaves out what it cannot show', t => {
	const points = [0, 1, 10, 1000].map(x => ({ x, y: summarise([x * 2, x * 3, x * 4]) }))
	const figure = {
		name: 'x',
		title: 'a < b & "c"',
		x: { label: 'POGs', scale: 'log' },
		y: { label: 'us', scale: 'log' },
		series: [
			{ name: 'one', points },
			{ name: 'two', points: points.slice(0, 2) },
		],
	} as const
	const svg = plot(figure)
	t.false(/a < b|& "/.test(svg))
	t.is(svg.match(/class="line"/g)?.length, 2)
	t.is(svg.match(/class="spread"/g)?.length, 4)
	t.false(/NaN|Infinity|undefined/.test(svg))
	t.true(svg.includes('prefers-color-scheme: dark'))
})

test('numbers on axes are short', t => {
	t.deepEqual(
		[65_536, 1 << 20].map(value => short(value, true)),
		['64 KiB', '1 MiB'],
	)
	t.deepEqual(
		[0.001, 5, 1024, 262_144, 2e9].map(value => short(value)),
		['0.001', '5', '1.02k', '262k', '2G'],
	)
})
