/**
 * The views of a POG: which files show which records.
 *
 * A rule of the configuration writes a route bit into every record it selects; a view is the records with that bit,
 * from `startSeq` (moved by clearing) to `endSeq` (set when `mv` freezes the file under another name). A frozen view and
 * the live one that took its name share the bit.
 *
 * Invariant: at most one view has a path; at most one live view has a bit; positions of an index only grow, so a view's
 * `startPosition` and `endPosition` stay true for ever. A view that left the tree has ended: whoever takes its bit next
 * writes nothing into it.
 */
import { ALL_BIT, type LineSize, type Place, ViewIndex } from '../ring/view-index.ts'
import type { Ring } from '../ring/ring.ts'

export type LineFormat = 'RFC3164' | 'RFC5424'

/** Route bits: one for each file of the configuration. */
export const MAX_FILE_VIEWS = 32

/**
 * Ids of views are reused, the longest unused one first: a kernel may hold a node of a view that is gone. Node ids
 * have room for this many (`vfs/nodes.ts`).
 */
export const MAX_VIEW_ID = 511
/** Views in the tree, rotated ones too: well below the ids there are. */
const DEFAULT_MAX_VIEWS = 256

/** Rotation of a view: at `sizeBytes` it becomes `PATH.0`, the older ones move up, `count` of them are kept. */
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
	/** Shared with the views that had this bit before in this format: those rotated away. */
	readonly index: ViewIndex
	startSeq: number
	startPosition: number
	startCount: number
	/** Infinity while records may still come. */
	endSeq: number
	endPosition: number
	endCount: number
	/** When the newest record was written, of a view that has ended: microseconds of CLOCK_REALTIME. */
	endUs: number
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

/** The route bit of a view in a record's descriptor; none for the view of all records. */
export function routeBit(view: View): number {
	return view.bit === ALL_BIT ? 0 : 1 << view.bit
}

export class ViewTable {
	#ring: Ring
	readonly #sizes: Record<LineFormat, LineSize | null>
	readonly #maxViews: number
	/** Views in the tree, and those that are open still. */
	readonly #byId = new Map<number, View>()
	readonly #byPath = new Map<string, View>()
	readonly #pins = new Map<ViewIndex, number>()
	#lastId = 0
	/** Bits of hidden views: an append that touches one must call `reveal`. */
	hiddenBits = 0

	constructor(ring: Ring, sizes: Record<LineFormat, LineSize | null>, maxViews = DEFAULT_MAX_VIEWS) {
		this.#ring = ring
		this.#sizes = sizes
		this.#maxViews = maxViews
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

	/** Whether another view may come into being. */
	get hasRoom(): boolean {
		return this.#byPath.size < this.#maxViews && this.#byId.size < MAX_VIEW_ID
	}

	/** The view of all records, also of those that were there before it. */
	addAll(path: string): View {
		return this.#add(path, ALL_BIT, 'RFC3164', this.#newIndex(ALL_BIT, 'RFC3164', this.#ring.tailSeq), NOWHERE)
	}

	/**
	 * The view a rule writes to: the present one at this path, else a new, empty one. One of another format keeps its
	 * records, and shows them in this one. Undefined: there is no room for it.
	 */
	ensure(path: string, format: LineFormat): View | undefined {
		const present = this.#byPath.get(path)
		if (present !== undefined) {
			if (present.endSeq === Number.POSITIVE_INFINITY)
				return present.format === format ? present : this.#reformat(present, format)
			// A rotated file has the name of one that is written: there is only one file of a name.
			this.drop(present)
		}
		const bit = this.hasRoom ? this.#freeBit() : undefined
		if (bit === undefined) return undefined
		const index = this.#newIndex(bit, format, this.#ring.headSeq)
		return this.#add(path, bit, format, index, index.catchUp())
	}

	#reformat(view: View, format: LineFormat): View | undefined {
		if (this.#byId.size >= MAX_VIEW_ID) return undefined
		const { path, bit, mode, uid, gid, hidden } = view
		this.drop(view)
		const index = this.#newIndex(bit, format, Math.max(view.startSeq, this.#ring.tailSeq))
		return Object.assign(this.#add(path, bit, format, index, index.oldest()), { mode, uid, gid, hidden })
	}

	#newIndex(bit: number, format: LineFormat, seq: number): ViewIndex {
		return new ViewIndex(this.#ring, bit, this.#sizes[format], { ...NOWHERE, seq })
	}

	#add(path: string, bit: number, format: LineFormat, index: ViewIndex, start: Readonly<Place>): View {
		const view: View = {
			id: this.#freeId(),
			path,
			bit,
			format,
			index,
			startSeq: start.seq,
			startPosition: start.position,
			startCount: start.count,
			endSeq: Number.POSITIVE_INFINITY,
			endPosition: 0,
			endCount: 0,
			endUs: 0,
			live: false,
			hidden: false,
			rotation: null,
			mode: DEFAULT_MODE,
			uid: 0,
			gid: ADM_GID,
			opens: 0,
		}
		this.#byId.set(view.id, view)
		this.#byPath.set(path, view)
		return view
	}

	#freeId(): number {
		do this.#lastId = (this.#lastId % MAX_VIEW_ID) + 1
		while (this.#byId.has(this.#lastId))
		return this.#lastId
	}

	/**
	 * A bit no view in the tree has; else that of the files no rule writes to any more which were silent for longest: they
	 * are given up for it. Whoever has one of them open reads to its end.
	 */
	#freeBit(): number | undefined {
		const holders = new Map<number, View[]>()
		for (const view of this.all) holders.set(view.bit, [...(holders.get(view.bit) ?? []), view])
		let silent: View[] | undefined
		for (let bit = 0; bit < MAX_FILE_VIEWS; bit++) {
			const views = holders.get(bit)
			if (views === undefined) return bit
			if (views.some(view => view.live)) continue
			if (silent === undefined || lastUs(views) < lastUs(silent)) silent = views
		}
		for (const view of silent ?? []) this.drop(view)
		return silent?.[0]?.bit
	}

