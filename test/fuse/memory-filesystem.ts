/**
 * A tiny tree in memory, to exercise the transport: a plain file, a record device, and files that misbehave.
 *
 * `plain` keeps what is written; `device` gives one write back per read and blocks without one; `null` takes anything;
 * `big` is 256 MiB of the letter a; `throws` throws in read; `many/` has 2,000 names.
 */
import { EAGAIN, EEXIST, EINVAL, ENOENT, ENOSYS, ENOTDIR, EOPNOTSUPP, EROFS } from '../../src/lib/errno.ts'
import type { Memory } from '../../src/lib/memory.ts'
import {
	type Attr,
	type Connection,
	type DirReply,
	type Entry,
	type Filesystem,
	type Opened,
	PENDING,
	type ReadReply,
	type ReadRequest,
	type StatFs,
	type WriteRequest,
} from '../../src/fuse/filesystem.ts'
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH, FOPEN_PARALLEL_DIRECT_WRITES } from '../../src/fuse/flags.ts'
import { allocate } from '../../src/sys/memory.ts'

const MIB = 1024 * 1024
const BIG_BYTES = 256 * MIB
const MANY = 2000
const O_NONBLOCK = 0o4000
const POLLIN = 0x41
const SEEK_DATA = 3

const ROOT = 1
const NODES = new Map([
	['plain', 2],
	['device', 3],
	['null', 4],
	['big', 5],
	['throws', 6],
	['many', 7],
])
const DIRECTORIES = new Set([ROOT, 7])
const FIRST_OF_MANY = 1000

export class MemoryFilesystem implements Filesystem {
	readonly calls: string[] = []
	#connection: Connection | undefined
	readonly #plain: Memory = allocate(2 * MIB)
	readonly #letters: Memory = allocate(MIB)
	#plainBytes = 0
	readonly #records: Uint8Array[] = []
	readonly #readers: ReadRequest[] = []
	readonly #pollers = new Map<number, number>()
	#nextHandle = 1

	constructor() {
		this.#letters.bytes.fill(0x61)
	}

