/** The ring against a plain array, at every instruction a writer may be killed at, and moved to other sizes. */
import test from 'ava'
import fc from 'fast-check'
import { closeRing } from '../../src/engine/ring-file.ts'
import { extraLength, EXTRA, findExtra, putExtra } from '../../src/ring/extra.ts'
import { DESC, FIELD, geometry, MAX_RING_BYTES, MIN_RING_BYTES } from '../../src/ring/layout.ts'
import { moveRing, RingMove } from '../../src/ring/resize.ts'
import type { Ring } from '../../src/ring/ring.ts'
import { append, copyOf, newRing, withRing } from '../helpers/rings.ts'

interface Kept {
	readonly text: Uint8Array
	readonly routes: number
	/** Number of this kmsg record, or of the next one. */
	readonly kmsgSeq: number
}

/** Text that differs from record to record and from byte to byte, so that a shifted or foreign one is noticed. */
function textOf(serial: number, bytes: number): Uint8Array {
	const text = new Uint8Array(bytes)
	for (let i = 0; i < bytes; i++) text[i] = (serial * 31 + i * 7 + (i >> 8)) & 0xff
	return text
}

/** What is wrong with a ring that should hold the newest of `all`; undefined when nothing is. */
function faultOf(ring: Ring, all: readonly Kept[], appended = all.length): string | undefined {
	if (ring.headSeq !== appended) return `head ${ring.headSeq}, appended ${appended}`
	if (ring.headSeq - ring.tailSeq > ring.descCount) return 'more records than descriptors'
	if (ring.usedBytes > ring.textBytes) return 'more bytes than text'
	let position = -1
	for (let seq = ring.tailSeq; seq < ring.headSeq; seq++) {
		const kept = all[seq]
		if (kept === undefined) return `record ${seq} never was`
		const at = ring.slot(seq)
		if (position >= 0 && ring.position(seq) !== position)
			return `record ${seq} is at ${ring.position(seq)}, not ${position}`
		const start = ring.offset(ring.position(seq))
		const text = ring.text.subarray(start, start + kept.text.length)
		if (Buffer.compare(text, kept.text) !== 0) return `text of ${seq} differs`
		if (ring.words[at + DESC.routes] !== kept.routes >>> 0) return `routes of ${seq}`
		if (ring.kmsgSeq(seq) !== kept.kmsgSeq) return `kmsg number of ${seq}: ${ring.kmsgSeq(seq)}, not ${kept.kmsgSeq}`
		position = ring.position(seq) + kept.text.length
	}
	return undefined
}

const step = fc.oneof(
	{
		weight: 30,
		arbitrary: fc.record({ bytes: fc.integer({ min: 1, max: 600 }), kmsg: fc.boolean(), routes: fc.integer() }),
	},
	{
		weight: 6,
		arbitrary: fc.record({ bytes: fc.integer({ min: 600, max: 16_384 }), kmsg: fc.boolean(), routes: fc.nat() }),
	},
	{ weight: 2, arbitrary: fc.record({ burst: fc.integer({ min: 1, max: 900 }) }) },
	{
		weight: 2,
		arbitrary: fc.record({
			resize: fc.constantFrom(1, 65_536, 65_537, 131_072, 262_144),
			// Bytes of what is appended between the steps of the move.
			between: fc.array(fc.integer({ min: 1, max: 16_384 }), { maxLength: 60 }),
			stepBytes: fc.integer({ min: 1, max: 40_000 }),
			stepRecords: fc.integer({ min: 1, max: 200 }),
		}),
	},
	{ weight: 1, arbitrary: fc.constant({ reopen: true }) },
)

