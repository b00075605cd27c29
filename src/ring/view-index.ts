/**
 * Byte positions of one view: the records with its route bit, lines back to back.
 *
 * Nothing is done when a record is appended. The index catches up when somebody looks: one pass over the new
 * descriptors, a checkpoint every so many records. So an append costs the same with 1 view or 31, sequential reading
 * is O(bytes), a seek O(log n).
 *
 * Positions are absolute and only grow; the oldest retained byte is at `oldest().position`. Records that went unseen
 * have no position: an index that must not miss any registers as a guard of the ring (`pinned`).
 *
 * What was scanned is kept in a cell, so that positions mean the same to a later engine. The cell has room for two places and says
 * which one counts: one store changes it.
 */
import { type Cell, kindOf, publish } from './cells.ts'
import { DESC, FLAG } from './layout.ts'
import type { Ring } from './ring.ts'
import { CELL_KIND } from './state-layout.ts'

/** A place between two records: `position` and `count` are of the first record of the view at or after `seq`. */
export interface Place {
	seq: number
	position: number
	count: number
}

/** How many bytes a record's line has in this view. */
export type LineSize = (ring: Ring, seq: number) => number

/** The view of every record but raw lines; bits below it are routes of the configuration. */
export const ALL_BIT = 32

const RECORDS_PER_CHECKPOINT = 1024

/** In a cell: twice the oldest sequence number there is a position for, plus which place counts; then two places. */
const CHOICE = 1
const PLACES = 2
const PLACE_FLOATS = 3

export class ViewIndex {
	readonly bit: number
	/** The descriptor word and bit that say whether a record is part of the view. */
	readonly #word: number
	readonly #mask: number
	readonly #size: LineSize | null
	#ring: Ring
	/** Scanned so far: every retained record below `seq`. */
	readonly #scanned: Place
	#checkpoints: Place[] = []
	#lastUs = 0
	/** The place scanned is an earlier engine's, and what is before it is not known yet: it takes a pass over the whole ring. */
	#untraced = false
	readonly #oldest: Place
	/** Records before it have no position: nobody looked in time, or they are older than the view. */
	#floorSeq: number
	/** Null where nothing is kept. */
	readonly cell: Cell | null

	/** `size` null: the stored line as it is. */
	constructor(ring: Ring, bit: number, size: LineSize | null, start: Place, cell: Cell | null = null) {
		this.bit = bit
		this.#word = bit === ALL_BIT ? DESC.kind : DESC.routes
		this.#mask = bit === ALL_BIT ? FLAG.all << 24 : 1 << bit
		this.#ring = ring
		this.#size = size
		this.#scanned = { ...start }
		this.#oldest = { ...start }
		this.#floorSeq = start.seq
		this.cell = cell
		if (cell === null || kindOf(cell) !== CELL_KIND.free) return
		this.#keep()
		publish(cell, CELL_KIND.viewIndex, bit)
	}

	/** The index that an earlier engine left in `cell`. */
	static restore(ring: Ring, bit: number, size: LineSize | null, cell: Cell): ViewIndex {
		const { floats, at } = cell
		const choice = floats[at + CHOICE] ?? 0
		const place = at + PLACES + (choice % 2) * PLACE_FLOATS
		const scanned: Place = { seq: floats[place] ?? 0, position: floats[place + 1] ?? 0, count: floats[place + 2] ?? 0 }
		const floorSeq = Math.floor(choice / 2)
		// Nothing that an engine leaves: from the oldest record on, as if nobody had looked yet.
		const counts = [scanned.seq, scanned.position, scanned.count, floorSeq]
		const sound = counts.every(count => Number.isSafeInteger(count) && count >= 0)
		if (!sound || scanned.seq > ring.headSeq + ring.descCount)
			return new ViewIndex(ring, bit, size, { seq: ring.tailSeq, position: 0, count: 0 }, cell)
		const index = new ViewIndex(ring, bit, size, scanned, cell)
		index.#floorSeq = floorSeq
		index.#takeBack()
		index.#untraced = true
		return index
	}

