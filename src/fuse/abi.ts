/**
 * The kernel's FUSE structs, verbatim names, one table each. Source: include/uapi/linux/fuse.h, protocol 7.45
 * (struct layouts are those of 7.31 with later fields in what was padding then).
 *
 * Invariant: a field is spelled as in the header, so that a search there lands here. A number is that many bytes the
 * header calls padding, unused, dummy or spare.
 */
import { layout } from './struct.ts'

/** Newest protocol spoken, and oldest accepted (kernel 5.4). */
export const FUSE_KERNEL_VERSION = 7
export const FUSE_KERNEL_MINOR_VERSION = 45
export const FUSE_OLDEST_MINOR_VERSION = 31

export const FUSE_ROOT_ID = 1

/** Bit 31 of the upper half of `unique`: the kernel sends this request again (7.40). The answer carries it too. */
export const FUSE_UNIQUE_RESEND_HIGH = 0x8000_0000

/** Room for the header and argument of any request, beside the data of a WRITE. */
export const FUSE_HEADROOM_BYTES = 4096

export const FUSE_IN_HEADER = layout('fuse_in_header', {
	len: 'u32',
	opcode: 'u32',
	unique: 'u64',
	nodeid: 'u64',
	uid: 'u32',
	gid: 'u32',
	pid: 'u32',
	/** Length of extensions in 8-byte units (7.38). */
	total_extlen: 'u16',
	padding: 2,
})

export const FUSE_OUT_HEADER = layout('fuse_out_header', { len: 'u32', error: 'i32', unique: 'u64' })

export const FUSE_ATTR = layout('fuse_attr', {
	ino: 'u64',
	size: 'u64',
	blocks: 'u64',
	atime: 's64',
	mtime: 's64',
	ctime: 's64',
	atimensec: 'u32',
	mtimensec: 'u32',
	ctimensec: 'u32',
	mode: 'u32',
	nlink: 'u32',
	uid: 'u32',
	gid: 'u32',
	rdev: 'u32',
	blksize: 'u32',
	flags: 'u32',
})

export const FUSE_ENTRY_OUT = layout('fuse_entry_out', {
	nodeid: 'u64',
	generation: 'u64',
	entry_valid: 'u64',
	attr_valid: 'u64',
	entry_valid_nsec: 'u32',
	attr_valid_nsec: 'u32',
	attr: FUSE_ATTR,
})

export const FUSE_ATTR_OUT = layout('fuse_attr_out', {
	attr_valid: 'u64',
	attr_valid_nsec: 'u32',
	dummy: 4,
	attr: FUSE_ATTR,
})

export const FUSE_OPEN_OUT = layout('fuse_open_out', { fh: 'u64', open_flags: 'u32', backing_id: 'i32' })
export const FUSE_WRITE_OUT = layout('fuse_write_out', { size: 'u32', padding: 4 })
export const FUSE_LSEEK_OUT = layout('fuse_lseek_out', { offset: 'u64' })
export const FUSE_POLL_OUT = layout('fuse_poll_out', { revents: 'u32', padding: 4 })

/** struct fuse_statfs_out is one struct fuse_kstatfs. */
export const FUSE_KSTATFS = layout('fuse_kstatfs', {
	blocks: 'u64',
	bfree: 'u64',
	bavail: 'u64',
	files: 'u64',
	ffree: 'u64',
	bsize: 'u32',
	namelen: 'u32',
	frsize: 'u32',
	padding: 4,
	spare: 24,
})

/** The fixed part; `namelen` bytes of name follow, padded to 8. */
export const FUSE_DIRENT = layout('fuse_dirent', { ino: 'u64', off: 'u64', namelen: 'u32', type: 'u32' })

export const FUSE_INIT_OUT = layout('fuse_init_out', {
	major: 'u32',
	minor: 'u32',
	max_readahead: 'u32',
	flags: 'u32',
	max_background: 'u16',
	congestion_threshold: 'u16',
	max_write: 'u32',
	time_gran: 'u32',
	max_pages: 'u16',
	map_alignment: 'u16',
	flags2: 'u32',
	max_stack_depth: 'u32',
	request_timeout: 'u16',
	unused: 22,
})

