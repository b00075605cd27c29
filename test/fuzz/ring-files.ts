/** Ring files that were damaged: changed anywhere, cut at any length, made longer, or never a ring. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { closeRing, openRingForReading, reviveRing } from '../../src/engine/ring-file.ts'
import { RecordReader } from '../../src/engine/record-reader.ts'
import { DEFAULT_LIMITS } from '../../src/pog/limits.ts'
import { NOBODY, Pog } from '../../src/pog/pog.ts'
import { StoredRecord } from '../../src/pog/stored.ts'
import { DESC_BYTES, FIELD, geometry, HEADER_BYTES, MIN_RING_BYTES } from '../../src/ring/layout.ts'
import { isLost, type Ring } from '../../src/ring/ring.ts'
import { newPog } from '../helpers/pogs.ts'
import { ringPath } from '../helpers/rings.ts'
import { expect, type Target } from './target.ts'

const CONF = '*.* /var/log/all\nkern.* /var/log/kern\nmail.* -/var/log/mail;RFC5424\n'
const { descCount, fileBytes } = geometry(MIN_RING_BYTES)
const TEXT_AT = HEADER_BYTES + descCount * DESC_BYTES

/** How much a ring has seen: nothing, a little, full by bytes, full by descriptors. */
const FILLINGS = ['empty', 'one', 'some', 'bytes', 'descriptors'] as const
type Filling = (typeof FILLINGS)[number]

interface Made {
	readonly bytes: Buffer
	/** What was retained, oldest first. */
	readonly texts: readonly string[]
	readonly tailSeq: number
}

const made = new Map<Filling, Made>()

/** The file of a ring as a POG filled it; always the same. */
function ringOf(filling: Filling): Made {
	const known = made.get(filling)
	if (known !== undefined) return known
	const path = ringPath()
	const pog = newPog({ ringBytes: MIN_RING_BYTES, conf: CONF, path })
	const count = { empty: 0, one: 1, some: 60, bytes: 900, descriptors: 2000 }[filling]
	for (let n = 0; n < count; n++) {
		pog.clock.nowUs += 1000
		const text = filling === 'descriptors' ? `${n}` : `${n} ${'x'.repeat((n * 37) % 200)}`
		if (n % 3 === 0) pog.kmsg(`<${n % 192}>kmsg ${text}\tand more`)
		else if (n % 7 === 1)
			pog.pog.appendRaw(pog.view('var/log/all'), Buffer.from(`raw ${text}\n`), 0, text.length + 5, NOBODY)
		else pog.send(`<${n % 192}>app[${n}]: ${text}${n % 5 === 0 ? '\x01\n' : ''}`)
	}
	const { ring } = pog.pog
	const bytes = readFileSync(path)
	const one = { bytes, texts: textsOf(ring), tailSeq: ring.tailSeq }
	made.set(filling, one)
	pog.close()
	rmSync(path)
	return one
}

function textsOf(ring: Ring): string[] {
	const texts: string[] = []
	for (let seq = ring.tailSeq; seq < ring.headSeq; seq++)
		if (!isLost(ring, seq)) texts.push(`${seq} ${lineOf(ring, seq)}`)
	return texts
}

function lineOf(ring: Ring, seq: number): string {
	const start = ring.offset(ring.position(seq))
	return Buffer.from(ring.text.subarray(start, start + (ring.words[ring.slot(seq) + 3] ?? 0))).toString('latin1')
}

/** Bytes put over others, from a place on: a bit, a page, a number of the header. */
export interface Damage {
	readonly at: number
	readonly bytes: readonly number[]
	readonly times: number
}

export interface Damaged {
	readonly filling: Filling
	readonly damages: readonly Damage[]
	/** Bytes that are left; undefined: all. */
	readonly cut?: number | undefined
}

const FLOATS = [
	0,
	-1,
	1,
	0.5,
	2 ** 31,
	2 ** 32,
	2 ** 53,
	1e300,
	-1e300,
	Number.NaN,
	Number.POSITIVE_INFINITY,
	65_536,
	512,
]
const floatBytes = fc
	.oneof(fc.constantFrom(...FLOATS), fc.double())
	.map(value => [...new Uint8Array(new Float64Array([value]).buffer)])
