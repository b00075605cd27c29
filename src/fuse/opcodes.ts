/**
 * The operations of the protocol: one record an opcode, read by dispatch, by log lines and by the tests.
 * Source: enum fuse_opcode and the structs of include/uapi/linux/fuse.h (7.45).
 *
 * Invariant: an opcode that is not here, or that says ENOSYS, is answered ENOSYS: the kernel then never asks again and
 * does what it does for file systems without that operation.
 */
import { EFBIG, EINVAL, EIO, ENOSYS, ENOTTY, ENXIO } from '../lib/errno.ts'
import {
	FUSE_BATCH_FORGET_IN,
	FUSE_CREATE_IN,
	FUSE_FALLOCATE_IN,
	FUSE_FLUSH_IN,
	FUSE_FORGET_IN,
	FUSE_FORGET_ONE,
	FUSE_FSYNC_IN,
	FUSE_GETATTR_IN,
	FUSE_INIT_IN,
	FUSE_INTERRUPT_IN,
	FUSE_LINK_IN,
	FUSE_LSEEK_IN,
	FUSE_MKDIR_IN,
	FUSE_MKNOD_IN,
	FUSE_OPEN_IN,
	FUSE_POLL_IN,
	FUSE_READ_IN,
	FUSE_RELEASE_IN,
	FUSE_RENAME2_IN,
	FUSE_RENAME_IN,
	FUSE_SETATTR_IN,
	FUSE_WRITE_IN,
	NO_STRUCT,
} from './abi.ts'
import { attr, create, type Encoder, entry, open, polled, sought, statfs, status, written } from './encode.ts'
import type { Filesystem, Opened, RequestId } from './filesystem.ts'
import { FATTR_FH, FUSE_GETATTR_FH, FUSE_POLL_SCHEDULE_NOTIFY, FUSE_READ_LOCKOWNER } from './flags.ts'
import { microseconds } from './hot.ts'
import { ARGUMENT_AT, requestId } from './request.ts'
import { isExact, type Layout, readU64 } from './struct.ts'
import type { Workspace } from './workspace.ts'

/** What concerns the connection itself rather than the tree. */
export interface Protocol {
	/** Answers FUSE_INIT: the body's bytes, or a negative errno. */
	initialise(): number
	/** Ends this pending request, if there is such a one. */
	interrupt(request: RequestId): void
	destroy(): void
}

/** Carries out the request in the workspace: a negative errno, PENDING, or what the encoder wants. */
export type Handler = (workspace: Workspace, filesystem: Filesystem, protocol: Protocol) => number

export interface Operation {
	readonly opcode: number
	readonly name: string
	/** What must at least be there. */
	readonly struct: Layout
	/** How many names follow the struct. */
	readonly names: 0 | 1 | 2
	/** How success is answered: by an encoded struct, by what `workspace.reply` gathered, or not at all. */
	readonly reply: Encoder | 'data' | 'none'
	readonly handle: Handler
}

const refuse = (opcode: number, name: string, errno = ENOSYS): Operation => ({
	opcode,
	name,
	struct: NO_STRUCT,
	names: 0,
	reply: status,
	handle: () => -errno,
})

const row = (
	opcode: number,
	name: string,
	struct: Layout,
	names: 0 | 1 | 2,
	reply: Operation['reply'],
	handle: Handler,
): Operation => ({ opcode, name, struct, names, reply, handle })

