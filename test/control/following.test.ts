/**
 * A stream that is followed from one engine to the next. Source of truth: the lines that one engine alone would have given.
 */
import test from 'ava'
import type { ClientFailure, LineStream } from '../../src/control/client.ts'
import { Following, type Item } from '../../src/control/command/following.ts'

interface Line extends Item {
	readonly pog: string
}

const BROKEN: ClientFailure['failure'] = { status: 0, message: 'Lost', broken: true }
const START_US = Date.now() * 1000

function line(pog: string, seq: number, laterUs = 1_000_000 + seq): Line {
	return { pog, seq, realtimeUs: START_US + laterUs }
}

function streamOf(lines: readonly Line[], failure: ClientFailure['failure'] | null): LineStream<Line> {
	return {
		failure,
		async *[Symbol.asyncIterator]() {
			for (const each of lines) yield [each]
		},
	}
}

/** What is given when these come one after the other; then there is nobody any more. */
async function given(
	streams: readonly LineStream<Line>[],
	isOver = false,
): Promise<{ lines: string[]; failure: unknown; asked: number[] }> {
	const [stream = streamOf([], null), ...others] = streams
	const asked: number[] = []
	const following = new Following({
		stream,
		again: async sinceUs => {
			asked.push(sinceUs)
			const next = others.shift()
			return next === undefined ? { failure: { status: 0, message: 'Cannot reach' } } : { value: next }
		},
		sourceOf: ({ pog }) => pog,
		isEndless: ({ pog }) => pog === 'h',
		isOver: async () => isOver,
		pauseMs: 1,
	})
	const lines: string[] = []
	for await (const batch of following) for (const { pog, seq } of batch) lines.push(`${pog}${seq}`)
	return { lines, failure: following.failure, asked }
}

test('what was given is not given again, and what came meanwhile is', async t => {
	const { lines, failure, asked } = await given([
		streamOf([line('a', 0), line('b', 7), line('a', 1)], BROKEN),
		streamOf([line('a', 0), line('b', 7), line('a', 1), line('b', 8), line('a', 2), line('c', 0)], null),
		streamOf([line('a', 2), line('b', 8), line('b', 9)], BROKEN),
	])
	t.deepEqual(lines, ['a0', 'b7', 'a1', 'b8', 'a2', 'c0', 'b9'])
	t.is(failure, BROKEN)
	t.is(asked.length, 3)
	t.true(asked.every(sinceUs => sinceUs < START_US + 1_000_000))
})

test('a log that was made anew under the same name begins anew', async t => {
	const { lines } = await given([
		streamOf([line('a', 0), line('a', 1)], BROKEN),
		streamOf([line('a', 0, 9_000_000), line('a', 1, 9_000_001)], BROKEN),
	])
	t.deepEqual(lines, ['a0', 'a1', 'a0', 'a1'])
})

test("the kernel's log, whose times are estimates, is known by its numbers alone", async t => {
	const { lines } = await given([
		streamOf([line('h', 5)], BROKEN),
		streamOf([line('h', 4, 9_000_000), line('h', 5, 9_000_001), line('h', 6, 9_000_002)], BROKEN),
	])
	t.deepEqual(lines, ['h5', 'h6'])
})

test('what was not shown at first, because it was older, stays so', async t => {
	const { lines } = await given([
		streamOf([line('a', 5)], BROKEN),
		streamOf([line('a', 3), line('b', 3, -5_000_000), line('a', 5), line('a', 6)], BROKEN),
	])
	t.deepEqual(lines, ['a5', 'a6'])
})

test('it ends when that was all, and when the service says why', async t => {
	t.deepEqual(await given([streamOf([line('a', 0)], null)], true), { lines: ['a0'], failure: null, asked: [] })
	const refused = { status: 500, message: 'Cannot go on' }
	t.deepEqual(await given([streamOf([line('a', 0)], refused)]), { lines: ['a0'], failure: refused, asked: [] })
	t.deepEqual((await given([streamOf([], null)])).failure, { status: 0, message: 'Cannot reach' })
})