const place = fc.oneof(
	{ weight: 2, arbitrary: fc.nat(HEADER_BYTES / 8 - 1).map(field => field * 8) },
	{ weight: 2, arbitrary: fc.nat(47).map(field => field * 8) },
	{ weight: 4, arbitrary: fc.nat(descCount * 16 - 1).map(word => HEADER_BYTES + word * 4) },
	{ weight: 2, arbitrary: fc.nat(60 * 16).map(word => HEADER_BYTES + word * 4) },
	{ weight: 1, arbitrary: fc.nat(fileBytes - 1) },
)
const damage: fc.Arbitrary<Damage> = fc.record({
	at: place,
	bytes: fc.oneof(
		floatBytes,
		fc.array(fc.nat(255), { minLength: 1, maxLength: 16 }),
		fc.constant([0]),
		fc.constant([255]),
	),
	times: fc.oneof(
		{ weight: 6, arbitrary: fc.constant(1) },
		{ weight: 1, arbitrary: fc.constantFrom(64, 4096, 70_000) },
	),
})

function damaged(bytes: Buffer, damages: readonly Damage[]): Buffer {
	const copy = Buffer.from(bytes)
	for (const { at, bytes: over, times } of damages) {
		for (let n = 0; n < over.length * times && at + n < copy.length; n++) copy[at + n] = over[n % over.length] ?? 0
	}
	return copy
}

/** Opens the file as an engine that starts again does, and does with it all that one may. */
function use(path: string): { ring: Ring; kept: string[]; lost: number } | undefined {
	const reader = openRingForReading(path)
	if (reader !== undefined) closeRing(reader)
	const ring = reviveRing(path)
	if (ring === undefined) return undefined
	const { tailSeq, headSeq, headPosition } = ring
	for (const number of [tailSeq, headSeq, headPosition])
		expect(Number.isSafeInteger(number) && number >= 0, () => `a header of ${tailSeq} ${headSeq} ${headPosition}`)
	expect(headSeq - tailSeq <= ring.descCount, () => `${tailSeq} to ${headSeq}`)
	expect(ring.usedBytes >= 0 && ring.usedBytes <= ring.textBytes, () => `${ring.usedBytes} bytes are used`)
	let position = tailSeq < headSeq ? ring.position(tailSeq) : headPosition
	const stored = new StoredRecord()
	let kmsg = -1
	for (let seq = tailSeq; seq < headSeq; seq++) {
		expect(ring.position(seq) === position, () => `record ${seq} is at ${ring.position(seq)}, not at ${position}`)
		const at = ring.slot(seq)
		position += (ring.words[at + 3] ?? 0) + (ring.words[at + 13] ?? 0)
		const r = stored.read(ring, seq, true)
		expect(
			r.textEnd <= ring.text.length && r.textStart <= r.textEnd,
			() => `text of ${seq}: ${r.textStart} to ${r.textEnd}`,
		)
		new Date(r.realtimeUs / 1e3).toISOString()
		const number = ring.kmsgSeq(seq)
		expect(
			number >= kmsg && number <= (ring.floats[FIELD.nextKmsgSeq] ?? 0),
			() => `kmsg ${number} of ${seq} after ${kmsg}`,
		)
		kmsg = number
	}
	expect(position === headPosition, () => `the records end at ${position}, the head is ${headPosition}`)
	const kept = textsOf(ring)
	const lost = ring.floats[FIELD.drops + 6] ?? 0
	serve(ring, path, kept.length)
	return { ring, kept, lost }
}

/** A POG goes on in it: everything is read, more is written, and that is read too. */
function serve(ring: Ring, path: string, kept: number): void {
	const host = newPog({ conf: CONF })
	const pog = new Pog(ring, {
		id: 1,
		name: 'test',
		hostname: 'box',
		owner: { uid: 0, gid: 0 },
		limits: DEFAULT_LIMITS,
		policy: { devkmsg: 'on', defaultConf: CONF },
		conf: null,
		clock: host.clock,
	})
	for (const view of pog.views.all) {
		const end = pog.views.end(view)
		for (let seq = ring.tailSeq; seq < end.seq; seq++)
			if (view.index.has(ring, seq) && view.format === 'RFC5424') pog.rfc5424.render(ring, seq)
	}
	const reader = new RecordReader('test', path)
	let read = 0
	while (reader.next() !== undefined) read++
	expect(read === kept, () => `${read} records are read, ${kept} are whole`)
	const head = ring.headSeq
	const more = Buffer.from(`<3>more ${'y'.repeat(3000)}`)
	for (let n = 0; n < 50; n++) pog.logDatagram(more, 0, more.length, NOBODY)
	expect(ring.headSeq === head + 50, () => `${ring.headSeq - head} records of 50 came`)
	expect(
		lineOf(ring, ring.headSeq - 1).endsWith(`${'y'.repeat(100)}\n`),
		() => 'the newest record is not what was written',
	)
	reader.close()
	host.close()
}

