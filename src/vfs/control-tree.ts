/**
 * The host's control file, `RUN/host/ctl`: one line written is one command, the same open description then reads its
 * answer. It lets a shell script (a runtime wrapper, an OCI hook) talk to the service with nothing but `exec 3<>ctl`.
 *
 * And `RUN/host/start/NAME`, a link to the socket that takes seccomp listeners, for every name of a POG: a runtime that is about
 * to connect there reads the link first, and so waits until the container has its log. That is a command like the others,
 * `meet`, and it costs no process.
 *
 * Commands are carried out elsewhere and answered later; a read waits for the answer. Invariant: each command is answered
 * once, to the description that wrote it or the reader of the link; a description that is gone first is forgotten.
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
	Caller,
	ReadRequest,
	RequestId,
	StatFs,
	WriteRequest,
} from '../fuse/filesystem.ts'
import { PENDING } from '../fuse/filesystem.ts'
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import { EBADF, EBUSY, ECANCELED, EINVAL, ENOENT, EPERM, ESTALE } from '../lib/errno.ts'
import { Handles } from './handles.ts'
import { SealedTree } from './sealed-tree.ts'

const ROOT = 1
const CTL = 2
const START = 3
const FIRST_LINK = 16
const LINK_NAME = /^[A-Za-z0-9._-]{1,64}$/
/** From `RUN/host/start`, so that it leads to the same run directory whatever that is called. */
const LINK_TARGET = Buffer.from('../../seccomp.sock')
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
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
	/** Links that the kernel knows, and their numbers. */
	readonly #links = new Map<NodeId, { readonly name: string; lookups: number }>()
	readonly #linkNodes = new Map<string, NodeId>()
	#lastLink = FIRST_LINK
	/** Readers of links, by the command whose answer they wait for. */
	readonly #meetings = new Map<number, RequestId>()
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
		const meeting = this.#meetings.get(command)
		if (meeting !== undefined) {
			this.#meetings.delete(command)
			this.#connection.finishRead(meeting, LINK_TARGET.length, reply => {
				if (!line.startsWith('ok')) return -ECANCELED
				reply.addBytes(LINK_TARGET, 0, LINK_TARGET.length)
				return 0
			})
			return
		}
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
		const node = this.#lookUp(parent, name)
		if (node < 0) return node
		entry.node = node
		entry.generation = 0
		// A link is not remembered: the next engine on this connection knows it by another number.
		entry.entryValidMs = node < FIRST_LINK ? VALID_MS : 0
		entry.attrValidMs = VALID_MS
		return this.getattr(node, -1, entry.attr)
	}

	#lookUp(parent: NodeId, name: string): number {
		if (parent === ROOT && name === 'ctl') return CTL
		if (parent === ROOT && name === 'start') return START
		if (parent !== START || !LINK_NAME.test(name)) return -ENOENT
		const node = this.#linkNodes.get(name) ?? ++this.#lastLink
		const link = this.#links.get(node) ?? { name, lookups: 0 }
		link.lookups++
		this.#links.set(node, link)
		this.#linkNodes.set(name, node)
		return node
	}

	override forget(node: NodeId, lookups: number): void {
		const link = this.#links.get(node)
		if (link === undefined || (link.lookups -= lookups) > 0) return
		this.#links.delete(node)
		this.#linkNodes.delete(link.name)
	}

	override readlink(node: NodeId, _reply: ReadReply, request: RequestId, { pid }: Caller): number {
		const link = this.#links.get(node)
		if (link === undefined) return node < FIRST_LINK ? -EINVAL : -ESTALE
		const command = ++this.#lastCommand
		this.#meetings.set(command, request)
		this.#onCommand(command, `meet\t${link.name}\t${pid}`)
		return PENDING
	}

	getattr(node: NodeId, _handle: HandleId, attr: Attr): number {
		attr.ino = node
		attr.size = attr.blocks = attr.rdev = attr.uid = attr.gid = 0
		attr.atimeUs = attr.mtimeUs = attr.ctimeUs = 0
		attr.mode = modeOf(node)
		attr.nlink = node === ROOT || node === START ? 2 : 1
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

	/**
	 * A meeting takes no longer than an attach may. Go's runtime sends its threads signals at any time, and its connect(2) takes EINTR
	 * for "in progress" and then waits for ever.
	 */
	goesOn(request: RequestId): boolean {
		for (const waiting of this.#meetings.values()) if (waiting === request) return true
		return false
	}

	release(_node: NodeId, handle: HandleId): number {
		this.#open.remove(handle)
		return 0
	}

	opendir(node: NodeId, opened: Opened): number {
		if (node !== ROOT && node !== START) return -EINVAL
		opened.handle = opened.openFlags = opened.backingId = 0
		return 0
	}

	/** The links have no end, so none is listed. */
	readdir(node: NodeId, _handle: HandleId, offset: number, reply: DirReply): number {
		const entries: [string, number, number][] = [
			['.', node, DT_DIR],
			['..', ROOT, DT_DIR],
		]
		if (node === ROOT) entries.push(['ctl', CTL, DT_REG], ['start', START, DT_DIR])
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

function modeOf(node: NodeId): number {
	if (node === ROOT || node === START) return S_IFDIR | 0o500
	return node === CTL ? S_IFREG | 0o600 : S_IFLNK | 0o777
}