/** Every opcode of the protocol. */
export const OPERATIONS: readonly Operation[] = [
	row(1, 'FUSE_LOOKUP', NO_STRUCT, 1, entry, ({ request, entry }, fs) =>
		fs.lookup(request.node, request.name, entry, request.caller),
	),
	row(2, 'FUSE_FORGET', FUSE_FORGET_IN, 0, 'none', (w, fs) => done(fs.forget(w.request.node, w.in.forget.nlookup))),
	row(3, 'FUSE_GETATTR', FUSE_GETATTR_IN, 0, attr, (w, fs) => {
		const { getattr_flags, fh } = w.in.getattr
		return fs.getattr(w.request.node, getattr_flags & FUSE_GETATTR_FH ? fh : -1, w.attr)
	}),
	row(4, 'FUSE_SETATTR', FUSE_SETATTR_IN, 0, attr, setattr),
	row(5, 'FUSE_READLINK', NO_STRUCT, 0, 'data', (w, fs) => {
		w.reply.begin(4095)
		return fs.readlink(w.request.node, w.reply, w.request.id, w.request.caller)
	}),
	row(6, 'FUSE_SYMLINK', NO_STRUCT, 2, entry, ({ request, entry }, fs) =>
		fs.symlink(request.node, request.name, request.secondName, entry, request.caller),
	),
	row(8, 'FUSE_MKNOD', FUSE_MKNOD_IN, 1, entry, ({ request, in: { mknod }, entry }, fs) =>
		fs.mknod(request.node, request.name, mknod.mode, mknod.rdev, entry, request.caller),
	),
	row(9, 'FUSE_MKDIR', FUSE_MKDIR_IN, 1, entry, ({ request, in: { mkdir }, entry }, fs) =>
		fs.mkdir(request.node, request.name, mkdir.mode, entry, request.caller),
	),
	row(10, 'FUSE_UNLINK', NO_STRUCT, 1, status, ({ request }, fs) => fs.unlink(request.node, request.name)),
	row(11, 'FUSE_RMDIR', NO_STRUCT, 1, status, ({ request }, fs) => fs.rmdir(request.node, request.name)),
	row(12, 'FUSE_RENAME', FUSE_RENAME_IN, 2, status, ({ request, in: { rename } }, fs) =>
		fs.rename(request.node, request.name, rename.newdir, request.secondName, 0),
	),
	row(13, 'FUSE_LINK', FUSE_LINK_IN, 1, entry, ({ request, in: { link }, entry }, fs) =>
		fs.link(link.oldnodeid, request.node, request.name, entry),
	),
	row(14, 'FUSE_OPEN', FUSE_OPEN_IN, 0, open, (w, fs) =>
		fs.open(w.request.node, w.in.open.flags, fresh(w.opened), w.request.caller),
	),
	row(15, 'FUSE_READ', FUSE_READ_IN, 0, 'data', read),
	row(16, 'FUSE_WRITE', FUSE_WRITE_IN, 0, written, write),
	row(17, 'FUSE_STATFS', NO_STRUCT, 0, statfs, (w, fs) => fs.statfs(w.request.node, w.statFs)),
	row(18, 'FUSE_RELEASE', FUSE_RELEASE_IN, 0, status, (w, fs) => fs.release(w.request.node, w.in.release.fh)),
	row(20, 'FUSE_FSYNC', FUSE_FSYNC_IN, 0, status, (w, fs) => fs.fsync(w.request.node, w.in.fsync.fh)),
	refuse(21, 'FUSE_SETXATTR'),
	refuse(22, 'FUSE_GETXATTR'),
	refuse(23, 'FUSE_LISTXATTR'),
	refuse(24, 'FUSE_REMOVEXATTR'),
	row(25, 'FUSE_FLUSH', FUSE_FLUSH_IN, 0, status, (w, fs) => fs.flush(w.request.node, w.in.flush.fh)),
	row(
		26,
		'FUSE_INIT',
		FUSE_INIT_IN,
		0,
		(_, bytes) => bytes,
		(_w, _fs, protocol) => protocol.initialise(),
	),
	row(27, 'FUSE_OPENDIR', FUSE_OPEN_IN, 0, open, (w, fs) => fs.opendir(w.request.node, fresh(w.opened))),
	row(28, 'FUSE_READDIR', FUSE_READ_IN, 0, 'data', (w, fs) => {
		const { fh, offset, size } = w.in.read
		if (!isExact(offset)) return -EINVAL
		w.reply.begin(size)
		return fs.readdir(w.request.node, fh, offset, w.reply.directory)
	}),
	row(29, 'FUSE_RELEASEDIR', FUSE_RELEASE_IN, 0, status, (w, fs) => done(fs.releasedir(w.in.release.fh))),
	refuse(30, 'FUSE_FSYNCDIR'),
	refuse(31, 'FUSE_GETLK'),
	refuse(32, 'FUSE_SETLK'),
	refuse(33, 'FUSE_SETLKW'),
	refuse(34, 'FUSE_ACCESS'),
	row(35, 'FUSE_CREATE', FUSE_CREATE_IN, 1, create, ({ request, in: { create }, entry, opened }, fs) =>
		fs.create(request.node, request.name, create.mode, create.flags, entry, fresh(opened), request.caller),
	),
	row(36, 'FUSE_INTERRUPT', FUSE_INTERRUPT_IN, 0, 'none', ({ request: { words } }, _fs, protocol) =>
		done(protocol.interrupt(requestId(words[ARGUMENT_AT / 4] as number, words[ARGUMENT_AT / 4 + 1] as number))),
	),
	refuse(37, 'FUSE_BMAP'),
	row(38, 'FUSE_DESTROY', NO_STRUCT, 0, status, (_w, _fs, protocol) => done(protocol.destroy())),
	refuse(39, 'FUSE_IOCTL', ENOTTY),
	row(40, 'FUSE_POLL', FUSE_POLL_IN, 0, polled, ({ request, in: { poll } }, fs) =>
		fs.poll(request.node, poll.fh, poll.kh, (poll.flags & FUSE_POLL_SCHEDULE_NOTIFY) !== 0),
	),
	refuse(41, 'FUSE_NOTIFY_REPLY'),
	row(42, 'FUSE_BATCH_FORGET', FUSE_BATCH_FORGET_IN, 0, 'none', batchForget),
	row(43, 'FUSE_FALLOCATE', FUSE_FALLOCATE_IN, 0, status, ({ request, in: { fallocate } }, fs) => {
		const { fh, offset, length, mode } = fallocate
		return isExact(offset + length) ? fs.fallocate(request.node, fh, offset, length, mode) : -EFBIG
	}),
	refuse(44, 'FUSE_READDIRPLUS'),
	row(45, 'FUSE_RENAME2', FUSE_RENAME2_IN, 2, status, ({ request, in: { rename2 } }, fs) =>
		fs.rename(request.node, request.name, rename2.newdir, request.secondName, rename2.flags),
	),
	row(46, 'FUSE_LSEEK', FUSE_LSEEK_IN, 0, sought, ({ request, in: { lseek } }, fs) =>
		isExact(lseek.offset) ? fs.lseek(request.node, lseek.fh, lseek.offset, lseek.whence) : -ENXIO,
	),
	refuse(47, 'FUSE_COPY_FILE_RANGE'),
	refuse(48, 'FUSE_SETUPMAPPING'),
	refuse(49, 'FUSE_REMOVEMAPPING'),
	refuse(50, 'FUSE_SYNCFS'),
	refuse(51, 'FUSE_TMPFILE'),
	refuse(52, 'FUSE_STATX'),
	refuse(53, 'FUSE_COPY_FILE_RANGE_64'),
]

