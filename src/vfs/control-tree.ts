/**
 * The host's control file, `RUN/host/ctl`: one line written is one command, the same open description then reads its
 * answer. It lets a shell script (a runtime wrapper, an OCI hook) talk to the service with nothing but `exec 3<>ctl`.
 *
 * Commands are carried out elsewhere and answered later; a read waits for the answer. Invariant: each command is answered
 * once, to the description that wrote it; a description that is closed first forgets it.
 */
import type {
	Attr,
	Connection,
	DirReply,
	Entry,
	HandleId,
	NodeId,
	Opened,
	ReadReply,
	ReadRequest,
	StatFs,
	WriteRequest,
} from '../fuse/filesystem.ts'
import { PENDING } from '../fuse/filesystem.ts'
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import { EBADF, EBUSY, EINVAL, ENOENT, EPERM } from '../lib/errno.ts'
import { Handles } from './handles.ts'
import { SealedTree } from './sealed-tree.ts'

const ROOT = 1
const CTL = 2
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const DT_DIR = 4
const DT_REG = 8
const MAX_LINE_BYTES = 16 * 1024
const VALID_MS = 3_600_000

/** Carries out a command line; the answer line follows through `ControlTree.answer` with this number. */
export type OnCommand = (command: number, line: string) => void

interface Open {
	/** The command whose answer is awaited; 0 for none. */
	command: number
	answer: Uint8Array
	/** A read that waits for the answer. */
	request: number
	sizeBytes: number
}

export class ControlTree extends SealedTree {
	readonly #onCommand: OnCommand
	readonly #open = new Handles<Open>()
	#connection!: Connection
	#lastCommand = 0

	constructor(onCommand: OnCommand) {
		super()
		this.#onCommand = onCommand
	}

	attach(connection: Connection): void {
		this.#connection = connection
	}

	/** The answer to a command, without its newline. */
	answer(command: number, line: string): void {
		for (const open of this.#open) {
			if (open.command !== command) continue
			open.command = 0
			open.answer = Buffer.from(`${line}\n`)
			if (open.request === 0) return
			const { request, sizeBytes } = open
			open.request = 0
			this.#connection.finishRead(request, sizeBytes, reply => this.#give(open, sizeBytes, reply))
			return
		}
	}

	#give(open: Open, sizeBytes: number, reply: ReadReply): number {
		const bytes = Math.min(sizeBytes, open.answer.length)
		reply.addBytes(open.answer, 0, bytes)
		open.answer = open.answer.subarray(bytes)
		return 0
	}

	lookup(parent: NodeId, name: string, entry: Entry): number {
		if (parent !== ROOT || name !== 'ctl') return -ENOENT
		entry.node = CTL
		entry.generation = 0
		entry.entryValidMs = VALID_MS
		entry.attrValidMs = VALID_MS
		return this.getattr(CTL, -1, entry.attr)
	}

	getattr(node: NodeId, _handle: HandleId, attr: Attr): number {
		attr.ino = node
		attr.size = attr.blocks = attr.rdev = attr.uid = attr.gid = 0
		attr.atimeUs = attr.mtimeUs = attr.ctimeUs = 0
		attr.mode = node === ROOT ? S_IFDIR | 0o500 : S_IFREG | 0o600
		attr.nlink = node === ROOT ? 2 : 1
		attr.blksize = 4096
		return 0
	}

	/** `> ctl` truncates; that means nothing here. */
	setattr(node: NodeId, _change: unknown, attr: Attr): number {
		return this.getattr(node, -1, attr)
	}

	open(node: NodeId, _flags: number, opened: Opened): number {
		if (node !== CTL) return -EPERM
		opened.handle = this.#open.add({ command: 0, answer: new Uint8Array(0), request: 0, sizeBytes: 0 })
		opened.openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
		opened.backingId = 0
		return 0
	}

	write(request: WriteRequest): number {
		const open = this.#open.get(request.handle)
		if (open === undefined) return -EBADF
		// One command at a time: its answer would otherwise be taken for that of the next.
		if (open.command !== 0) return -EBUSY
		const { memory, start, sizeBytes } = request
		const line = Buffer.from(memory.bytes.subarray(start, start + sizeBytes))
			.toString('utf8')
			.replace(/\n$/, '')
		if (sizeBytes > MAX_LINE_BYTES || line.includes('\n')) return -EINVAL
		open.command = ++this.#lastCommand
		open.answer = new Uint8Array(0)
		this.#onCommand(open.command, line)
		return sizeBytes
	}

	read(request: ReadRequest, reply: ReadReply): number {
		const open = this.#open.get(request.handle)
		if (open === undefined) return -EBADF
		if (open.command === 0) return this.#give(open, request.sizeBytes, reply)
		if (open.request !== 0) return -EBUSY
		open.request = request.request
		open.sizeBytes = request.sizeBytes
		return PENDING
	}

	interrupted(request: number): void {
		for (const open of this.#open) if (open.request === request) open.request = 0
	}

	release(_node: NodeId, handle: HandleId): void {
		this.#open.remove(handle)
	}

	opendir(node: NodeId, opened: Opened): number {
		if (node !== ROOT) return -EINVAL
		opened.handle = opened.openFlags = opened.backingId = 0
		return 0
	}

	readdir(_node: NodeId, _handle: HandleId, offset: number, reply: DirReply): number {
		const entries: [string, number, number][] = [
			['.', ROOT, DT_DIR],
			['..', ROOT, DT_DIR],
			['ctl', CTL, DT_REG],
		]
		for (const [at, [name, ino, type]] of entries.entries()) {
			if (at >= offset && !reply.add(name, ino, type, at + 1)) break
		}
		return 0
	}

	statfs(_node: NodeId, out: StatFs): number {
		Object.assign(out, { blocks: 0, bfree: 0, bavail: 0, files: 1, ffree: 0, bsize: 4096, namelen: 255 })
		return 0
	}
}
