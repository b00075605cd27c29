/**
 * One open view of the ring, read as a regular file.
 *
 * The node says where the file begins (`base`, a position of the view's bit); offset 0 is that byte. Sequential reads
 * follow the ring at O(bytes). A reader whose place was overwritten goes on at the oldest record, behind one line that
 * says how many were lost; from then on its offsets and the positions differ by `#shift`.
 *
 * Invariants: a line is delivered whole or not at all (what is left of a line that a read cut is kept by the handle); bytes
 * delivered plus bytes skipped equal the distance travelled, and a note is never longer than what it stands for, so that no
 * offset lies behind the end of the file as stat(2) tells it; while a handle is open its view is pinned, so that every record
 * that leaves unread is counted.
 */
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import type { ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import { EBADF, EINVAL, ENXIO, EPERM } from '../lib/errno.ts'
import type { Pog, Sender } from '../pog/pog.ts'
import type { View } from '../pog/view.ts'
import type { Place, ViewIndex } from '../ring/view-index.ts'
import { type Cell, noteOf } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile } from './open-file.ts'

const O_ACCMODE = 3
const O_RDONLY = 0
const SEEK_DATA = 3
const SEEK_HOLE = 4
const O_RDWR = 2
/** One read stops then, if it has something: reads of direct I/O may be short (read(2)). */
const RECORDS_AT_ONCE = 16_384
const RENDERED_AT_ONCE = 32 * 1024
/** Records of other views that are passed one by one. */
const OTHERS_IN_A_ROW = 2048

/** Words of its cell; with its kind, the view's id above two flags. */
const KEPT = { origin: 2, baseCount: 3, shift: 4, position: 5, expect: 6, count: 7 } as const
const WRITABLE = 1
const ENDED = 2
const FLAGS_STEP = 4

