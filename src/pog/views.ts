/**
 * The views of a POG: which files show which records.
 *
 * A rule of the configuration writes a route bit into every record it selects; a view is the records with that bit,
 * from `startSeq` (moved by clearing) to `endSeq` (set when `mv` freezes the file under another name). A frozen view and
 * the live one that took its name share the bit.
 *
 * Invariant: at most one view has a path; at most one live view has a bit; positions of a bit only grow, so a view's
 * `startPosition` and `endPosition` stay true for ever.
 */
import { ALL_BIT, type LineSize, type Place, ViewIndex } from '../ring/view-index.ts'
import type { Ring } from '../ring/ring.ts'

export type LineFormat = 'RFC3164' | 'RFC5424'

/** Route bits: one for each file of the configuration. */
export const MAX_FILE_VIEWS = 32

/** Rotation of a view: at `sizeBytes` it becomes `PATH.0`, the older ones move up, `count` of them in all. */
export interface Rotation {
	sizeBytes: number
	count: number
}

export interface View {
	readonly id: number
	/** Below the mount, without a leading slash: `var/log/messages`. */
	path: string
	readonly bit: number
	readonly format: LineFormat
	startSeq: number
	startPosition: number
	startCount: number
	/** Infinity while records may still come. */
	endSeq: number
	endPosition: number
	endCount: number
	/** A rule of the configuration in force writes here. */
	live: boolean
	/** Removed by its owner: not listed until the next record comes. */
	hidden: boolean
	rotation: Rotation | null
	mode: number
	uid: number
	gid: number
	/** Open handles. */
	opens: number
}

/** What a view holds now: from `base` up to `head`, in positions of its bit. */
export interface Extent {
	base: number
	head: number
	records: number
	/** Records of this view that were there at the first count and are not retained any more. */
	baseCount: number
}

const DEFAULT_MODE = 0o640
const ADM_GID = 4

export class ViewTable {
	#ring: Ring
	readonly #sizes: Record<LineFormat, LineSize | null>
	readonly #indexes = new Map<number, ViewIndex>()
	readonly #byId = new Map<number, View>()
	readonly #byPath = new Map<string, View>()
	readonly #pins = new Map<ViewIndex, number>()
	#nextId = 1
	/** Bits of hidden views: an append that touches one must call `reveal`. */
	hiddenBits = 0

	constructor(ring: Ring, sizes: Record<LineFormat, LineSize | null>) {
		this.#ring = ring
		this.#sizes = sizes
		ring.onGuard = () => this.#catchUpPinned()
	}

	/** The views in the tree, hidden ones too. */
	get all(): Iterable<View> {
		return this.#byPath.values()
	}

	byId(id: number): View | undefined {
		return this.#byId.get(id)
	}

	byPath(path: string): View | undefined {
		return this.#byPath.get(path)
	}

	/** The index of a view's bit. */
	index(view: View): ViewIndex {
		let index = this.#indexes.get(view.bit)
		if (index === undefined) {
			index = this.#newIndex(view.bit, view.format, { seq: this.#ring.tailSeq, position: 0, count: 0 })
		}
		return index
	}

	#newIndex(bit: number, format: LineFormat, start: Place): ViewIndex {
		const index = new ViewIndex(this.#ring, bit, this.#sizes[format], start)
		this.#indexes.set(bit, index)
		return index
	}

	/** The live view at a path: the present one when it has this format, else a new, empty one. Undefined: no bit is free. */
	ensure(path: string, format: LineFormat, reservedBit?: number): View | undefined {
		const present = this.#byPath.get(path)
		if (present !== undefined && present.endSeq === Number.POSITIVE_INFINITY) {
			if (present.format === format) return present
			this.drop(present)
		}
		const bit = reservedBit ?? this.#freeBit()
		if (bit === undefined) return undefined
		return this.#add(path, bit, format, reservedBit !== undefined)
	}