/** The first 16 bytes, all there is before 7.36; `FUSE_INIT_IN_EXT` follows from then on. */
export const FUSE_INIT_IN = layout('fuse_init_in', {
	major: 'u32',
	minor: 'u32',
	max_readahead: 'u32',
	flags: 'u32',
})
export const FUSE_INIT_IN_EXT = layout('fuse_init_in (7.36)', {
	major: 'u32',
	minor: 'u32',
	max_readahead: 'u32',
	flags: 'u32',
	flags2: 'u32',
	unused: 44,
})

/** For requests without a struct: names only, or nothing. */
export const NO_STRUCT = layout('(none)', {})

export const FUSE_FORGET_IN = layout('fuse_forget_in', { nlookup: 'u64' })
export const FUSE_FORGET_ONE = layout('fuse_forget_one', { nodeid: 'u64', nlookup: 'u64' })
export const FUSE_BATCH_FORGET_IN = layout('fuse_batch_forget_in', { count: 'u32', dummy: 4 })
export const FUSE_GETATTR_IN = layout('fuse_getattr_in', { getattr_flags: 'u32', dummy: 4, fh: 'u64' })
export const FUSE_MKNOD_IN = layout('fuse_mknod_in', { mode: 'u32', rdev: 'u32', umask: 'u32', padding: 4 })
export const FUSE_MKDIR_IN = layout('fuse_mkdir_in', { mode: 'u32', umask: 'u32' })
export const FUSE_RENAME_IN = layout('fuse_rename_in', { newdir: 'u64' })
export const FUSE_RENAME2_IN = layout('fuse_rename2_in', { newdir: 'u64', flags: 'u32', padding: 4 })
export const FUSE_LINK_IN = layout('fuse_link_in', { oldnodeid: 'u64' })
export const FUSE_OPEN_IN = layout('fuse_open_in', { flags: 'u32', open_flags: 'u32' })
export const FUSE_CREATE_IN = layout('fuse_create_in', {
	flags: 'u32',
	mode: 'u32',
	umask: 'u32',
	open_flags: 'u32',
})

export const FUSE_SETATTR_IN = layout('fuse_setattr_in', {
	valid: 'u32',
	padding: 4,
	fh: 'u64',
	size: 'u64',
	lock_owner: 'u64',
	atime: 's64',
	mtime: 's64',
	ctime: 's64',
	atimensec: 'u32',
	mtimensec: 'u32',
	ctimensec: 'u32',
	mode: 'u32',
	unused4: 4,
	uid: 'u32',
	gid: 'u32',
	unused5: 4,
})

export const FUSE_READ_IN = layout('fuse_read_in', {
	fh: 'u64',
	offset: 'u64',
	size: 'u32',
	read_flags: 'u32',
	lock_owner: 'u64',
	flags: 'u32',
	padding: 4,
})

/** The data follows. */
export const FUSE_WRITE_IN = layout('fuse_write_in', {
	fh: 'u64',
	offset: 'u64',
	size: 'u32',
	write_flags: 'u32',
	lock_owner: 'u64',
	flags: 'u32',
	padding: 4,
})

export const FUSE_RELEASE_IN = layout('fuse_release_in', {
	fh: 'u64',
	flags: 'u32',
	release_flags: 'u32',
	lock_owner: 'u64',
})
export const FUSE_FLUSH_IN = layout('fuse_flush_in', { fh: 'u64', unused: 4, padding: 4, lock_owner: 'u64' })
export const FUSE_FSYNC_IN = layout('fuse_fsync_in', { fh: 'u64', fsync_flags: 'u32', padding: 4 })
export const FUSE_INTERRUPT_IN = layout('fuse_interrupt_in', { unique: 'u64' })
export const FUSE_POLL_IN = layout('fuse_poll_in', { fh: 'u64', kh: 'u64', flags: 'u32', events: 'u32' })
export const FUSE_LSEEK_IN = layout('fuse_lseek_in', { fh: 'u64', offset: 'u64', whence: 'u32', padding: 4 })
export const FUSE_FALLOCATE_IN = layout('fuse_fallocate_in', {
	fh: 'u64',
	offset: 'u64',
	length: 'u64',
	mode: 'u32',
	padding: 4,
})

/** Argument of FUSE_DEV_IOC_BACKING_OPEN (7.40). */
export const FUSE_BACKING_MAP = layout('fuse_backing_map', { fd: 'i32', flags: 'u32', padding: 8 })
export const FUSE_NOTIFY_POLL_WAKEUP_OUT = layout('fuse_notify_poll_wakeup_out', { kh: 'u64' })