/** The operation by opcode. */
export const OPERATION_BY_OPCODE: readonly (Operation | undefined)[] = OPERATIONS.reduce<(Operation | undefined)[]>(
	(byOpcode, operation) => {
		byOpcode[operation.opcode] = operation
		return byOpcode
	},
	Array.from({ length: 64 }, () => undefined),
)

function done(_nothing: void): number {
	return 0
}

function fresh(opened: Opened): Opened {
	opened.openFlags = 0
	opened.backingId = 0
	return opened
}

function read(w: Workspace, fs: Filesystem): number {
	const {
		request,
		read: to,
		in: { read: from },
		reply,
	} = w
	to.offset = from.offset
	if (!isExact(to.offset)) return -EINVAL
	to.request = request.id
	to.node = request.node
	to.handle = from.fh
	to.sizeBytes = from.size
	to.flags = from.flags
	// Only direct I/O on behalf of a process names a lock owner (fuse_send_read, v6.12).
	to.cached = (from.read_flags & FUSE_READ_LOCKOWNER) === 0
	reply.begin(from.size)
	return fs.read(to, reply, request.caller)
}

function write(w: Workspace, fs: Filesystem): number {
	const {
		request,
		write: to,
		in: { read: from },
	} = w
	to.start = ARGUMENT_AT + FUSE_WRITE_IN.sizeBytes
	to.sizeBytes = from.size
	if (to.start + to.sizeBytes > request.end) return -EIO
	to.offset = from.offset
	if (!isExact(to.offset + to.sizeBytes)) return -EFBIG
	to.request = request.id
	to.node = request.node
	to.handle = from.fh
	to.flags = from.flags
	return fs.write(to, request.caller)
}

function setattr(w: Workspace, fs: Filesystem): number {
	const {
		request,
		change: to,
		in: { setattr: from },
	} = w
	if (!isExact(from.size)) return -EFBIG
	to.valid = from.valid
	to.handle = from.valid & FATTR_FH ? from.fh : -1
	to.size = from.size
	to.atimeUs = microseconds(from.atime, from.atimensec)
	to.mtimeUs = microseconds(from.mtime, from.mtimensec)
	to.mode = from.mode
	to.uid = from.uid
	to.gid = from.gid
	return fs.setattr(request.node, to, w.attr, request.caller)
}

function batchForget(w: Workspace, fs: Filesystem): number {
	const {
		request,
		in: { batchForget: from },
	} = w
	const first = ARGUMENT_AT + FUSE_BATCH_FORGET_IN.sizeBytes
	if (first + from.count * FUSE_FORGET_ONE.sizeBytes > request.end) return -EIO
	for (let i = 0; i < from.count; i++) {
		const at = (first + i * FUSE_FORGET_ONE.sizeBytes) / 4
		fs.forget(readU64(request.words, at), readU64(request.words, at + 2))
	}
	return 0
}
