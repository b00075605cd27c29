/**
 * One open app file: reads and writes go to its backing file in the POG's tmpfs. By passthrough the kernel does that
 * itself (6.9 and later); else through the page cache, so that mmap works too.
 */
import { FOPEN_KEEP_CACHE, FOPEN_PASSTHROUGH } from '../fuse/flags.ts'
import type { Connection, ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import type { Backing } from './backing.ts'
import { type Cell, noteOf } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile } from './open-file.ts'

/**
 * Backing files registered with the connection, one an inode: the kernel refuses a second one for an inode that is
 * open, and refuses to mix passthrough with cached opens.
 */
export class BackingIds {
	readonly #connection: Connection
	readonly #byIno = new Map<number, { id: number; opens: number }>()

	constructor(connection: Connection) {
		this.#connection = connection
	}

	/** The id for one more open of an inode; 0: this inode is served without passthrough. One `drop` for each. */
	take(ino: number, fd: number): number {
		const known = this.#byIno.get(ino)
		if (known !== undefined) {
			known.opens++
			return known.id
		}
		const id = this.#connection.features.passthrough ? Math.max(0, this.#connection.openBacking(fd)) : 0
		this.#byIno.set(ino, { id, opens: 1 })
		return id
	}

	/** The same for an inode that an earlier engine registered under this id; the connection knows it still. */
	restore(ino: number, id: number): void {
		const known = this.#byIno.get(ino)
		if (known === undefined) this.#byIno.set(ino, { id, opens: 1 })
		else known.opens++
	}

	drop(ino: number): void {
		const known = this.#byIno.get(ino)
		if (known === undefined || --known.opens > 0) return
		this.#byIno.delete(ino)
		if (known.id > 0) this.#connection.closeBacking(known.id)
	}
}

/** Words of its cell; with its kind, whether it was opened for writing. */
const KEPT = { ino: 2, backingId: 3 } as const

/** What an open app file needs of all of them. */
export interface AppFileHome {
	readonly backing: Backing
	readonly ids: BackingIds
	/** Opens an inode's file again, wherever it is now; a negative errno when it is nowhere. */
	reopen(ino: number, writable: boolean): number
	/** The last handle of this inode may be closed. */
	closed(ino: number): void
}

export class AppFile extends OpenFile {
	readonly openFlags: number
	readonly kind = CELL_KIND.appFile
	override readonly backingId: number
	#fd: number
	readonly ino: number
	readonly #writable: boolean
	readonly #home: AppFileHome
	readonly #backing: Backing

	/** Takes over `fd`, the open backing file of inode `ino`. */
	constructor(home: AppFileHome, fd: number, ino: number, writable: boolean, backingId = home.ids.take(ino, fd)) {
		super()
		this.#home = home
		this.#backing = home.backing
		this.#fd = fd
		this.ino = ino
		this.#writable = writable
		this.backingId = backingId
		this.openFlags = this.backingId > 0 ? FOPEN_PASSTHROUGH : FOPEN_KEEP_CACHE
	}

	/** One that an earlier engine had open: by passthrough the kernel has the file, and we may never need it. */
	static restore(home: AppFileHome, cell: Cell): AppFile {
		const { floats, at } = cell
		const ino = floats[at + KEPT.ino] ?? 0
		const backingId = floats[at + KEPT.backingId] ?? 0
		home.ids.restore(ino, backingId)
		const file = new AppFile(home, -1, ino, noteOf(cell) === 1, backingId)
		file.cell = cell
		return file
	}

	override note(): number {
		return this.#writable ? 1 : 0
	}

	override keep(): void {
		if (this.cell === null) return
		this.cell.floats[this.cell.at + KEPT.ino] = this.ino
		this.cell.floats[this.cell.at + KEPT.backingId] = this.backingId
	}

	/** The open backing file, or a negative errno, with which every call fails. */
	get fd(): number {
		if (this.#fd < 0) this.#fd = this.#home.reopen(this.ino, this.#writable)
		return this.#fd
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		const { calls, scratch } = this.#backing
		const wanted = Math.min(request.sizeBytes, scratch.bytes.length)
		const bytes = calls.pread(this.fd, scratch.address, wanted, request.offset)
		if (bytes < 0) return bytes
		reply.add(scratch, 0, bytes)
		return 0
	}

	override write(request: WriteRequest): number {
		const { memory, start, sizeBytes, offset } = request
		return this.#backing.calls.pwrite(this.fd, memory.address + start, sizeBytes, offset)
	}

	override lseek(offset: number, whence: number): number {
		return this.#backing.calls.lseek(this.#fd, offset, whence)
	}

	override truncate(sizeBytes: number): number {
		return this.#backing.calls.truncate(this.fd, sizeBytes)
	}

	override allocate(offset: number, length: number, mode: number): number {
		return this.#backing.calls.allocate(this.fd, mode, offset, length)
	}

	override release(): void {
		this.#home.ids.drop(this.ino)
		if (this.#fd >= 0) this.#backing.calls.close(this.#fd)
		this.#home.closed(this.ino)
	}
}