function withFile<R>(bytes: Buffer, cut: number | undefined, run: (path: string) => R): R {
	const path = ringPath()
	try {
		writeFileSync(path, bytes)
		if (cut !== undefined) truncateSync(path, cut)
		return run(path)
	} finally {
		rmSync(path, { force: true })
	}
}

export const ringFiles: Target<Damaged> = {
	name: 'ring-files',
	what: 'ring files damaged anywhere and cut at any length: what is left can be read and written',
	runs: 120,
	finds: [
		// The number of cells in the file beside the ring.
		{ filling: 'one', damages: [{ at: 768, bytes: [0, 0, 0, 0, 0, 0, 240, 69], times: 1 }] },
		// A field behind a line that claims to be longer than its record.
		{ filling: 'some', damages: [{ at: 36_564, bytes: [2, 121, 233, 142, 158, 212, 30, 113, 82], times: 4096 }] },
	],
	values: fc.record({
		filling: fc.constantFrom(...FILLINGS),
		damages: fc.array(damage, { minLength: 0, maxLength: 6 }),
		cut: fc.oneof(
			{ weight: 4, arbitrary: fc.constant(undefined) },
			{ weight: 1, arbitrary: fc.nat(fileBytes + 10_000) },
		),
	}),
	check({ filling, damages, cut }) {
		const before = ringOf(filling)
		withFile(damaged(before.bytes, damages), cut, path => {
			const opened = use(path)
			if (opened === undefined) return
			const { ring, kept } = opened
			if (damages.length === 0 && (cut === undefined || cut >= fileBytes))
				expect(String(kept) === String(before.texts), () => 'a whole ring was changed')
			closeRing(ring)
		})
	},
}

/** Of one changed byte. */
export interface Bit {
	readonly filling: Filling
	readonly at: number
	readonly xor: number
}

/** Bytes of the header whose change cannot be told from a truth: the oldest record, and the numbers of /dev/kmsg. */
const UNTOLD = new Set(Array.from({ length: 24 }, (_, n) => FIELD.tailSeq * 8 + n))

export const ringBits: Target<Bit> = {
	name: 'ring-bits',
	what: 'ring files with one changed byte: one record is lost at most, and counted; all others are as they were',
	runs: 250,
	finds: [
		{ filling: 'some', at: 4160, xor: 1 },
		{ filling: 'some', at: 7874, xor: 1 },
		{ filling: 'bytes', at: 45, xor: 16 },
		// The newest record claims to be much longer.
		{ filling: 'some', at: 7925, xor: 222 },
	],
	values: fc.record({
		filling: fc.constantFrom('some' as const, 'bytes' as const, 'descriptors' as const, 'one' as const),
		at: fc.oneof(
			fc.nat(47 * 8),
			fc.nat(TEXT_AT - 1),
			fc.nat(60 * 64).map(n => HEADER_BYTES + n),
		),
		xor: fc.integer({ min: 1, max: 255 }),
	}),
	check({ filling, at, xor }) {
		const before = ringOf(filling)
		const bytes = Buffer.from(before.bytes)
		bytes[at] = (bytes[at] ?? 0) ^ xor
		withFile(bytes, undefined, path => {
			const opened = use(path)
			expect(opened !== undefined, () => 'it is no ring any more')
			const { ring, kept, lost } = opened
			closeRing(ring)
			if (UNTOLD.has(at)) return
			const there = new Set(kept)
			const missing = before.texts.filter(text => !there.has(text))
			expect(missing.length <= 1, () => `${missing.length} records are missing: ${missing.slice(0, 3).join()}`)
			const strange = kept.length - (before.texts.length - missing.length)
			expect(strange <= 1, () => `${strange} records are others than before`)
			// A counter that was hit says anything.
			if (at >= HEADER_BYTES)
				expect(lost === missing.length - strange, () => `${missing.length} missing, ${lost} counted`)
		})
	},
}
