/**
 * Flag words of the FUSE protocol, verbatim names. Source: include/uapi/linux/fuse.h, protocol 7.45.
 *
 * Invariant: INIT flags are bit numbers of one 64-bit word (two 32-bit words on the wire); all other flags are masks.
 */

/** INIT flags by bit number. 32 and up travel in `flags2`, and only with FUSE_INIT_EXT (7.36). */
export const INIT_FLAGS = {
	FUSE_ASYNC_READ: 0,
	FUSE_POSIX_LOCKS: 1,
	FUSE_FILE_OPS: 2,
	FUSE_ATOMIC_O_TRUNC: 3,
	FUSE_EXPORT_SUPPORT: 4,
	FUSE_BIG_WRITES: 5,
	FUSE_DONT_MASK: 6,
	FUSE_SPLICE_WRITE: 7,
	FUSE_SPLICE_MOVE: 8,
	FUSE_SPLICE_READ: 9,
	FUSE_FLOCK_LOCKS: 10,
	FUSE_HAS_IOCTL_DIR: 11,
	FUSE_AUTO_INVAL_DATA: 12,
	FUSE_DO_READDIRPLUS: 13,
	FUSE_READDIRPLUS_AUTO: 14,
	FUSE_ASYNC_DIO: 15,
	FUSE_WRITEBACK_CACHE: 16,
	FUSE_NO_OPEN_SUPPORT: 17,
	FUSE_PARALLEL_DIROPS: 18,
	FUSE_HANDLE_KILLPRIV: 19,
	FUSE_POSIX_ACL: 20,
	FUSE_ABORT_ERROR: 21,
	FUSE_MAX_PAGES: 22,
	FUSE_CACHE_SYMLINKS: 23,
	FUSE_NO_OPENDIR_SUPPORT: 24,
	FUSE_EXPLICIT_INVAL_DATA: 25,
	FUSE_MAP_ALIGNMENT: 26,
	FUSE_SUBMOUNTS: 27,
	FUSE_HANDLE_KILLPRIV_V2: 28,
	FUSE_SETXATTR_EXT: 29,
	FUSE_INIT_EXT: 30,
	FUSE_INIT_RESERVED: 31,
	FUSE_SECURITY_CTX: 32,
	FUSE_HAS_INODE_DAX: 33,
	FUSE_CREATE_SUPP_GROUP: 34,
	FUSE_HAS_EXPIRE_ONLY: 35,
	FUSE_DIRECT_IO_ALLOW_MMAP: 36,
	FUSE_PASSTHROUGH: 37,
	FUSE_NO_EXPORT_SUPPORT: 38,
	FUSE_HAS_RESEND: 39,
	FUSE_ALLOW_IDMAP: 40,
	FUSE_OVER_IO_URING: 41,
	FUSE_REQUEST_TIMEOUT: 42,
} as const

export type InitFlag = keyof typeof INIT_FLAGS

/** The names set in an INIT flag pair, in bit order; `bit N` for what this table does not know. */
export function initFlagNames(flags: number, flags2: number): string[] {
	const names: string[] = []
	for (let bit = 0; bit < 64; bit++) {
		if (hasBit(flags, flags2, bit)) names.push(NAME_OF_BIT.get(bit) ?? `bit ${bit}`)
	}
	return names
}

/** Whether an INIT flag is set in a pair of words. */
export function hasInitFlag(flags: number, flags2: number, name: InitFlag): boolean {
	return hasBit(flags, flags2, INIT_FLAGS[name])
}

/** Two unsigned words with the bits of `names` set. */
export function initFlagWords(names: readonly InitFlag[]): readonly [flags: number, flags2: number] {
	let flags = 0
	let flags2 = 0
	for (const name of names) {
		const bit = INIT_FLAGS[name]
		if (bit < 32) flags |= 1 << bit
		else flags2 |= 1 << (bit - 32)
	}
	return [flags >>> 0, flags2 >>> 0]
}

const NAME_OF_BIT: ReadonlyMap<number, string> = new Map(Object.entries(INIT_FLAGS).map(([name, bit]) => [bit, name]))

function hasBit(flags: number, flags2: number, bit: number): boolean {
	return ((bit < 32 ? flags >>> bit : flags2 >>> (bit - 32)) & 1) === 1
}

/** Bypass the page cache for this open file. */
export const FOPEN_DIRECT_IO = 1 << 0
/** Do not invalidate the page cache on open. */
export const FOPEN_KEEP_CACHE = 1 << 1
/** No FLUSH at close (7.35). */
export const FOPEN_NOFLUSH = 1 << 5
/** Direct writes of one file need not wait for each other (7.38). */
export const FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6
/** Read and write go to the backing file `backingId` without asking (7.40). */
export const FOPEN_PASSTHROUGH = 1 << 7

/** read_flags: the read has a lock owner, the process that called read(2). */
export const FUSE_READ_LOCKOWNER = 1 << 1

export const FATTR_MODE = 1 << 0
export const FATTR_UID = 1 << 1
export const FATTR_GID = 1 << 2
export const FATTR_SIZE = 1 << 3
export const FATTR_ATIME = 1 << 4
export const FATTR_MTIME = 1 << 5
export const FATTR_FH = 1 << 6
export const FATTR_ATIME_NOW = 1 << 7
export const FATTR_MTIME_NOW = 1 << 8

/** fuse_getattr_in.getattr_flags: `fh` is valid. */
export const FUSE_GETATTR_FH = 1 << 0
/** fuse_poll_in.flags: wake this handle when its state changes. */
export const FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0

/** Codes of unasked messages to the kernel (enum fuse_notify_code). */
export const FUSE_NOTIFY_POLL = 1
export const FUSE_NOTIFY_RESEND = 7

/** _IOW(229, 1, struct fuse_backing_map) and _IOW(229, 2, uint32_t), 7.40. */
export const FUSE_DEV_IOC_BACKING_OPEN = 0x4010_e501
export const FUSE_DEV_IOC_BACKING_CLOSE = 0x4004_e502
