/**
 * The FUSE_INIT handshake, as data: what the kernel offers in, what is in force out.
 * Source: include/uapi/linux/fuse.h (7.45); process_init_reply() in fs/fuse/inode.c (v6.12).
 *
 * Invariant: nothing is asked for that the kernel did not offer, so whatever an older kernel lacks is switched off.
 */
import { EPROTO } from '../lib/errno.ts'
import { type FUSE_INIT_OUT, FUSE_KERNEL_MINOR_VERSION, FUSE_KERNEL_VERSION, FUSE_OLDEST_MINOR_VERSION } from './abi.ts'
import type { Features } from './filesystem.ts'
import { hasInitFlag, type InitFlag, initFlagWords } from './flags.ts'
import type { OverlayOf } from './struct.ts'

/** What the kernel's FUSE_INIT says. */
export interface Offer {
	readonly major: number
	readonly minor: number
	readonly maxReadaheadBytes: number
	readonly flags: number
	readonly flags2: number
}

/** What is in force. Plain data: a later process that takes over the connection is given it. */
export interface Negotiated {
	readonly minor: number
	readonly flags: number
	readonly flags2: number
	readonly maxReadaheadBytes: number
	readonly maxWriteBytes: number
	readonly maxPages: number
}

export interface NegotiationLimits {
	readonly maxWriteBytes: number
	/** Flags not to ask for, although the kernel offers them. */
	readonly withheld?: readonly InitFlag[]
}

const PAGE_BYTES = 4096
/** What one request carries when the kernel lacks FUSE_MAX_PAGES (before 7.28) or refuses it. */
const DEFAULT_MAX_PAGES = 32

// Left out on purpose. WRITEBACK_CACHE: the kernel would keep writes from us. NO_OPEN_SUPPORT: handles carry positions.
// DO_READDIRPLUS: it would look every file up, and a lookup fixes a view's base. EXPORT_SUPPORT: no node by number.
// DIRECT_IO_ALLOW_MMAP: the kernel's /dev/kmsg cannot be mapped; app files are not direct.
const WANTED: readonly InitFlag[] = [
	'FUSE_ASYNC_READ',
	'FUSE_ATOMIC_O_TRUNC',
	'FUSE_BIG_WRITES',
	'FUSE_PARALLEL_DIROPS',
	'FUSE_MAX_PAGES',
	'FUSE_INIT_EXT',
	'FUSE_PASSTHROUGH',
	'FUSE_NO_EXPORT_SUPPORT',
	'FUSE_HAS_RESEND',
]

/** Features before the kernel's FUSE_INIT. */
export const NO_FEATURES: Features = {
	minor: 0,
	passthrough: false,
	resend: false,
	atomicTrunc: false,
	maxWriteBytes: 0,
}

/** Settles the protocol. -EPROTO when the kernel speaks an older one than 7.31, or another major. */
export function negotiate(offer: Offer, limits: NegotiationLimits): Negotiated | number {
	if (offer.major !== FUSE_KERNEL_VERSION || offer.minor < FUSE_OLDEST_MINOR_VERSION) return -EPROTO
	const [wanted, wanted2] = initFlagWords(WANTED.filter(flag => limits.withheld?.includes(flag) !== true))
	const flags = (offer.flags & wanted) >>> 0
	const extended = hasInitFlag(flags, 0, 'FUSE_INIT_EXT')
	const flags2 = extended ? (offer.flags2 & wanted2) >>> 0 : 0
	const maxPages = hasInitFlag(flags, flags2, 'FUSE_MAX_PAGES')
		? Math.ceil(limits.maxWriteBytes / PAGE_BYTES)
		: DEFAULT_MAX_PAGES
	return {
		minor: Math.min(offer.minor, FUSE_KERNEL_MINOR_VERSION),
		flags,
		flags2,
		maxReadaheadBytes: offer.maxReadaheadBytes,
		maxWriteBytes: Math.min(limits.maxWriteBytes, maxPages * PAGE_BYTES),
		maxPages,
	}
}

const MAX_BACKGROUND = 64
const CONGESTION_THRESHOLD = 48
const TIME_GRANULARITY_NS = 1000
/** Our tree may lie on a file system that lies on nothing else: the backing files' tmpfs. */
const MAX_STACK_DEPTH = 1

/** Says to the kernel what is in force: struct fuse_init_out but for its major version, zeroed before. */
export function writeInit(out: OverlayOf<typeof FUSE_INIT_OUT>, negotiated: Negotiated): void {
	out.minor = negotiated.minor
	out.max_readahead = negotiated.maxReadaheadBytes
	out.flags = negotiated.flags
	out.flags2 = negotiated.flags2
	out.max_background = MAX_BACKGROUND
	out.congestion_threshold = CONGESTION_THRESHOLD
	out.max_write = negotiated.maxWriteBytes
	out.time_gran = TIME_GRANULARITY_NS
	out.max_pages = negotiated.maxPages
	if (featuresOf(negotiated).passthrough) out.max_stack_depth = MAX_STACK_DEPTH
}

/** What was negotiated, by name. */
export function featuresOf(negotiated: Negotiated): Features {
	const { minor, flags, flags2, maxWriteBytes } = negotiated
	return {
		minor,
		passthrough: hasInitFlag(flags, flags2, 'FUSE_PASSTHROUGH'),
		resend: hasInitFlag(flags, flags2, 'FUSE_HAS_RESEND'),
		atomicTrunc: hasInitFlag(flags, flags2, 'FUSE_ATOMIC_O_TRUNC'),
		maxWriteBytes,
	}
}