	/** What a view holds now. */
	extent(view: View): Extent {
		const oldest = view.index.oldest()
		const basePosition = Math.max(oldest.position, view.startPosition)
		const baseCount = Math.max(oldest.count, view.startCount)
		const { position: head, count } = this.end(view)
		const base = Math.min(basePosition, head)
		return { base, head, records: Math.max(0, count - baseCount), baseCount }
	}

	/** The place behind the last record of a view. */
	end(view: View): Readonly<Place> {
		if (view.endSeq === Number.POSITIVE_INFINITY) return view.index.catchUp()
		return { seq: view.endSeq, position: view.endPosition, count: view.endCount }
	}

	/** Empties a view: its content starts at the next record. */
	clear(view: View): void {
		start(view, this.end(view))
	}

	/** `rm`: the view is gone; of a live one the next record makes a new, empty file (and inode), as a syslogd would. */
	remove(view: View): void {
		const { live, path } = view
		// When ids are short, the file stays, emptied.
		if (live && this.#byId.size >= MAX_VIEW_ID) return this.clear(view)
		if (live) this.#byPath.delete(path)
		if (live) this.#succeed(view, path, view.index.catchUp())
		this.drop(view)
	}

	/** A record came (or its owner created it again): the views with these bits are listed again. */
	reveal(bits: number): void {
		this.hiddenBits &= ~bits
		for (const view of this.#byId.values()) {
			if (view.hidden && view.endSeq === Number.POSITIVE_INFINITY && (bits & routeBit(view)) !== 0) view.hidden = false
		}
	}

	/** Takes a view out of the tree. Who has it open reads to its end. */
	drop(view: View): void {
		if (view.endSeq === Number.POSITIVE_INFINITY) end(view, view.index.catchUp())
		view.live = false
		view.rotation = null
		if (view.opens === 0) this.#byId.delete(view.id)
		if (this.#byPath.get(view.path) === view) this.#byPath.delete(view.path)
	}

	/** Whether a view is in the tree, under any name. */
	has(view: View): boolean {
		return this.#byPath.get(view.path) === view
	}

	/**
	 * `mv`: the view keeps its records (and its inode) under the new path. A live one ends, and a new, hidden view takes over
	 * its old path. False: there is no room for that one, or a rule writes to the new path.
	 */
	rename(view: View, path: string): boolean {
		if (view.live && !this.hasRoom) return false
		const old = this.#byPath.get(path)
		if (old === view) return true
		// What a rule writes to stays in the tree as long as the rule does.
		if (old?.live) return false
		if (old !== undefined) this.drop(old)
		if (view.live) this.freeze(view, path, view.index.catchUp())
		else this.#move(view, path)
		return true
	}

	#move(view: View, path: string): void {
		this.#byPath.delete(view.path)
		view.path = path
		this.#byPath.set(path, view)
	}

	/** Ends a live view at a place, under a free path; its successor, which takes its old path, begins there. Needs `hasRoom`. */
	freeze(view: View, path: string, at: Readonly<Place>): View {
		const from = view.path
		this.#move(view, path)
		return this.#succeed(view, from, at)
	}

	/** Ends a live view, and puts a new one in its place: hidden, until it has a record. */
	#succeed(view: View, path: string, at: Readonly<Place>): View {
		const { rotation, mode, uid, gid } = view
		end(view, at)
		view.live = false
		view.rotation = null
		const next = this.#add(path, view.bit, view.format, view.index, at)
		Object.assign(next, { live: true, rotation, mode, uid, gid })
		if (next.startCount === view.index.catchUp().count) {
			next.hidden = true
			this.hiddenBits |= routeBit(next)
		}
		return next
	}

	/** While a view is open, no record leaves the ring before its index has counted it. One `unpin` for each. */
	pin(view: View): ViewIndex {
		const { index } = view
		index.catchUp()
		view.opens++
		this.#pins.set(index, (this.#pins.get(index) ?? 0) + 1)
		this.#guard()
		return index
	}

	unpin(view: View): void {
		view.opens--
		if (view.opens === 0 && !this.has(view)) this.#byId.delete(view.id)
		const { index } = view
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
		// Also those of views that left the tree and are open.
		for (const index of new Set([...this.#byId.values()].map(view => view.index))) {
			index.catchUp()
			index.moveTo(ring)
		}
		this.#ring = ring
		ring.onGuard = () => this.#catchUpPinned()
		this.#guard()
	}
}

const NOWHERE: Readonly<Place> = { seq: 0, position: 0, count: 0 }

function start(view: View, at: Readonly<Place>): void {
	view.startSeq = at.seq
	view.startPosition = at.position
	view.startCount = at.count
}

function end(view: View, at: Readonly<Place>): void {
	view.endSeq = at.seq
	view.endPosition = at.position
	view.endCount = at.count
	view.endUs = view.index.lastUs
}

/** When the newest record of views that share an index was written. */
function lastUs(views: readonly View[]): number {
	return Math.max(...views.map(view => view.index.lastUs))
}
