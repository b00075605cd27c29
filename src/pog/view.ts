/** One view of a POG's ring: what is known of it, and what it is to begin and to end. */
import { ALL_BIT, type Place, type ViewIndex } from '../ring/view-index.ts'

export type LineFormat = 'RFC3164' | 'RFC5424'

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

/** The views as they are written down for a later engine: what the ring and its cells do not say. */
export interface SavedViews {
	lastId: number
	views: SavedView[]
}

/** Infinity is null. `cell`: where its index is kept; -1: nowhere. */
export type SavedView = Omit<View, 'index' | 'endSeq' | 'opens'> & {
	endSeq: number | null
	inTree: boolean
	cell: number
}

/** What a view holds now: from `base` up to `head`, in positions of its bit. */
export interface Extent {
	base: number
	head: number
	records: number
	/** Records of this view that were there at the first count and are not retained any more. */
	baseCount: number
}

/** The route bit of a view in a record's descriptor; none for the view of all records. */
export function routeBit(view: View): number {
	return view.bit === ALL_BIT ? 0 : 1 << view.bit
}

export function start(view: View, at: Readonly<Place>): void {
	view.startSeq = at.seq
	view.startPosition = at.position
	view.startCount = at.count
}

export function end(view: View, at: Readonly<Place>): void {
	view.endSeq = at.seq
	view.endPosition = at.position
	view.endCount = at.count
	view.endUs = view.index.lastUs
}

/** When the newest record of views that share an index was written. */
export function lastUs(views: readonly View[]): number {
	return Math.max(...views.map(view => view.index.lastUs))
}