	/** Records that were taken back leave their descriptors where they were until the next is appended. */
	#takeBack(): void {
		const ring = this.#ring
		const scanned = this.#scanned
		const gone: Place = { seq: ring.headSeq, position: 0, count: 0 }
		if (scanned.seq > ring.headSeq) {
			this.#advance(gone, scanned.seq)
			scanned.seq = ring.headSeq
			scanned.position -= gone.position
			scanned.count -= gone.count
		}
	}

	/** From the place scanned back to the oldest record, whose place is not kept. When somebody looks: an engine has no time at its start. */
	#retrace(): void {
		this.#untraced = false
		const ring = this.#ring
		const scanned = this.#scanned
		const oldest: Place = { seq: Math.max(ring.tailSeq, Math.min(this.#floorSeq, scanned.seq)), position: 0, count: 0 }
		if (oldest.seq < scanned.seq) {
			const span = { ...oldest }
			this.#advance(span, scanned.seq)
			oldest.position = scanned.position - span.position
			oldest.count = scanned.count - span.count
			this.#lastUs = this.#lastUsBefore(scanned.seq, oldest.seq)
			Object.assign(scanned, oldest)
		} else Object.assign(oldest, scanned)
		Object.assign(this.#oldest, oldest)
		// Forward again, which leaves the checkpoints.
		this.catchUp()
	}

	#lastUsBefore(end: number, oldest: number): number {
		const ring = this.#ring
		for (let seq = end - 1; seq >= oldest; seq--)
			if (this.has(ring, seq)) return ring.floats[(ring.slot(seq) + DESC.realtimeUs) / 2] ?? 0
		return 0
	}

	#keep(): void {
		if (this.cell === null) return
		const { floats, at } = this.cell
		const other = 1 - ((floats[at + CHOICE] ?? 0) % 2)
		const place = at + PLACES + other * PLACE_FLOATS
		floats[place] = this.#scanned.seq
		floats[place + 1] = this.#scanned.position
		floats[place + 2] = this.#scanned.count
		floats[at + CHOICE] = this.#floorSeq * 2 + other
	}

	/** When the newest record scanned was written, in microseconds of CLOCK_REALTIME; 0 before any. */
	get lastUs(): number {
		if (this.#untraced) this.#retrace()
		return this.#lastUs
	}

	/** Whether one of the newest records, from this one on, is of the view. */
	cameLately(fromSeq: number): boolean {
		const ring = this.#ring
		const least = Math.max(fromSeq, ring.tailSeq, ring.headSeq - RECORDS_PER_CHECKPOINT)
		for (let seq = ring.headSeq - 1; seq >= least; seq--) if (this.has(ring, seq)) return true
		return false
	}

	get scannedSeq(): number {
		return this.#scanned.seq
	}

	/** Known places: bounded by the ring. */
	get checkpoints(): number {
		return this.#checkpoints.length
	}

	/** Continues on the ring that took the old one's place (same sequence numbers and positions). */
	moveTo(ring: Ring): void {
		this.#ring = ring
	}

	/** Scans the records appended since. Answers the place of the head. */
	catchUp(): Readonly<Place> {
		if (this.#untraced) this.#retrace()
		const ring = this.#ring
		const { words } = ring
		const head = ring.headSeq
		const here = this.#scanned
		const kept = here.seq
		if (here.seq < ring.tailSeq) this.#skipUnseen(ring.tailSeq)
		let { seq, position, count } = here
		let last = -1
		while (seq < head) {
			const end = Math.min(head, seq - (seq % RECORDS_PER_CHECKPOINT) + RECORDS_PER_CHECKPOINT)
			for (; seq < end; seq++) {
				const at = ring.slot(seq)
				if (((words[at + this.#word] ?? 0) & this.#mask) !== 0) {
					position += this.#size === null ? (words[at + DESC.lineBytes] ?? 0) : this.#size(ring, seq)
					count++
					last = at
				}
			}
			if (seq % RECORDS_PER_CHECKPOINT === 0) {
				this.#checkpoints.push({ seq, position, count })
				// Nobody may look for long: what is kept is bounded by the ring, not by what came through it.
				this.#prune()
			}
		}
		if (last >= 0) this.#lastUs = ring.floats[(last + DESC.realtimeUs) / 2] ?? 0
		here.seq = seq
		const moved = here.seq !== kept
		here.position = position
		here.count = count
		if (moved) this.#keep()
		return here
	}

	/** Records between the scanned place and the tail are gone unseen: nobody holds a position among them. */
	#skipUnseen(tailSeq: number): void {
		this.#checkpoints = []
		this.#scanned.seq = tailSeq
		this.#floorSeq = tailSeq
		Object.assign(this.#oldest, this.#scanned)
	}

	/** The place of the oldest retained record. */
	oldest(): Readonly<Place> {
		this.catchUp()
		return this.#place(Math.max(this.#ring.tailSeq, this.#oldest.seq))
	}

	#place(seq: number): Place {
		this.#prune()
		const oldest = this.#oldest
		if (oldest.seq === seq) return oldest
		// Forward from the nearest known place at or before, else backward from the first one after.
		const i = this.#after(checkpoint => checkpoint.seq > seq)
		const tail = this.#ring.tailSeq
		const nearest = this.#checkpoints[i - 1]
		const known = nearest !== undefined && nearest.seq > oldest.seq ? nearest : oldest
		const before = known.seq >= tail && known.seq <= seq ? known : undefined
		let place: Place
		if (before !== undefined) {
			place = { ...before }
			this.#advance(place, seq)
		} else {
			const after = this.#checkpoints[i] ?? this.#scanned
			const span: Place = { seq, position: 0, count: 0 }
			this.#advance(span, after.seq)
			place = { seq, position: after.position - span.position, count: after.count - span.count }
		}
		if (seq === tail) Object.assign(oldest, place)
		return place
	}

	#advance(place: Place, seq: number): void {
		const ring = this.#ring
		for (; place.seq < seq; place.seq++) {
			const bytes = this.sizeOf(ring, place.seq)
			if (bytes > 0 || this.has(ring, place.seq)) place.count++
			place.position += bytes
		}
	}

	has(ring: Ring, seq: number): boolean {
		return ((ring.words[ring.slot(seq) + this.#word] ?? 0) & this.#mask) !== 0
	}

	/** Bytes of a record's line in this view; 0 when the record is not part of it. */
	sizeOf(ring: Ring, seq: number): number {
		const at = ring.slot(seq)
		if (((ring.words[at + this.#word] ?? 0) & this.#mask) === 0) return 0
		return this.#size === null ? (ring.words[at + DESC.lineBytes] ?? 0) : this.#size(ring, seq)
	}

	/**
	 * The first record of the view that ends after `position`, at or after the tail; the head when there is none. A known
	 * `start` at or before it saves the way there.
	 */
	seek(position: number, start?: Readonly<Place>): Place {
		const oldest = this.oldest()
		if (position < oldest.position) return { ...oldest }
		const i = this.#after(checkpoint => checkpoint.position > position)
		const from = start ?? this.#checkpoints[i - 1]
		const place = { ...(from !== undefined && from.seq > oldest.seq ? from : oldest) }
		const ring = this.#ring
		while (place.seq < this.#scanned.seq) {
			const bytes = this.sizeOf(ring, place.seq)
			if (place.position + bytes > position) break
			if (this.has(ring, place.seq)) place.count++
			place.position += bytes
			place.seq++
		}
		return place
	}

	/** Moves a place of a record behind that record. */
	pass(place: Place): void {
		if (this.#untraced) this.#retrace()
		this.#advance(place, Math.min(place.seq + 1, this.#scanned.seq))
	}

	/** Index of the first checkpoint for which `test` holds; it holds for all behind it. */
	#after(test: (checkpoint: Place) => boolean): number {
		let low = 0
		let high = this.#checkpoints.length
		while (low < high) {
			const middle = (low + high) >>> 1
			const checkpoint = this.#checkpoints[middle]
			if (checkpoint !== undefined && test(checkpoint)) high = middle
			else low = middle + 1
		}
		return low
	}

	#prune(): void {
		const tail = this.#ring.tailSeq
		const gone = this.#after(checkpoint => checkpoint.seq >= tail)
		if (gone > 64) this.#checkpoints.splice(0, gone)
	}
}