	attach(connection: Connection): void {
		this.#connection = connection
	}
	lookup(parent: number, name: string, entry: Entry): number {
		const node = this.#find(parent, name)
		if (node === undefined) return -ENOENT
		entry.node = node
		entry.generation = 0
		entry.entryValidMs = 0
		entry.attrValidMs = 0
		return this.getattr(node, -1, entry.attr)
	}
	forget(): void {}
	getattr(node: number, _handle: number, attr: Attr): number {
		attr.ino = node
		attr.size = node === 2 ? this.#plainBytes : node === 5 ? BIG_BYTES : 0
		attr.blocks = Math.ceil(attr.size / 512)
		attr.atimeUs = attr.mtimeUs = attr.ctimeUs = 1_700_000_000_123_456
		attr.mode = DIRECTORIES.has(node) ? 0o40755 : 0o100666
		attr.nlink = 1
		attr.uid = attr.gid = attr.rdev = 0
		attr.blksize = 4096
		return 0
	}
	setattr(node: number, change: { valid: number; size: number }, attr: Attr): number {
		if (node === 2 && change.valid & 8) this.#plainBytes = change.size
		return this.getattr(node, -1, attr)
	}
	readlink(): number {
		return -EINVAL
	}
	symlink(): number {
		return -EROFS
	}
	mknod(): number {
		return -EROFS
	}
	mkdir(): number {
		return -EROFS
	}
	unlink(): number {
		return -EROFS
	}
	rmdir(): number {
		return -EROFS
	}
	rename(): number {
		return -EROFS
	}
	link(): number {
		return -EROFS
	}
	open(node: number, flags: number, opened: Opened): number {
		if (node === 2 && flags & 0o1000) this.#plainBytes = 0
		opened.handle = this.#nextHandle++
		opened.openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH | FOPEN_PARALLEL_DIRECT_WRITES
		return 0
	}
	create(parent: number, name: string): number {
		return this.#find(parent, name) === undefined ? -EROFS : -EEXIST
	}
	read(request: ReadRequest, reply: ReadReply): number {
		const { node, offset, sizeBytes } = request
		if (node === 2) reply.add(this.#plain, offset, Math.max(0, Math.min(sizeBytes, this.#plainBytes - offset)))
		else if (node === 3) return this.#readDevice(request, reply)
		else if (node === 4) reply.add(this.#letters, 0, Math.min(sizeBytes, 200))
		else if (node === 5) reply.add(this.#letters, 0, Math.min(sizeBytes, BIG_BYTES - offset))
		else if (node === 6) throw new Error('thrown on purpose')
		return 0
	}
	write(request: WriteRequest): number {
		const { node, memory, start, sizeBytes } = request
		if (node === 4) return sizeBytes
		const data = memory.bytes.slice(start, start + sizeBytes)
		if (node === 2) {
			this.#plain.bytes.set(data, request.offset)
			this.#plainBytes = Math.max(this.#plainBytes, request.offset + sizeBytes)
		} else if (node === 3) this.#append(data)
		return sizeBytes
	}
	flush(): number {
		return 0
	}
	fsync(): number {
		return -EINVAL
	}
	release(_node: number, handle: number): number {
		this.#pollers.delete(handle)
		return 0
	}
	opendir(node: number, opened: Opened): number {
		if (!DIRECTORIES.has(node)) return -ENOTDIR
		opened.handle = 0
		return 0
	}
	readdir(node: number, _handle: number, offset: number, reply: DirReply): number {
		const names = node === ROOT ? [...NODES.keys()] : Array.from({ length: MANY }, (_, i) => `entry-${i}`)
		for (let i = offset; i < names.length; i++) {
			const ino = node === ROOT ? (NODES.get(names[i] ?? '') ?? 0) : FIRST_OF_MANY + i
			if (!reply.add(names[i] ?? '', ino, DIRECTORIES.has(ino) ? 4 : 8, i + 1)) break
		}
		return 0
	}
	releasedir(): void {}
	statfs(_node: number, out: StatFs): number {
		Object.assign(out, { blocks: 1024, bfree: 512, bavail: 512, files: 10, ffree: 5, bsize: 4096, namelen: 255 })
		return 0
	}
	lseek(_node: number, _handle: number, offset: number, whence: number): number {
		return whence === SEEK_DATA ? offset + 8192 : -EINVAL
	}
	poll(node: number, handle: number, kernelHandle: number, schedule: boolean): number {
		if (node !== 3) return -ENOSYS
		if (schedule) this.#pollers.set(handle, kernelHandle)
		return this.#records.length > 0 ? POLLIN : 0
	}
	fallocate(): number {
		return -EOPNOTSUPP
	}
	interrupted(request: number): void {
		const at = this.#readers.findIndex(reader => reader.request === request)
		if (at >= 0) this.#readers.splice(at, 1)
	}
	destroy(): void {
		this.calls.push('destroy')
	}

	#find(parent: number, name: string): number | undefined {
		if (parent === ROOT) return NODES.get(name)
		const index = /^entry-(\d+)$/.exec(name)?.[1]
		return index !== undefined && Number(index) < MANY ? FIRST_OF_MANY + Number(index) : undefined
	}
	#readDevice(request: ReadRequest, reply: ReadReply): number {
		const record = this.#records.shift()
		if (record !== undefined) reply.addBytes(record, 0, record.byteLength)
		else if (request.flags & O_NONBLOCK) return -EAGAIN
		else {
			this.#readers.push({ ...request })
			return PENDING
		}
		return 0
	}
	#append(record: Uint8Array): void {
		const reader = this.#readers.shift()
		if (reader === undefined) this.#records.push(record)
		else {
			this.#connection?.finishRead(reader.request, reader.sizeBytes, reply => {
				reply.addBytes(record, 0, record.byteLength)
				return 0
			})
		}
		for (const kernelHandle of this.#pollers.values()) this.#connection?.notifyPoll(kernelHandle)
	}
}