test('ring keeps the newest whole records, whatever is appended, and through any resizing and reopening', t => {
	fc.assert(
		fc.property(fc.array(step, { maxLength: 80 }), steps => {
			let ring = newRing(MIN_RING_BYTES)
			const all: Kept[] = []
			let kmsg = 0
			const add = (bytes: number, isKmsg: boolean, routes: number): void => {
				const text = textOf(all.length, bytes)
				const before = ring.tailSeq
				t.is(append(ring, text, { kmsg: isKmsg, routes }), all.length)
				all.push({ text, routes, kmsgSeq: kmsg })
				if (isKmsg) kmsg++
				// Nothing goes that had a place: the youngest that went would not fit beside the rest.
				const gone = all[ring.tailSeq - 1]
				if (ring.tailSeq > before && gone !== undefined) {
					const full = ring.usedBytes + gone.text.length > ring.textBytes
					t.true(full || ring.headSeq - ring.tailSeq + 1 > ring.descCount, 'a record went too early')
				}
			}
			try {
				for (const now of steps) {
					if ('bytes' in now) add(now.bytes, now.kmsg, now.routes)
					else if ('burst' in now) for (let n = 0; n < now.burst; n++) add(40, n % 3 === 0, n)
					else if ('resize' in now) {
						const old = ring
						const fresh = newRing(now.resize)
						const { stepBytes: bytes, stepRecords: records } = now
						const move = new RingMove(old, fresh.memory, now.resize, { bytes, records })
						for (const more of now.between) {
							move.step()
							// The old one is the ring until the move is finished.
							add(more, more % 2 === 0, more)
							t.is(faultOf(old, all), undefined)
						}
						for (let steps = 0; !move.step(); steps++) if (steps > 5000) throw new Error('the move does not end')
						ring = move.finish()
						const first = all[ring.tailSeq - 1]
						if (ring.tailSeq > old.tailSeq && first !== undefined) {
							const full = ring.usedBytes + first.text.length > ring.textBytes
							t.true(full || ring.headSeq - ring.tailSeq === ring.descCount, 'the move left a record behind')
						}
						closeRing(old)
					} else {
						const copy = copyOf(ring)
						t.is(faultOf(copy, all), undefined)
					}
					t.is(faultOf(ring, all), undefined)
					t.is(ring.floats[FIELD.nextKmsgSeq], kmsg)
				}
			} finally {
				closeRing(ring)
			}
		}),
		{ numRuns: 60 },
	)
})

test('ring moved to a smaller size keeps as many of the newest records as fit, to a larger size all of them', t => {
	withRing(131_072, ring => {
		for (let n = 0; n < 400; n++) append(ring, textOf(n, 300), { kmsg: true })
		t.is(ring.tailSeq, 0)
		const [small, large] = [newRing(65_536), newRing(1 << 20)]
		const moved = moveRing(ring, small.memory, 65_536)
		// 65536 / 300 = 218.45
		t.is(moved.headSeq - moved.tailSeq, 218)
		t.is(moved.usedBytes, 218 * 300)
		const grown = moveRing(ring, large.memory, 1 << 20)
		t.is(grown.tailSeq, 0)
		for (const seq of [182, 399]) {
			const start = moved.offset(moved.position(seq))
			t.deepEqual(new Uint8Array(moved.text.subarray(start, start + 300)), textOf(seq, 300))
		}
		closeRing(small)
		closeRing(large)
	})
})

test('a move whose writer is faster than a step catches up with it all the same; one that is not done is not finished', t => {
	withRing(262_144, ring => {
		for (let n = 0; n < 800; n++) append(ring, textOf(n, 300), { kmsg: false })
		const fresh = newRing(262_144)
		const move = new RingMove(ring, fresh.memory, 262_144, { bytes: 1000, records: 4 })
		let appended = 800
		let steps = 0
		for (; !move.step(); steps++) {
			t.throws(() => move.finish(), { message: /are not in the new ring/ })
			for (let n = 0; n < 12; n++) append(ring, textOf(appended++, 300), { kmsg: false })
			if (steps > 1000) throw new Error('never')
		}
		t.true(steps > 3)
		const moved = move.finish()
		t.is(moved.headSeq, appended)
		for (let seq = moved.tailSeq; seq < appended; seq++) {
			const start = moved.offset(moved.position(seq))
			t.deepEqual(new Uint8Array(moved.text.subarray(start, start + 300)), textOf(seq, 300))
		}
		closeRing(fresh)
	})
})

/** Calls `look` before every store that `run` makes to the ring's memory. */
function beforeEachStore(ring: Ring, look: () => void, run: () => void): void {
	const watched = <T extends Uint8Array | Uint32Array | Float64Array>(array: T): T =>
		new Proxy(array, {
			get: (target, key) => {
				const value: unknown = Reflect.get(target, key, target)
				return typeof value === 'function' ? (value.bind(target) as unknown) : value
			},
			set: (target, key, value) => {
				look()
				return Reflect.set(target, key, value, target)
			},
		})
	const original = { words: ring.words, floats: ring.floats, text: ring.text }
	Object.assign(ring, { words: watched(ring.words), floats: watched(ring.floats), text: watched(ring.text) })
	try {
		run()
	} finally {
		Object.assign(ring, original)
	}
}

