/**
 * The journal of requests, the writer stopped at any of its steps: what the next one finds is a request that counts, or a ring as
 * it was before.
 */
import test from 'ava'
import fc from 'fast-check'
import { Cells, kindOf, publish } from '../../src/ring/cells.ts'
import { Journal } from '../../src/ring/journal.ts'
import { FIELD } from '../../src/ring/layout.ts'
import { newDescriptor, Ring } from '../../src/ring/ring.ts'
import { CELL_KIND, HEADER_CELLS } from '../../src/ring/state-layout.ts'
import { newRing } from '../helpers/rings.ts'

/** The same bytes, as another process would map them. */
function remap({ memory: { head, text } }: Ring): Ring {
	const copy = <M extends { buffer: ArrayBuffer }>(from: M): M => {
		const buffer = from.buffer.slice(0)
		return { ...from, buffer, bytes: new Uint8Array(buffer) }
	}
	const ring = new Ring({ head: copy(head), text: copy(text) })
	ring.recover()
	return ring
}

function append(ring: Ring, bytes: number): void {
	ring.reserve(bytes)
	ring.commit({ ...newDescriptor(), flags: 16, lineBytes: bytes })
	ring.floats[FIELD.accepted] = (ring.floats[FIELD.accepted] ?? 0) + 1
}

test('a request counts from its record on, or from the moment it is done; before that it never was', t => {
	const steps: ((ring: Ring, journal: Journal) => void)[] = [
		(_, journal) => journal.begin(7),
		(_, journal) => journal.appends(100),
		ring => append(ring, 100),
		(_, journal) => journal.done(),
	]
	for (const transaction of [false, true]) {
		for (let stop = 0; stop <= steps.length; stop++) {
			const ring = newRing(65_536)
			append(ring, 50)
			const journal = new Journal(ring)
			for (const [i, step] of steps.entries()) if (i < stop && !(transaction && i === 1)) step(ring, journal)
			const next = remap(ring)
			const found = new Journal(next)
			found.recover(0)
			const counts = stop >= (transaction ? 4 : 3)
			t.is(next.headSeq, counts ? 2 : 1, `${transaction} ${stop}`)
			t.is(next.floats[FIELD.accepted], next.headSeq)
			t.is(next.floats[FIELD.nextKmsgSeq], next.headSeq)
			t.is(found.known(7) !== undefined, counts)
			// Whatever came after, a third one finds the same.
			append(next, 10)
			const last = new Journal(remap(next))
			last.recover(0)
			t.is(last.known(7) !== undefined, counts, `${transaction} ${stop} once more`)
			t.is(remap(next).headSeq, next.headSeq)
		}
	}
})

test('what is done aside is not taken back with the request that it was done in', t => {
	for (const stop of [0, 1, 2]) {
		const ring = newRing(65_536)
		const journal = new Journal(ring)
		journal.begin(7)
		let aside: Ring | undefined
		journal.aside(() => {
			append(ring, 50)
			if (stop === 0) aside = remap(ring)
		})
		if (stop === 2) append(ring, 100)
		const next = aside ?? remap(ring)
		const found = new Journal(next)
		found.recover(0)
		t.is(next.headSeq, 1)
		t.is(found.known(7), undefined)
	}
})

test('what was written down elsewhere makes a request count; with more to follow it is carried out again, and told so', t => {
	for (const [saved, known, applied] of [
		[7, true, false],
		[-7, false, true],
		[5, false, false],
	] as const) {
		const ring = newRing(65_536)
		const journal = new Journal(ring)
		journal.begin(7)
		append(ring, 20)
		const found = new Journal(remap(ring))
		found.recover(saved)
		t.is(found.known(7) !== undefined, known)
		found.begin(7)
		t.is(found.applied, applied)
	}
})

test('facts of the first time hold for the second', t => {
	const ring = newRing(65_536)
	const journal = new Journal(ring)
	journal.begin(7)
	t.is(journal.fact(0), 0)
	const found = new Journal(remap(ring))
	found.recover(0)
	found.begin(7)
	t.true(found.again)
	t.is(found.fact(1), 0)
	t.is(found.secondFact(12), 12)
	found.end()
	found.begin(9)
	t.false(found.again)
	t.is(found.fact(1), 1)
})

test('a read that is sent again starts from where it was', t => {
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 0, max: 1e9 }), { minLength: 7, maxLength: 7 }), values => {
			const ring = newRing(65_536)
			const cells = new Cells(ring)
			const cell = cells.take()
			if (cell === undefined) return false
			cell.floats.set(values, cell.at + 1)
			publish(cell, CELL_KIND.kmsgFile)
			ring.floats[FIELD.syslogSeq] = 3
			new Journal(ring).reading(11, cell)
			cell.floats.fill(0, cell.at + 1, cell.at + 8)
			ring.floats[FIELD.syslogSeq] = 9
			const next = remap(ring)
			const found = new Journal(next)
			found.recover(0)
			const there = new Cells(next)
			if (found.undo(12, there) !== undefined) return false
			const back = found.undo(11, there)
			if (back === undefined || next.floats[FIELD.syslogSeq] !== 3) return false
			return values.every((value, i) => back.floats[back.at + 1 + i] === value)
		}),
	)
	t.pass()
})

test('the second death with the same request makes it poison; a death before it was begun again does not', t => {
	let ring = newRing(65_536)
	new Journal(ring).begin(7)
	const die = (begin: boolean): boolean => {
		ring = remap(ring)
		const journal = new Journal(ring)
		journal.recover(0)
		const poison = journal.isPoison(7)
		if (begin) journal.begin(7)
		return poison
	}
	t.false(die(false))
	t.false(die(false))
	t.false(die(true))
	t.true(die(false))
})

test('cells are found again, in the header page and beyond; a cell that was taken and not published is free', t => {
	const ring = newRing(65_536)
	const beside = new Uint8Array(1 << 16)
	const more = (offset: number, sizeBytes: number) => {
		const buffer = beside.buffer
		// A mapping of its own each time: as the kernel gives it.
		return { address: 0, buffer: buffer.slice(offset, offset + sizeBytes), bytes: new Uint8Array(sizeBytes) }
	}
	const cells = new Cells(ring, more)
	const taken = Array.from({ length: HEADER_CELLS + 100 }, () => cells.take())
	for (const cell of taken.slice(0, 10)) if (cell !== undefined) publish(cell, CELL_KIND.directory, cell.index)
	t.is(new Set(taken.map(cell => cell?.index)).size, HEADER_CELLS + 100)
	const found = [...new Cells(remap(ring), more)]
	t.deepEqual(
		found.map(cell => [cell.index, kindOf(cell)]),
		taken.slice(0, 10).map(cell => [cell?.index, CELL_KIND.directory]),
	)
})
