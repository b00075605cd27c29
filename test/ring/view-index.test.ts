/** Positions of a view against a naive count over all records that ever were. */
import test from 'ava'
import fc from 'fast-check'
import { closeRing } from '../../src/engine/ring-file.ts'
import { MIN_RING_BYTES } from '../../src/ring/layout.ts'
import { moveRing } from '../../src/ring/resize.ts'
import { ALL_BIT, type Place, ViewIndex } from '../../src/ring/view-index.ts'
import { append, newRing, withRing } from '../helpers/rings.ts'

const NOWHERE: Place = { seq: 0, position: 0, count: 0 }

interface Line {
	readonly bytes: number
	readonly routes: number
}

/** Bytes and records of the view among `lines` before a sequence number. */
function before(lines: readonly Line[], seq: number, bit: number, factor = 1): { position: number; count: number } {
	let [position, count] = [0, 0]
	for (const line of lines.slice(0, seq)) {
		if (bit !== ALL_BIT && (line.routes & (1 << bit)) === 0) continue
		position += line.bytes * factor
		count++
	}
	return { position, count }
}

const step = fc.oneof(
	{
		weight: 5,
		arbitrary: fc.record({
			burst: fc.integer({ min: 1, max: 700 }),
			bytes: fc.integer({ min: 1, max: 90 }),
			seed: fc.nat(),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ burst: fc.constant(3000), bytes: fc.constant(8), seed: fc.nat() }) },
	{ weight: 4, arbitrary: fc.record({ seek: fc.double({ min: 0, max: 1.1, noNaN: true }) }) },
	{ weight: 1, arbitrary: fc.record({ resize: fc.constantFrom(65_536, 131_072, 262_144) }) },
)

for (const [kind, factor] of [
	['stored lines', 1],
	['rendered lines', 3],
] as const) {
	test(`positions of ${kind} are those of all records that ever were, for any masks, seeks, evictions and moves`, t => {
		fc.assert(
			fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(0, 3, 30, 31, ALL_BIT), (steps, bit) => {
				let ring = newRing(MIN_RING_BYTES)
				const lines: Line[] = []
				const size =
					factor === 1
						? null
						: (from: typeof ring, seq: number): number => (from.words[from.slot(seq) + 3] ?? 0) * factor
				const index = new ViewIndex(ring, bit, size, NOWHERE)
				const pin = (): void => {
					ring.guardSeq = index.scannedSeq
					ring.onGuard = () => {
						index.catchUp()
						ring.guardSeq = index.scannedSeq
					}
				}
				pin()
				const place = (seq: number): Place => ({ seq, ...before(lines, seq, bit, factor) })
				try {
					for (const now of steps) {
						if ('burst' in now) {
							for (let n = 0; n < now.burst; n++) {
								// Stretches with all, with none and with some of the records.
								const routes = (now.seed >> (n >> 8)) % 3 === 0 ? 0 : Math.imul(now.seed + n, 0x9e3779b1)
								append(ring, new Uint8Array(now.bytes), { routes })
								lines.push({ bytes: now.bytes, routes })
							}
						} else if ('resize' in now) {
							const fresh = newRing(now.resize)
							index.catchUp()
							const old = ring
							ring = moveRing(old, fresh.memory, now.resize)
							index.moveTo(ring)
							closeRing(old)
							pin()
						} else {
							const head = before(lines, lines.length, bit, factor).position
							const oldest = place(ring.tailSeq)
							// Half of them at the edge of a record.
							const anywhere = Math.floor(now.seek * head)
							const edge = before(lines, Math.floor(now.seek * lines.length), bit, factor).position
							const wanted = anywhere % 2 === 0 ? anywhere : edge
							let seq = ring.tailSeq
							while (seq < lines.length && before(lines, seq + 1, bit, factor).position <= wanted) seq++
							const expected = wanted < oldest.position ? oldest : place(seq)
							const found = index.seek(wanted)
							// Records that are not of the view have no position: any place among them is as good.
							t.like(found, { position: expected.position, count: expected.count })
							t.is(place(found.seq).position, expected.position)
							t.like(index.seek(wanted, oldest), { position: expected.position, count: expected.count })
						}
						t.deepEqual({ ...index.catchUp() }, place(lines.length))
						t.deepEqual({ ...index.oldest() }, place(ring.tailSeq))
					}
				} finally {
					closeRing(ring)
				}
			}),
			{ numRuns: 25 },
		)
	})
}

test('an index that nobody pinned misses what went unseen, and counts on from there', t => {
	withRing(MIN_RING_BYTES, ring => {
		const index = new ViewIndex(ring, 2, null, NOWHERE)
		append(ring, new Uint8Array(10), { routes: 4, realtimeUs: 77 })
		t.like(index.catchUp(), { seq: 1, position: 10, count: 1 })
		t.is(index.lastUs, 77)
		for (let n = 0; n < 2000; n++) append(ring, new Uint8Array(50), { routes: n % 2 === 0 ? 4 : 0 })
		const retained = ring.headSeq - ring.tailSeq
		t.true(retained < 1999)
		const head = index.catchUp()
		t.is(head.seq, 2001)
		t.true(head.count >= retained / 2 && head.count <= retained / 2 + 2)
		t.is(index.oldest().position, 10)
		t.is(head.position, 10 + (head.count - 1) * 50)
	})
})

test('what an index keeps is bounded by its ring, however much comes while nobody looks', t => {
	withRing(MIN_RING_BYTES, ring => {
		const index = new ViewIndex(ring, 0, null, NOWHERE)
		let caught = 0
		const guard = (): void => {
			index.catchUp()
			caught++
			ring.guardSeq = index.scannedSeq
		}
		ring.guardSeq = 0
		ring.onGuard = guard
		for (let n = 0; n < 200_000; n++) append(ring, new Uint8Array(1), { routes: 1 })
		t.true(caught > 100)
		t.is(index.checkpoints < 80, true, `${index.checkpoints} checkpoints`)
		t.is(index.oldest().position, ring.tailSeq)
	})
})