test('ring reads back whole when its writer is killed before any store, and the next writer goes on without a gap', t => {
	withRing(MIN_RING_BYTES, ring => {
		const all: Kept[] = []
		let kmsg = 0
		const add = (bytes: number): void => {
			const isKmsg = all.length % 2 === 0
			const text = textOf(all.length, bytes)
			all.push({ text, routes: all.length, kmsgSeq: kmsg })
			if (isKmsg) kmsg++
			append(ring, text, { kmsg: isKmsg, routes: all.length - 1 })
		}
		// Full by bytes; then full by descriptors.
		while (ring.tailSeq === 0) add(1000 + all.length)
		let looks = 0
		const look = (): void => {
			looks++
			const copy = copyOf(ring)
			const { headSeq } = copy
			t.true(headSeq === all.length - 1 || headSeq === all.length)
			t.is(faultOf(copy, all, headSeq), undefined)
			copy.recover()
			t.is(faultOf(copy, all, headSeq), undefined)
			t.is(copy.floats[FIELD.nextKmsgSeq], all[headSeq]?.kmsgSeq ?? kmsg)
			append(copy, textOf(7, 20), { kmsg: true })
			t.is(copy.kmsgSeq(headSeq), all[headSeq]?.kmsgSeq ?? kmsg)
		}
		beforeEachStore(ring, look, () => {
			for (let n = 0; n < 6; n++) add(100 + 3000 * n)
		})
		for (let n = 0; n < ring.descCount + 10; n++) add(10)
		t.is(ring.headSeq - ring.tailSeq, ring.descCount)
		beforeEachStore(ring, look, () => {
			for (let n = 0; n < 6; n++) add(16_384)
		})
		t.true(looks > 12 * 15, `${looks} looks`)
		t.is(faultOf(ring, all), undefined)
	})
})

test('ring is full to the last byte before a record goes', t => {
	withRing(MIN_RING_BYTES, ring => {
		for (let n = 0; n < 64; n++) append(ring, textOf(n, 1024))
		t.is(ring.tailSeq, 0)
		t.is(ring.usedBytes, 65_536)
		append(ring, textOf(64, 1))
		t.is(ring.tailSeq, 1)
	})
})

test('ring calls its guard before a guarded record goes, and not for others', t => {
	withRing(MIN_RING_BYTES, ring => {
		const guarded: number[] = []
		ring.guardSeq = 3
		ring.onGuard = () => {
			guarded.push(ring.tailSeq)
			ring.guardSeq = ring.headSeq
		}
		while (ring.tailSeq < 3) append(ring, textOf(ring.headSeq, 4000))
		t.deepEqual(guarded, [])
		append(ring, textOf(ring.headSeq, 4000))
		t.is(guarded.length, 1)
	})
})

test('kmsg numbers above 32 bits are told whole', t => {
	withRing(MIN_RING_BYTES, ring => {
		ring.floats[FIELD.nextKmsgSeq] = 2 ** 32 - 1
		append(ring, textOf(0, 10), { kmsg: true })
		append(ring, textOf(1, 10), { kmsg: true })
		append(ring, textOf(2, 10))
		t.deepEqual(
			[0, 1, 2].map(seq => ring.kmsgSeq(seq)),
			[2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1],
		)
	})
})

test('geometry is a power of two within the bounds, for any wish', t => {
	fc.assert(
		fc.property(fc.integer({ min: -1, max: 2 ** 31 - 1 }), wish => {
			const { textBytes, descCount, fileBytes } = geometry(wish)
			t.is(Math.log2(textBytes) % 1, 0)
			t.true(textBytes >= MIN_RING_BYTES && textBytes <= MAX_RING_BYTES)
			if (wish >= MIN_RING_BYTES && wish <= MAX_RING_BYTES) t.true(textBytes >= wish && textBytes < 2 * wish)
			t.is(fileBytes, 4096 + descCount * 64 + textBytes)
			t.is(fileBytes % 4096, 0)
		}),
		{ numRuns: 200 },
	)
})

test('extra fields are found by type, and no bytes make the search leave its range', t => {
	const target = new Uint8Array(64)
	const end = putExtra(
		target,
		putExtra(target, 3, EXTRA.msgid, Buffer.from('ID47'), 0, 4),
		EXTRA.sd,
		Buffer.from('x[a]'),
		1,
		4,
	)
	t.deepEqual([...target.subarray(3, end)], [2, 4, 0, 0, 0, 73, 68, 52, 55, 3, 3, 0, 0, 0, 91, 97, 93])
	const sd = findExtra(target, 3, end, EXTRA.sd)
	t.is(Buffer.from(target.subarray(sd, sd + extraLength(target, sd))).toString(), '[a]')
	t.is(findExtra(target, 3, end, EXTRA.text), -1)
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(5), (bytes, type) => {
			const found = findExtra(bytes, 0, bytes.length, type)
			t.true(found === -1 || (found >= 5 && found <= bytes.length))
		}),
	)
})
