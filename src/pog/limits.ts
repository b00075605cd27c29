/** The bounds of a POG, all injectable so that a test can make them tiny. */
export interface Limits {
	/** Longest datagram taken from /dev/log, in bytes; the rest is cut off and counted. */
	datagramBytes: number
	/** Longest syslog.conf, in bytes. */
	confBytes: number
	/** Distinct files one configuration may name. */
	confFiles: number
	/** Open handles of one POG. */
	handles: number
	/** Views in one POG's tree, rotated ones too. */
	views: number
	/** Directory entries that one POG's open directories hold. */
	listedEntries: number
	/** Reads of one POG that wait for a record. */
	pendingReads: number
}

export const DEFAULT_LIMITS: Limits = {
	datagramBytes: 64 * 1024,
	confBytes: 128 * 1024,
	confFiles: 32,
	handles: 8192,
	views: 256,
	listedEntries: 1 << 18,
	pendingReads: 4096,
}

/** What `printk.devkmsg` is on the host: who may write to /dev/kmsg, and how often (man-pages, kernel-parameters). */
export const DEVKMSG_MODES = ['on', 'off', 'ratelimit'] as const
export type DevkmsgMode = (typeof DEVKMSG_MODES)[number]

/** The part of the host's policy that a POG obeys while it lives; replaced as a whole when the policy changes. */
export interface PogPolicy {
	devkmsg: DevkmsgMode
	/** Text of the host's default syslog.conf. */
	defaultConf: string
	/** False: the bytes of the container's own files go through the service, as on kernels before 6.9. For POGs made from then on. */
	passthrough?: boolean
	/** Text bytes that a ring may have at most; no bound of its own when left out. */
	maxRingBytes?: number
}
