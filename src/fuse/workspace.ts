/**
 * The memory and objects that requests are decoded into and answered from. One per thread: its sessions are served one
 * after the other, so they share it, and an idle connection costs nothing.
 *
 * Source: read(2) of /dev/fuse wants room for the largest request at once (fuse_dev_do_read, v6.12): max_write and a
 * header. Invariant: made once; a request allocates nothing.
 */
import type { Memory } from '../lib/memory.ts'
import { allocate, unmap } from '../sys/memory.ts'
import {
	FUSE_ATTR_OUT,
	FUSE_BATCH_FORGET_IN,
	FUSE_CREATE_IN,
	FUSE_ENTRY_OUT,
	FUSE_FALLOCATE_IN,
	FUSE_FLUSH_IN,
	FUSE_FORGET_IN,
	FUSE_FSYNC_IN,
	FUSE_GETATTR_IN,
	FUSE_HEADROOM_BYTES,
	FUSE_INIT_IN,
	FUSE_INIT_IN_EXT,
	FUSE_INIT_OUT,
	FUSE_INTERRUPT_IN,
	FUSE_KSTATFS,
	FUSE_LINK_IN,
	FUSE_LSEEK_IN,
	FUSE_MKDIR_IN,
	FUSE_MKNOD_IN,
	FUSE_OPEN_IN,
	FUSE_OPEN_OUT,
	FUSE_POLL_IN,
	FUSE_RELEASE_IN,
	FUSE_RENAME2_IN,
	FUSE_RENAME_IN,
	FUSE_SETATTR_IN,
} from './abi.ts'
import {
	type Attr,
	type AttrChange,
	emptyAttr,
	type Entry,
	type Opened,
	type ReadRequest,
	type RequestId,
	type StatFs,
	type WriteRequest,
} from './filesystem.ts'
import { ReadIn } from './hot.ts'
import { BODY_AT, Reply, type ReplyLimits } from './reply.ts'
import { ARGUMENT_AT, Request } from './request.ts'
import { type Fields, type Layout, type Overlay, overlay } from './struct.ts'

export interface WorkspaceLimits extends ReplyLimits {
	/** Largest WRITE, and largest READ. */
	readonly maxWriteBytes: number
}

const MIB = 1024 * 1024
const NOTICE_BYTES = 64
const DEFAULT_LIMITS: WorkspaceLimits = { maxWriteBytes: MIB, maxBodyBytes: MIB, maxSpans: 64, copyBelowBytes: 512 }

/** Buffers, the argument structs laid over them, and the structs an operation fills. */
export class Workspace {
	readonly limits: WorkspaceLimits
	readonly request: Request
	/** The answer to the current request. */
	readonly reply: Reply
	/** Answers to earlier requests: one may be sent in the middle of an operation. */
	readonly late: Reply
	/** Notifications and ioctl arguments: one may be sent in the middle of either. */
	readonly notice: Reply
	readonly in: ArgumentStructs
	readonly out: ReplyStructs
	readonly entry: Entry = { node: 0, generation: 0, entryValidMs: 0, attrValidMs: 0, attr: emptyAttr() }
	readonly attr: Attr = emptyAttr()
	readonly opened: Opened = { handle: 0, openFlags: 0, backingId: 0 }
	readonly statFs: StatFs = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 0, namelen: 0 }
	readonly change: AttrChange = {
		valid: 0,
		handle: -1,
		size: 0,
		atimeUs: 0,
		mtimeUs: 0,
		mode: 0,
		uid: 0,
		gid: 0,
	}
	readonly read: ReadRequest = {
		request: 0,
		node: 0,
		handle: 0,
		offset: 0,
		sizeBytes: 0,
		flags: 0,
		cached: false,
	}
	readonly write: WriteRequest
	readonly #buffer: Memory

	/** The request that an earlier process took last, where requests are read into memory that outlives it; 0 for none. */
	readonly left: RequestId

	/** Throws only when the machine is out of memory. `room` makes the memory that requests are read into. */
	constructor(limits: Partial<WorkspaceLimits> = {}, room: (sizeBytes: number) => Memory = allocate) {
		this.limits = { ...DEFAULT_LIMITS, ...limits }
		this.#buffer = room(FUSE_HEADROOM_BYTES + this.limits.maxWriteBytes)
		this.request = new Request(this.#buffer)
		this.left = this.request.lying
		this.reply = new Reply(this.limits)
		this.late = new Reply(this.limits)
		this.notice = new Reply({ ...this.limits, maxBodyBytes: NOTICE_BYTES, maxSpans: 2 })
		this.in = argumentStructs(this.#buffer.buffer)
		this.out = replyStructs(this.reply.memory.buffer)
		this.write = {
			node: 0,
			handle: 0,
			offset: 0,
			flags: 0,
			memory: this.#buffer,
			start: 0,
			sizeBytes: 0,
			request: 0,
		}
	}

	/** Unmaps everything; no session may use the workspace afterwards. */
	free(): void {
		unmap(this.#buffer)
		this.reply.free()
		this.late.free()
		this.notice.free()
	}
}

/** Every argument struct, laid over the same place. */
export type ArgumentStructs = ReturnType<typeof argumentStructs>
/** The rarer reply structs, laid over the body. */
export type ReplyStructs = ReturnType<typeof replyStructs>

// Inferred: the types come from the tables.
// oxlint-disable-next-line typescript/explicit-module-boundary-types
function argumentStructs(buffer: ArrayBuffer) {
	const at = <Declared extends Fields>(struct: Layout<Declared>): Overlay<Declared> =>
		overlay(struct, buffer, ARGUMENT_AT)
	return {
		init: at(FUSE_INIT_IN),
		initExt: at(FUSE_INIT_IN_EXT),
		forget: at(FUSE_FORGET_IN),
		batchForget: at(FUSE_BATCH_FORGET_IN),
		getattr: at(FUSE_GETATTR_IN),
		setattr: at(FUSE_SETATTR_IN),
		mknod: at(FUSE_MKNOD_IN),
		mkdir: at(FUSE_MKDIR_IN),
		rename: at(FUSE_RENAME_IN),
		rename2: at(FUSE_RENAME2_IN),
		link: at(FUSE_LINK_IN),
		open: at(FUSE_OPEN_IN),
		create: at(FUSE_CREATE_IN),
		/** READ, READDIR and WRITE. */
		read: new ReadIn(buffer, ARGUMENT_AT),
		release: at(FUSE_RELEASE_IN),
		flush: at(FUSE_FLUSH_IN),
		fsync: at(FUSE_FSYNC_IN),
		interrupt: at(FUSE_INTERRUPT_IN),
		poll: at(FUSE_POLL_IN),
		lseek: at(FUSE_LSEEK_IN),
		fallocate: at(FUSE_FALLOCATE_IN),
	}
}

function replyStructs(buffer: ArrayBuffer) {
	return {
		init: overlay(FUSE_INIT_OUT, buffer, BODY_AT),
		entry: overlay(FUSE_ENTRY_OUT, buffer, BODY_AT),
		attr: overlay(FUSE_ATTR_OUT, buffer, BODY_AT),
		open: overlay(FUSE_OPEN_OUT, buffer, BODY_AT),
		/** Behind the entry of a CREATE. */
		createOpen: overlay(FUSE_OPEN_OUT, buffer, BODY_AT + FUSE_ENTRY_OUT.sizeBytes),
		statfs: overlay(FUSE_KSTATFS, buffer, BODY_AT),
	}
}
