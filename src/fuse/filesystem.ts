/**
 * What a transport (the kernel protocol, or fuse-native) asks of a tree of files. Knows nothing about logs.
 *
 * Conventions, for every operation:
 * - a negative number is `-errno`; zero or more is success. Expected failures are returned, never thrown; what is
 *   thrown is a bug, and the transport answers EIO for that one request.
 * - names are byte strings: one JavaScript character per byte (latin1), because a file name is bytes, not UTF-8.
 * - node ids, handles, offsets and sizes are safe integers.
 * - output structures are reused between calls: fill them, never keep them.
 */
import type { Memory } from '../lib/memory.ts'

/** Identifies a file or directory within one connection; 1 is the root. */
export type NodeId = number
/** Identifies one open file description within one connection. */
export type HandleId = number

/** Who makes a request, in the initial namespaces' ids. `pid` is 0 when the kernel cannot tell. */
export interface Caller {
	uid: number
	gid: number
	pid: number
}

/** struct fuse_attr. Times are microseconds of CLOCK_REALTIME. */
export interface Attr {
	ino: number
	size: number
	blocks: number
	atimeUs: number
	mtimeUs: number
	ctimeUs: number
	/** File type and permission bits, as in st_mode. */
	mode: number
	nlink: number
	uid: number
	gid: number
	rdev: number
	blksize: number
}

/** For a `Filesystem` to fill in. */
export function emptyAttr(): Attr {
	return {
		ino: 0,
		size: 0,
		blocks: 0,
		atimeUs: 0,
		mtimeUs: 0,
		ctimeUs: 0,
		mode: 0,
		nlink: 0,
		uid: 0,
		gid: 0,
		rdev: 0,
		blksize: 0,
	}
}

/** struct fuse_entry_out without its attributes. Validity is how long the kernel may use them unasked. */
export interface Entry {
	node: NodeId
	generation: number
	entryValidMs: number
	attrValidMs: number
	attr: Attr
}

/** struct fuse_open_out: the handle, and FOPEN_* bits of `flags.ts`. */
export interface Opened {
	handle: HandleId
	openFlags: number
	/** The id of a backing file registered with the connection (FOPEN_PASSTHROUGH), else 0. */
	backingId: number
}

/** The fields of struct fuse_setattr_in that `valid` (FATTR_* bits) says are set. */
export interface AttrChange {
	valid: number
	handle: HandleId
	size: number
	atimeUs: number
	mtimeUs: number
	mode: number
	uid: number
	gid: number
}

/** struct fuse_kstatfs. */
export interface StatFs {
	blocks: number
	bfree: number
	bavail: number
	files: number
	ffree: number
	bsize: number
	namelen: number
}

/** Collects the bytes of a READ or READLINK reply. Spans are sent in order, without a copy where memory has an address. */
export interface ReadReply {
	/** Bytes still wanted; `add` beyond it is cut. */
	readonly room: number
	/** Appends `sizeBytes` of `memory` from `start`. They must stay unchanged until the operation returns. */
	add(memory: Memory, start: number, sizeBytes: number): void
	/** Appends a copy of these bytes. */
	addBytes(bytes: Uint8Array, start: number, end: number): void
}

/** Collects directory entries until the reader's buffer is full. */
export interface DirReply {
	/** False when the entry no longer fits: stop there. `nextOffset` is where a later READDIR continues. */
	add(name: string, ino: number, type: number, nextOffset: number): boolean
}

/** Answered by an operation that will be answered later, through `Connection.finishRead` or `Connection.later`. */
export const PENDING = 1 << 30

/** A request that stays open: it names the request to the transport until it is answered. */
export type RequestId = number

export interface ReadRequest {
	/** Valid for `Connection.finishRead` when the operation answers PENDING. */
	request: RequestId
	node: NodeId
	handle: HandleId
	offset: number
	sizeBytes: number
	/** Open flags at the moment of this read (O_NONBLOCK may have changed since the open). */
	flags: number
	/** The kernel fills its page cache (splice, mmap): no read(2) stands behind this. */
	cached?: boolean
}

export interface WriteRequest {
	node: NodeId
	handle: HandleId
	offset: number
	flags: number
	/** The data: `sizeBytes` of `memory.bytes` from `start`, valid until the operation returns. */
	memory: Memory
	start: number
	sizeBytes: number
	/** The request's unique number: the same when the kernel sends it again after a crash. */
	request: RequestId
}

/** What an operation may do to its connection outside its own answer. */
export interface Connection {
	/**
	 * Answers a pending read: `fill` adds the bytes and answers 0, or a negative errno. When it answers PENDING nothing
	 * is sent and the read goes on waiting.
	 */
	finishRead(request: RequestId, sizeBytes: number, fill: (reply: ReadReply) => number): void
	/** Wakes those who poll the handle that asked with this kernel handle (`poll`). */
	notifyPoll(kernelHandle: number): void
	/** Registers a backing file for passthrough; its id, or a negative errno. */
	openBacking(fd: number): number
	closeBacking(backingId: number): void
	/** FUSE_INIT flags in force (both words), see `flags.ts`. Zero before the kernel's INIT. */
	readonly features: Features
	/** How other operations than reads are answered later; left out where they cannot be. */
	readonly later?: Later
}

