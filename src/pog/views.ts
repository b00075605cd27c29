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
import type { Steps } from '../lib/steps.ts'
import type { Cells } from '../ring/cells.ts'
import { ALL_BIT, type LineSize, type Place, ViewIndex } from '../ring/view-index.ts'
import type { Ring } from '../ring/ring.ts'
import { IndexTurns } from './index-turns.ts'
import {
	end,
	type Extent,
	lastUs,
	type LineFormat,
	routeBit,
	type SavedView,
	type SavedViews,
	start,
	type View,
} from './view.ts'

/** Route bits: one for each file of the configuration. */
export const MAX_FILE_VIEWS = 32

/**
 * Ids of views are reused, the longest unused one first: a kernel may hold a node of a view that is gone. Node ids
 * have room for this many (`vfs/nodes.ts`).
 */
export const MAX_VIEW_ID = 511
/** Views in the tree, rotated ones too: well below the ids there are. */
const DEFAULT_MAX_VIEWS = 256

const DEFAULT_MODE = 0o640
const ADM_GID = 4

export class ViewTable {
	#ring: Ring
	readonly #sizes: Record<LineFormat, LineSize | null>
	readonly #maxViews: number
	/** Views in the tree, and those that are open still. */
	readonly #byId = new Map<number, View>()
	readonly #byPath = new Map<string, View>()
	readonly #pins = new Map<ViewIndex, number>()
	readonly #turns = new IndexTurns()
	#lastId = 0
	/** Bits of hidden views: an append that touches one must call `reveal`. */
	hiddenBits = 0
	/** Counts changes of what `save` writes down. */
	changes = 0
	readonly #cells: Cells | null
	/** Indexes no view uses, whose cells the views as they were saved still name. */
	readonly #unused: ViewIndex[] = []

	/** `cells`: where the places of indexes are kept; nowhere when left out. */
	constructor(
		ring: Ring,
		sizes: Record<LineFormat, LineSize | null>,
		maxViews = DEFAULT_MAX_VIEWS,
		cells: Cells | null = null,
	) {
		this.#ring = ring
		this.#sizes = sizes
		this.#maxViews = maxViews
		this.#cells = cells
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

	/** Everything as plain data. */
	save(): SavedViews {
		const views: SavedView[] = []
		for (const view of this.#byId.values()) {
			const { index, opens: _, endSeq, ...rest } = view
			views.push({
				...rest,
				endSeq: endSeq === Number.POSITIVE_INFINITY ? null : endSeq,
				inTree: this.has(view),
				cell: index.cell?.index ?? -1,
			})
		}
		return { lastId: this.#lastId, views }
	}

	/** The views of an earlier engine. Nothing is open yet: `settle` drops what nobody opens again. */
	restore({ lastId, views }: SavedViews): void {
		const indexes = new Map<number, ViewIndex>()
		for (const { inTree, cell: number, endSeq, ...rest } of views) {
			const cell = this.#cells?.byIndex(number)
			const index =
				indexes.get(number) ??
				(cell === undefined
					? this.#newIndex(rest.bit, rest.format, this.#ring.tailSeq)
					: ViewIndex.restore(this.#ring, rest.bit, this.#sizes[rest.format], cell))
			if (cell !== undefined) indexes.set(number, index)
			const view: View = { ...rest, endSeq: endSeq ?? Number.POSITIVE_INFINITY, index, opens: 0 }
			this.#byId.set(view.id, view)
			if (inTree) this.#byPath.set(view.path, view)
			// The record that made it be seen may have come just before the end.
			if (view.hidden && view.endSeq === Number.POSITIVE_INFINITY && index.cameLately(view.startSeq))
				view.hidden = false
			if (view.hidden) this.hiddenBits |= routeBit(view)
		}
		this.#lastId = lastId
	}

	/** All that was open before is open again: views that are neither in the tree nor open go. */
	settle(): void {
		for (const view of this.#byId.values()) if (view.opens === 0 && !this.has(view)) this.#forget(view)
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
		return new ViewIndex(this.#ring, bit, this.#sizes[format], { ...NOWHERE, seq }, this.#cells?.take() ?? null)
	}

	/** A view is gone, and its index with the last one that used it. */
	#forget(view: View): void {
		this.#byId.delete(view.id)
		// Its cell is another's soon.
		this.#turns.forget()
		const { index } = view
		if (index.cell === null) return
		for (const other of this.#byId.values()) if (other.index === index) return
		this.#unused.push(index)
	}

	/** What `save` wrote down counts now: cells that it does not name any more are free. */
	saved(): void {
		for (const { cell } of this.#unused.splice(0)) if (cell !== null) this.#cells?.give(cell)
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
		this.changes++
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
		this.changes++
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
		this.changes++
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
		this.changes++
		if (view.opens === 0) this.#forget(view)
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
		this.changes++
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
		this.changes++
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
		if (view.opens === 0 && !this.has(view)) this.#forget(view)
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

	/** Also those of views that left the tree and are open. */
	get #indexes(): Set<ViewIndex> {
		return new Set([...this.#byId.values()].map(({ index }) => index))
	}

	/** Has every index see the records that are there, as `moveTo` wants it. */
	*catchUpInSteps(): Steps<void> {
		for (const index of this.#indexes) {
			index.catchUp()
			yield
		}
	}

	/** Called for every record. */
	keepUp(seq: number): void {
		this.#turns.look(seq, () => this.#indexes)
	}

	moveTo(ring: Ring): void {
		for (const index of this.#indexes) {
			index.catchUp()
			index.moveTo(ring)
		}
		this.#ring = ring
		ring.onGuard = () => this.#catchUpPinned()
		this.#guard()
	}
}

const NOWHERE: Readonly<Place> = { seq: 0, position: 0, count: 0 }
