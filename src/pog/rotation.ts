/**
 * `;rotate=SIZE:COUNT` of a rule: a view that has grown to SIZE becomes `PATH.0`, the older ones move up, COUNT of them are
 * kept. Source: syslog.conf(5) of sysklogd 2.7.
 *
 * Nothing is done when a record is appended: whoever looks applies what is due. Invariant: however late that is, the cuts are
 * behind the records that filled a file, and the work is bounded by the records that came since.
 */
import type { Place } from '../ring/view-index.ts'
import type { View } from './view.ts'
import type { ViewTable } from './views.ts'

/** Rotates a live view as often as is due. Nothing happens while a rule writes to one of the rotated names. */
export function rotate(views: ViewTable, view: View): void {
	const { rotation, path, index } = view
	if (rotation === null || !view.live) return
	const { base, head } = views.extent(view)
	if (head - base < rotation.sizeBytes) return
	const rotated = Array.from({ length: rotation.count }, (_, n) => `${path}.${n}`)
	if (rotated.some(name => views.byPath(name)?.live)) return
	const cuts = cutsOf(view, base, head, rotation.sizeBytes, rotation.count + 1)
	// What would be rotated out again at once is not rotated at all.
	const [first] = cuts
	if (cuts.length > rotation.count && first !== undefined) {
		views.changes++
		Object.assign(view, { startSeq: first.seq, startPosition: first.position, startCount: first.count })
		cuts.shift()
	}
	let current = view
	for (const cut of cuts) {
		shift(views, rotated)
		// Others fill the table: what there is goes on growing until there is room.
		if (!views.hasRoom) return
		current = views.freeze(current, `${path}.0`, cut)
	}
	index.catchUp()
}

/** The places behind the records that filled a file, the last `most` of them. */
function cutsOf({ index }: View, base: number, head: number, sizeBytes: number, most: number): Place[] {
	const cuts: Place[] = []
	let place: Place | undefined
	for (let start = base; head - start >= sizeBytes; ) {
		place = index.seek(start + sizeBytes - 1, place)
		index.pass(place)
		cuts.push({ ...place })
		if (cuts.length > most) cuts.shift()
		start = place.position
	}
	return cuts
}

/** Moves the rotated files up by one, which frees the first name; the last one goes, and more when the table is full. */
function shift(views: ViewTable, rotated: readonly string[]): void {
	for (let n = rotated.length - 1; n >= 0; n--) {
		const older = views.byPath(rotated[n] ?? '')
		if (older === undefined) continue
		const to = rotated[n + 1]
		if (to === undefined || !views.hasRoom) views.drop(older)
		else views.rename(older, to)
	}
}