/** For an operation that takes long: it answers PENDING, and is carried out in steps. */
export interface Later {
	/** The request being carried out, when it may answer PENDING. */
	readonly current: RequestId
	/**
	 * Takes a step of a request that answered PENDING: its outcome, which is then its answer, or PENDING as long as there are more.
	 * What it changes counts from the last step on; a later process that is sent the request again begins with the first one. Answers
	 * the step's outcome; -EINTR when nobody waits for it any more.
	 */
	goOn(request: RequestId, step: () => number): number
}

/** What was negotiated with the kernel, by name. */
export interface Features {
	readonly minor: number
	readonly passthrough: boolean
	readonly resend: boolean
	readonly atomicTrunc: boolean
	/** Every `Caller` is the owner, whoever asks: only modes tell one from another. */
	readonly anonymous?: boolean
	readonly maxWriteBytes: number
}

/** A tree served through one connection. */
export interface Filesystem {
	/** Called once, before any other operation. */
	attach(connection: Connection): void
	lookup(parent: NodeId, name: string, entry: Entry, caller: Caller): number
	forget(node: NodeId, lookups: number): void
	/**
	 * `handle` is -1 for stat(2) and fstat(2); the kernel names one for lseek(SEEK_END). The answer is how long the kernel
	 * may use the attributes unasked, in milliseconds: 0 where a size changes by itself. A directory's are asked for at
	 * every step of every path otherwise.
	 */
	getattr(node: NodeId, handle: HandleId, attr: Attr): number
	/** Answers as `getattr` does. */
	setattr(node: NodeId, change: AttrChange, attr: Attr, caller: Caller): number
	/** 0 when answered through `reply`, a negative errno, or PENDING: then `Connection.finishRead` answers this request. */
	readlink(node: NodeId, reply: ReadReply, request: RequestId, caller: Caller): number
	symlink(parent: NodeId, name: string, target: string, entry: Entry, caller: Caller): number
	mknod(parent: NodeId, name: string, mode: number, rdev: number, entry: Entry, caller: Caller): number
	mkdir(parent: NodeId, name: string, mode: number, entry: Entry, caller: Caller): number
	unlink(parent: NodeId, name: string): number
	rmdir(parent: NodeId, name: string): number
	/** `flags`: RENAME_NOREPLACE 1, RENAME_EXCHANGE 2. */
	rename(parent: NodeId, name: string, newParent: NodeId, newName: string, flags: number): number
	link(node: NodeId, newParent: NodeId, newName: string, entry: Entry): number
	open(node: NodeId, flags: number, opened: Opened, caller: Caller): number
	create(
		parent: NodeId,
		name: string,
		mode: number,
		flags: number,
		entry: Entry,
		opened: Opened,
		caller: Caller,
	): number
	/** 0 when answered through `reply`, a negative errno, or PENDING. */
	read(request: ReadRequest, reply: ReadReply, caller: Caller): number
	/** The number of bytes taken, or a negative errno. */
	write(request: WriteRequest, caller: Caller): number
	/** A close(2) of one descriptor of the handle; more may follow. */
	flush(node: NodeId, handle: HandleId): number
	fsync(node: NodeId, handle: HandleId): number
	/** The last reference to the handle is gone. 0, or PENDING: nobody waits, but it is sent again until it is answered. */
	release(node: NodeId, handle: HandleId): number
	opendir(node: NodeId, opened: Opened): number
	readdir(node: NodeId, handle: HandleId, offset: number, reply: DirReply): number
	releasedir(handle: HandleId): void
	statfs(node: NodeId, out: StatFs): number
	/** The new file offset, or a negative errno. Only SEEK_DATA 3 and SEEK_HOLE 4 reach a daemon. */
	lseek(node: NodeId, handle: HandleId, offset: number, whence: number): number
	/** POLL* bits now; with `schedule`, the caller wants `Connection.notifyPoll(kernelHandle)` from now on. */
	poll(node: NodeId, handle: HandleId, kernelHandle: number, schedule: boolean): number
	fallocate(node: NodeId, handle: HandleId, offset: number, length: number, mode: number): number
	/** The kernel gave up waiting for a pending read: the transport has already answered EINTR. */
	interrupted(request: RequestId): void
	/**
	 * Is this pending request answered soon whatever happens, so that a signal need not end it? A caller that cannot bear EINTR is
	 * spared it; one that is killed goes when it is answered. Left out: never.
	 */
	goesOn?(request: RequestId): boolean
	/** The connection is gone: nothing will be asked any more. */
	destroy(): void
}
