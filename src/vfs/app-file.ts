/**
 * One open app file: reads and writes go to its backing file in the POG's tmpfs. By passthrough the kernel does that
 * itself (6.9 and later); else through the page cache, so that mmap works too.
 */
import { FOPEN_KEEP_CACHE, FOPEN_PASSTHROUGH } from '../fuse/flags.ts'
import type { Connection, ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import type { Backing } from './backing.ts'
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

	drop(ino: number): void {
		const known = this.#byIno.get(ino)
		if (known === undefined || --known.opens > 0) return
		this.#byIno.delete(ino)
		if (known.id > 0) this.#connection.closeBacking(known.id)
	}
}

export class AppFile extends OpenFile {
	readonly openFlags: number
	override readonly backingId: number
	readonly #fd: number
	readonly ino: number
	readonly #backing: Backing
	readonly #ids: BackingIds

	/** Takes over `fd`, the open backing file of inode `ino`. */
	constructor(backing: Backing, ids: BackingIds, fd: number, ino: number) {
		super()
		this.#backing = backing
		this.#ids = ids
		this.#fd = fd
		this.ino = ino
		this.backingId = ids.take(ino, fd)
		this.openFlags = this.backingId > 0 ? FOPEN_PASSTHROUGH : FOPEN_KEEP_CACHE
	}

	/** The open backing file. */
	get fd(): number {
		return this.#fd
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		const { calls, scratch } = this.#backing
		const wanted = Math.min(request.sizeBytes, scratch.bytes.length)
		const bytes = calls.pread(this.#fd, scratch.address, wanted, request.offset)
		if (bytes < 0) return bytes
		reply.add(scratch, 0, bytes)
		return 0
	}

	override write(request: WriteRequest): number {
		const { memory, start, sizeBytes, offset } = request
		return this.#backing.calls.pwrite(this.#fd, memory.address + start, sizeBytes, offset)
	}

	override lseek(offset: number, whence: number): number {
		return this.#backing.calls.lseek(this.#fd, offset, whence)
	}

	override truncate(sizeBytes: number): number {
		return this.#backing.calls.truncate(this.#fd, sizeBytes)
	}

	override allocate(offset: number, length: number, mode: number): number {
		return this.#backing.calls.allocate(this.#fd, mode, offset, length)
	}

	override release(): void {
		this.#ids.drop(this.ino)
		this.#backing.calls.close(this.#fd)
	}
}