export class ViewFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
	readonly kind = CELL_KIND.viewFile
	readonly #pog: Pog
	readonly #view: View
	readonly #index: ViewIndex
	readonly #base: number
	readonly #writable: boolean
	/** The file was rotated away before it was opened: no record can be added. (One opened before writes on, to its successor.) */
	#ended: boolean
	/** Records of the view before the file's first byte. */
	#baseCount: number
	/** Where offset 0 is now: moved when the view is cleared. */
	#origin: number
	#shift = 0
	#position = 0
	/** The offset the next sequential read carries, and the record its position lies in. */
	#expect = 0
	#cursor: Place
	/** Records passed in this read, and those without bytes here that came last. */
	#records = 0
	#others = 0
	/** Bytes that come before the ring's own: the rest of a line, or a note about lost records. */
	#ahead: Uint8Array | null = null

	/** `baseCount`: records of the view before `base`, when somebody still knows. */
	constructor(pog: Pog, view: View, base: number, flags: number, baseCount?: number) {
		super()
		this.#pog = pog
		this.#view = view
		this.#base = base
		this.#writable = (flags & O_ACCMODE) !== O_RDONLY
		this.#ended = view.endSeq !== Number.POSITIVE_INFINITY
		this.#index = pog.views.pin(view)
		this.#origin = Math.max(base, view.startPosition)
		const oldest = this.#index.oldest()
		this.#baseCount = baseCount ?? Math.max(oldest.count, view.startCount)
		this.#cursor = { ...oldest }
		this.#moveTo(this.#origin)
	}

	/** The id of the view that a cell is about. */
	static viewIdOf(cell: Cell): number {
		return Math.floor(noteOf(cell) / FLAGS_STEP)
	}

	/** One that an earlier engine had open. */
	static restore(pog: Pog, view: View, cell: Cell): ViewFile {
		const { floats, at } = cell
		const flags = noteOf(cell) % FLAGS_STEP
		// The origin was never before the base, and every later beginning of the view is behind both.
		const base = floats[at + KEPT.origin] ?? 0
		const file = new ViewFile(
			pog,
			view,
			base,
			(flags & WRITABLE) === 0 ? O_RDONLY : O_RDWR,
			floats[at + KEPT.baseCount],
		)
		file.#ended = (flags & ENDED) !== 0
		file.cell = cell
		file.load()
		return file
	}

	override note(): number {
		return this.#view.id * FLAGS_STEP + (this.#writable ? WRITABLE : 0) + (this.#ended ? ENDED : 0)
	}

	override keep(): void {
		if (this.cell === null) return
		const { floats, at } = this.cell
		floats[at + KEPT.origin] = this.#origin
		floats[at + KEPT.baseCount] = this.#baseCount
		floats[at + KEPT.shift] = this.#shift
		floats[at + KEPT.position] = this.#position
		floats[at + KEPT.expect] = this.#expect
		floats[at + KEPT.count] = this.#cursor.count
	}

	override load(): void {
		if (this.cell === null) return
		const { floats, at } = this.cell
		this.#origin = floats[at + KEPT.origin] ?? 0
		this.#baseCount = floats[at + KEPT.baseCount] ?? 0
		this.#shift = floats[at + KEPT.shift] ?? 0
		this.#expect = floats[at + KEPT.expect] ?? 0
		this.#ahead = null
		// The rest of a line that a read cut is read again: the place is in the middle of it.
		const place = Math.min(floats[at + KEPT.position] ?? 0, this.#origin + this.#expect + this.#shift)
		this.#position = place
		this.#cursor = this.#index.seek(place)
		if (this.#cursor.position > place) this.#cursor.count = Math.min(this.#cursor.count, floats[at + KEPT.count] ?? 0)
	}

	/** The offset that the end of the view has for this handle. */
	override seekEnd(): number {
		return Math.max(0, this.#pog.views.extent(this.#view).head - this.#origin - this.#shift)
	}

	/** A file without holes (lseek(2)): all of it is data, and its end counts as one. */
	override lseek(offset: number, whence: number): number {
		if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return -EINVAL
		const end = this.seekEnd()
		if (offset < 0 || offset >= end) return -ENXIO
		return whence === SEEK_DATA ? offset : end
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		if (request.offset + request.sizeBytes > this.seekEnd()) this.#pog.onLook()
		if (this.cell !== null) this.#pog.journal.reading(request.request, this.cell)
		const origin = Math.max(this.#base, this.#view.startPosition)
		if (origin !== this.#origin || request.offset !== this.#expect) {
			if (origin !== this.#origin) this.#shift = 0
			this.#origin = origin
			this.#expect = request.offset
			this.#ahead = null
			this.#moveTo(origin + request.offset + this.#shift)
		}
		this.#records = 0
		this.#expect += this.#deliver(request.sizeBytes, reply)
		this.keep()
		return 0
	}

	#moveTo(position: number): void {
		this.#position = position
		this.#cursor = this.#index.seek(position)
		if (this.#cursor.position > position) this.#cursor.count = Math.min(this.#cursor.count, this.#baseCount)
	}

	/** Fills the reply from the handle's place; the number of bytes. */
	#deliver(sizeBytes: number, reply: ReadReply): number {
		let room = sizeBytes
		const { head } = this.#pog.views.extent(this.#view)
		while (this.#ahead !== null || !this.#retained(head)) {
			// A loss that cannot be told yet: no line fits where those bytes were, until more come.
			if (this.#ahead === null && !this.#noteLosses()) return sizeBytes - room
			room -= this.#deliverAhead(room, reply)
			if (room === 0) return sizeBytes
		}
		// Other views' records may have gone by since: their slots are others' now.
		if (this.#cursor.seq < this.#pog.ring.tailSeq) this.#cursor = this.#index.seek(this.#position)
		const stored = this.#view.format === 'RFC3164'
		return (
			sizeBytes - room + (stored ? this.#deliverStored(room, head, reply) : this.#deliverRendered(room, head, reply))
		)
	}

	/** Whether the bytes at the handle's place are there, or still to come. */
	#retained(head: number): boolean {
		return this.#position >= head || this.#position >= this.#index.oldest().position
	}

	#deliverAhead(room: number, reply: ReadReply): number {
		const ahead = this.#ahead
		if (ahead === null) return 0
		const bytes = Math.min(room, ahead.length)
		reply.addBytes(ahead, 0, bytes)
		this.#ahead = bytes < ahead.length ? ahead.subarray(bytes) : null
		return bytes
	}

	/**
	 * Records from the place on were overwritten unread: goes on behind them, with a line that counts them. False when no
	 * such line fits into the gap: the file must not seem to shrink.
	 */
	#noteLosses(): boolean {
		const { ring, views } = this.#pog
		const from = this.#cursor
		const oldest = this.#index.oldest()
		const end = views.end(this.#view)
		// What was left of a line that a read cut is in `#ahead`, so the place is between two records.
		const next = { ...(oldest.seq < end.seq ? oldest : end) }
		for (;;) {
			const lost = next.count - Math.max(from.count, this.#view.startCount)
			const gap = next.position - this.#position
			const note = this.#pog.lossNote(lost, gap)
			if (note !== undefined) {
				this.#shift += gap - note.length
				this.#position = next.position
				this.#cursor = next
				this.#ahead = note
				return true
			}
			if (next.seq >= end.seq) return false
			next.position += this.#index.sizeOf(ring, next.seq)
			if (this.#index.has(ring, next.seq)) next.count++
			next.seq++
		}
	}

	/** Stored lines, straight from the ring: neighbours in the text become one span. */
	#deliverStored(room: number, head: number, reply: ReadReply): number {
		const { ring } = this.#pog
		const index = this.#index
		const cursor = this.#cursor
		let delivered = 0
		let runStart = 0
		let runEnd = 0
		while (delivered < room && this.#position < head && cursor.seq < index.scannedSeq) {
			if (delivered > 0 && this.#records > RECORDS_AT_ONCE) break
			const bytes = index.sizeOf(ring, cursor.seq)
			if (bytes === 0) {
				this.#passOther(index.has(ring, cursor.seq))
				continue
			}
			const skip = this.#position - cursor.position
			if (skip >= bytes) {
				this.#pass(bytes, true)
				continue
			}
			const take = Math.min(bytes - skip, room - delivered)
			const start = ring.position(cursor.seq) + skip
			if (start !== runEnd || runEnd - runStart + take > ring.textBytes) {
				if (runEnd > runStart) reply.add(ring.memory.text, ring.offset(runStart), runEnd - runStart)
				runStart = start
			}
			runEnd = start + take
			delivered += take
			if (take < bytes - skip) this.#keep(ring.text, ring.offset(runEnd), bytes - skip - take)
			this.#position += bytes - skip
			this.#pass(bytes, true)
		}
		if (runEnd > runStart) reply.add(ring.memory.text, ring.offset(runStart), runEnd - runStart)
		return delivered
	}

	/** Lines of another format, rendered as they are read. */
	#deliverRendered(room: number, head: number, reply: ReadReply): number {
		const { ring, rfc5424 } = this.#pog
		const index = this.#index
		const cursor = this.#cursor
		let delivered = 0
		while (delivered < room && this.#position < head && cursor.seq < index.scannedSeq) {
			if (delivered > RENDERED_AT_ONCE) break
			if (!index.has(ring, cursor.seq)) {
				this.#passOther(false)
				continue
			}
			const line = rfc5424.render(ring, cursor.seq)
			const skip = this.#position - cursor.position
			if (skip >= line.length) {
				this.#pass(line.length, true)
				continue
			}
			const take = Math.min(line.length - skip, room - delivered)
			reply.addBytes(line, skip, skip + take)
			delivered += take
			if (take < line.length - skip) this.#keep(line, skip + take, line.length - skip - take)
			this.#position += line.length - skip
			this.#pass(line.length, true)
		}
		return delivered
	}

	/** A record without bytes here: after some of them in a row the index knows a shorter way. */
	#passOther(counted: boolean): void {
		this.#pass(0, counted)
		if (++this.#others < OTHERS_IN_A_ROW) return
		this.#others = 0
		Object.assign(this.#cursor, this.#index.seek(this.#position))
	}

	#pass(bytes: number, counted: boolean): void {
		this.#records++
		if (bytes > 0) this.#others = 0
		this.#cursor.position += bytes
		if (counted) this.#cursor.count++
		this.#cursor.seq++
	}

	/** The rest of a line that this read cuts: the ring may have lost it when the next read comes. */
	#keep(bytes: Uint8Array, start: number, size: number): void {
		this.#ahead = bytes.slice(start, start + size)
	}

	override write(request: WriteRequest, sender: Sender): number {
		if (!this.#writable) return -EBADF
		const { memory, start, sizeBytes } = request
		// As in a file that was removed: its bit may be another file's by now.
		if (!this.#pog.views.has(this.#view)) this.#pog.ledger.drop('unrouted')
		else if (this.#ended) return -EPERM
		else this.#pog.appendRaw(this.#view, memory.bytes, start, start + sizeBytes, sender)
		return sizeBytes
	}

	override truncate(sizeBytes: number): number {
		if (sizeBytes === 0) this.#pog.views.clear(this.#view)
		return 0
	}

	override release(): void {
		this.#pog.views.unpin(this.#view)
	}
}