	#add(path: string, bit: number, format: LineFormat, fromTail: boolean): View {
		const seq = fromTail ? this.#ring.tailSeq : this.#ring.headSeq
		const index = this.#indexes.get(bit) ?? this.#newIndex(bit, format, { seq, position: 0, count: 0 })
		const start = fromTail ? { seq: 0, position: 0, count: 0 } : index.catchUp()
		const id = this.#nextId++
		const view: View = {
			id,
			path,
			bit,
			format,
			startSeq: start.seq,
			startPosition: start.position,
			startCount: start.count,
			endSeq: Number.POSITIVE_INFINITY,
			endPosition: 0,
			endCount: 0,
			live: false,
			hidden: false,
			rotation: null,
			mode: DEFAULT_MODE,
			uid: 0,
			gid: ADM_GID,
			opens: 0,
		}
		this.#byId.set(id, view)
		this.#byPath.set(path, view)
		return view
	}

	/** A bit no view has; else that of a file no rule writes to any more, which is given up for it. */
	#freeBit(): number | undefined {
		let used = 0
		for (const view of this.#byId.values()) if (view.bit !== ALL_BIT) used |= 1 << view.bit
		for (let bit = 0; bit < MAX_FILE_VIEWS; bit++) {
			if ((used & (1 << bit)) !== 0) continue
			this.#indexes.delete(bit)
			return bit
		}
		for (const view of this.#byId.values()) {
			const shared = [...this.#byId.values()].some(other => other !== view && other.bit === view.bit)
			if (view.bit === ALL_BIT || view.live || view.opens > 0 || shared) continue
			this.drop(view)
			this.#indexes.delete(view.bit)
			return view.bit
		}
		return undefined
	}

	/** What a view holds now. */
	extent(view: View): Extent {
		const index = this.index(view)
		const oldest = index.oldest()
		const base = Math.max(oldest.position, view.startPosition)
		const baseCount = Math.max(oldest.count, view.startCount)
		const frozen = view.endSeq !== Number.POSITIVE_INFINITY
		const scanned = index.catchUp()
		const head = Math.max(base, frozen ? view.endPosition : scanned.position)
		const count = Math.max(baseCount, frozen ? view.endCount : scanned.count)
		return { base, head, records: count - baseCount, baseCount }
	}

	/** Empties a view: its content starts at the next record. */
	clear(view: View): void {
		const here = this.index(view).catchUp()
		if (view.endSeq !== Number.POSITIVE_INFINITY) {
			view.startSeq = view.endSeq
			view.startPosition = view.endPosition
			view.startCount = view.endCount
			return
		}
		view.startSeq = here.seq
		view.startPosition = here.position
		view.startCount = here.count
	}

	/** `rm`: the view is gone; of a live one the next record makes a new, empty file (and inode), as a syslogd would. */
	remove(view: View): void {
		if (view.live) this.#succeed(view, this.#ring.headSeq)
		this.drop(view)
	}

	/** A record came (or its owner created it again): the views with these bits are listed again. */
	reveal(bits: number): void {
		this.hiddenBits &= ~bits
		for (const view of this.#byId.values()) {
			if (view.hidden && view.endSeq === Number.POSITIVE_INFINITY && (bits & (1 << view.bit)) !== 0) view.hidden = false
		}
	}

	/** Takes a view out of the tree. Who has it open reads to its end. */
	drop(view: View): void {
		view.live = false
		if (view.opens === 0) this.#byId.delete(view.id)
		if (this.#byPath.get(view.path) === view) this.#byPath.delete(view.path)
	}

	/**
	 * `mv`: the view keeps its records (and its inode) under the new path. A live one ends at `endSeq` (the head by
	 * default), and a new, hidden view takes over its old path. Answers that view.
	 */
	rename(view: View, path: string, endSeq = this.#ring.headSeq): View | undefined {
		const old = this.#byPath.get(path)
		if (old !== undefined && old !== view) this.drop(old)
		const from = view.path
		this.#byPath.delete(from)
		view.path = path
		this.#byPath.set(path, view)
		return view.live ? this.#succeed(view, endSeq, from) : undefined
	}

	/** Ends a live view, and puts a new, hidden one in its place. */
	#succeed(view: View, endSeq: number, path = view.path): View {
		const end = { ...this.index(view).at(endSeq) }
		view.live = false
		view.endSeq = end.seq
		view.endPosition = end.position
		view.endCount = end.count
		if (path === view.path) this.#byPath.delete(path)
		const next = this.#add(path, view.bit, view.format, false)
		Object.assign(next, { startSeq: end.seq, startPosition: end.position, startCount: end.count })
		Object.assign(next, { live: true, rotation: view.rotation, mode: view.mode, uid: view.uid, gid: view.gid })
		view.rotation = null
		if (end.seq >= this.#ring.headSeq) {
			next.hidden = true
			this.hiddenBits |= 1 << next.bit
		}
		return next
	}

	/** Applies `;rotate=SIZE:COUNT`, exactly at the record that filled the file, however late this is called. */
	rotate(view: View): void {
		const { rotation } = view
		for (let current: View | undefined = view; rotation !== null && current !== undefined; ) {
			const { base, head } = this.extent(current)
			if (head - base < rotation.sizeBytes) return
			const boundary = this.index(current).seek(base + rotation.sizeBytes - 1)
			const { path } = current
			const last = this.#byPath.get(`${path}.${rotation.count - 1}`)
			if (last !== undefined) this.drop(last)
			for (let n = rotation.count - 2; n >= 0; n--) {
				const older = this.#byPath.get(`${path}.${n}`)
				if (older !== undefined) this.rename(older, `${path}.${n + 1}`)
			}
			const next = this.rename(current, `${path}.0`, Math.min(boundary.seq + 1, this.#ring.headSeq))
			if (rotation.count < 1) this.drop(current)
			current = next
		}
	}

	/** While a view is open, no record leaves the ring before its index has counted it. One `unpin` for each. */
	pin(view: View): ViewIndex {
		const index = this.index(view)
		index.catchUp()
		view.opens++
		this.#pins.set(index, (this.#pins.get(index) ?? 0) + 1)
		this.#guard()
		return index
	}

	unpin(view: View): void {
		view.opens--
		if (view.opens === 0 && this.#byPath.get(view.path) !== view) this.#byId.delete(view.id)
		const index = this.index(view)
		const pins = (this.#pins.get(index) ?? 1) - 1
		if (pins > 0) this.#pins.set(index, pins)
		else this.#pins.delete(index)
		this.#guard()
	}

	#catchUpPinned(): void {
		for (const index of this.#pins.keys()) index.catchUp()
		this.#guard()
	}

	#guard(): void {
		let guard = Number.POSITIVE_INFINITY
		for (const index of this.#pins.keys()) guard = Math.min(guard, index.scannedSeq)
		this.#ring.guardSeq = guard
	}

	/** Continues on the ring that took the old one's place. */
	moveTo(ring: Ring): void {
		for (const index of this.#indexes.values()) index.catchUp()
		this.#ring = ring
		for (const index of this.#indexes.values()) index.moveTo(ring)
		ring.onGuard = () => this.#catchUpPinned()
		this.#guard()
	}
}
