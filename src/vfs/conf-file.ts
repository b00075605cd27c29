/**
 * `/etc/syslog.conf` of one POG: a draft that every open edits, obeyed when an open that wrote is closed.
 *
 * close(2) waits for the daemon's answer, so the command after `echo ... > /etc/syslog.conf` already logs by the new
 * rules.
 */
import { FOPEN_DIRECT_IO } from '../fuse/flags.ts'
import type { ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import { EFBIG } from '../lib/errno.ts'
import { finish, type Steps } from '../lib/steps.ts'
import type { Pog } from '../pog/pog.ts'
import type { Cell } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile, readFrom } from './open-file.ts'

/** Where a text that is being edited is kept for a later engine, as it grows. */
export interface DraftStore {
	/** What an earlier engine left; null when nobody was editing. */
	read(): Buffer | null
	/** Puts these bytes at an offset. */
	write(offset: number, bytes: Uint8Array): void
	truncate(sizeBytes: number): void
	/** Nobody is editing any more. */
	remove(): void
}

/** For a POG that ends with its process. */
const NO_STORE: DraftStore = { read: () => null, write() {}, truncate() {}, remove() {} }

/** The text all opens see; ahead of the one in force while somebody writes. */
export class ConfDraft {
	readonly #pog: Pog
	/** The beginning of `#room`, or what was put in place of it. */
	#edited: Buffer | null = null
	#room: Buffer = Buffer.alloc(0)
	#inForce = { text: '', bytes: Buffer.alloc(0) }
	mtimeUs: number
	readonly #store: DraftStore
	/** Counts edits. */
	#edition = 0
	/** Carries out what takes long, and answers for it. */
	readonly inSteps: (work: Steps<number>) => number

	constructor(pog: Pog, store = NO_STORE, inSteps: (work: Steps<number>) => number = finish) {
		this.#pog = pog
		this.#store = store
		this.inSteps = inSteps
		this.#edited = store.read()
		this.mtimeUs = pog.clock.realtimeUs(pog.clock.monotonicUs())
	}

	get bytes(): Buffer {
		if (this.#edited !== null) return this.#edited
		const { text } = this.#pog.configured
		if (this.#inForce.text !== text) this.#inForce = { text, bytes: Buffer.from(text, 'latin1') }
		return this.#inForce.bytes
	}

	get sizeBytes(): number {
		return this.#edited?.length ?? this.#pog.configured.text.length
	}

	/** 0, or -EFBIG. A gap is filled with NUL, as in any file. */
	write(offset: number, source: Uint8Array, start: number, end: number): number {
		const size = Math.max(this.sizeBytes, offset + end - start)
		const answer = this.truncate(size)
		if (answer < 0) return answer
		this.#edited?.set(source.subarray(start, end), offset)
		this.#edition++
		this.#store.write(offset, source.subarray(start, end))
		return 0
	}

	/** 0, or -EFBIG. */
	truncate(sizeBytes: number): number {
		if (sizeBytes > this.#pog.limits.confBytes) return -EFBIG
		const { bytes } = this
		if (this.#edited === null) this.#store.write(0, bytes)
		if (this.#edited === null || sizeBytes > this.#room.length) {
			// Twice what is needed: a text that grows by single bytes is copied a few times, not once a byte.
			this.#room = Buffer.alloc(Math.min(2 * sizeBytes, this.#pog.limits.confBytes))
			bytes.copy(this.#room, 0, 0, sizeBytes)
		} else if (sizeBytes > bytes.length) this.#room.fill(0, bytes.length, sizeBytes)
		this.#store.truncate(sizeBytes)
		this.#edit(this.#room.subarray(0, sizeBytes))
		return 0
	}

	#edit(bytes: Buffer): void {
		this.#edited = bytes
		this.#edition++
		this.mtimeUs = this.#pog.clock.realtimeUs(this.#pog.clock.monotonicUs())
	}

	/**
	 * Puts what was written in force: it is read in steps, and counts with the last one. What is written meanwhile stays a draft.
	 * `more`: the current request is not carried out yet with that.
	 */
	*commit(more = false): Steps<void> {
		if (this.#edited === null) return
		const edition = this.#edition
		const text = this.#edited.toString('latin1')
		const { configured } = this.#pog
		if (text !== configured.text || configured.state !== 'own') configured.setReady(yield* configured.prepare(text))
		const current = edition === this.#edition
		if (current) {
			this.#edited = null
			this.#room = Buffer.alloc(0)
		}
		// The draft goes when the text it became is safe.
		this.#pog.flush(more)
		if (current) this.#store.remove()
	}

	/** A whole text at once: a file was renamed onto this one, and is to be removed. */
	replace(bytes: Uint8Array): Steps<void> {
		this.#edit(Buffer.from(bytes))
		return this.commit(true)
	}
}

/** A word of its cell. */
const FLAGS = 2
const WROTE = 1
const TRUNCATED = 2

export class ConfFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO
	readonly kind = CELL_KIND.confFile
	readonly #draft: ConfDraft
	#wrote = false
	#writes = 0
	#truncated = false

	/** `truncated`: the open asked for an empty file. */
	constructor(draft: ConfDraft, truncated: boolean) {
		super()
		this.#draft = draft
		if (truncated) this.#truncated = draft.truncate(0) === 0
	}

	/** One that an earlier engine had open. */
	static restore(draft: ConfDraft, cell: Cell): ConfFile {
		const file = new ConfFile(draft, false)
		const flags = cell.floats[cell.at + FLAGS] ?? 0
		file.cell = cell
		file.#wrote = (flags & WROTE) !== 0
		file.#truncated = (flags & TRUNCATED) !== 0
		return file
	}

	override keep(): void {
		if (this.cell === null) return
		this.cell.floats[this.cell.at + FLAGS] = (this.#wrote ? WROTE : 0) + (this.#truncated ? TRUNCATED : 0)
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		return readFrom(this.#draft.bytes, request, reply)
	}

	override write(request: WriteRequest): number {
		const { memory, start, sizeBytes, offset } = request
		const answer = this.#draft.write(offset, memory.bytes, start, start + sizeBytes)
		if (answer < 0) return answer
		this.#wrote = true
		this.#writes++
		this.keep()
		return sizeBytes
	}

	override truncate(sizeBytes: number): number {
		this.#truncated = true
		this.keep()
		return this.#draft.truncate(sizeBytes)
	}

	/**
	 * A shell that redirects opens with O_TRUNC and closes a duplicate before anything is written: that close must not put
	 * an empty configuration in force.
	 */
	override flush(): number {
		return this.#wrote ? this.#draft.inSteps(this.#commit()) : 0
	}

	*#commit(): Steps<number> {
		const writes = this.#writes
		yield* this.#draft.commit()
		this.#truncated = false
		// Who wrote meanwhile closes it, too.
		this.#wrote = writes !== this.#writes
		this.keep()
		return 0
	}

	/** `: > syslog.conf` means it. */
	override closing(): Steps<void> | null {
		return this.#wrote || this.#truncated ? this.#close() : null
	}

	*#close(): Steps<void> {
		yield* this.#draft.commit()
		this.#wrote = this.#truncated = false
	}

	override release(): void {
		// The connection is gone: what was written counts all the same.
		if (this.#wrote || this.#truncated) finish(this.#draft.commit())
	}
}
