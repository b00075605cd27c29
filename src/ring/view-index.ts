/**
 * Byte positions of one view: the records with its route bit, lines back to back.
 *
 * Nothing is done when a record is appended. The index catches up when somebody looks: one pass over the new
 * descriptors, a checkpoint every so many records. So an append costs the same with 1 view or 31, sequential reading
 * is O(bytes), a seek O(log n).
 *
 * Positions are absolute and only grow; the oldest retained byte is at `oldest().position`. Records that went unseen
 * have no position: an index that must not miss any registers as a guard of the ring (`pinned`).
 */
import { DESC, FLAG } from './layout.ts'
import type { Ring } from './ring.ts'

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
	/** When the newest record scanned was written, in microseconds of CLOCK_REALTIME; 0 before any. */
	lastUs = 0
	readonly #oldest: Place

	/** `size` null: the stored line as it is. */
	constructor(ring: Ring, bit: number, size: LineSize | null, start: Place) {
		this.bit = bit
		this.#word = bit === ALL_BIT ? DESC.kind : DESC.routes
		this.#mask = bit === ALL_BIT ? FLAG.all << 24 : 1 << bit
		this.#ring = ring
		this.#size = size
		this.#scanned = { ...start }
		this.#oldest = { ...start }
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
		const ring = this.#ring
		const { words } = ring
		const head = ring.headSeq
		const here = this.#scanned
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
		if (last >= 0) this.lastUs = ring.floats[(last + DESC.realtimeUs) / 2] ?? 0
		here.seq = seq
		here.position = position
		here.count = count
		return here
	}

	/** Records between the scanned place and the tail are gone unseen: nobody holds a position among them. */
	#skipUnseen(tailSeq: number): void {
		this.#checkpoints = []
		this.#scanned.seq = tailSeq
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
