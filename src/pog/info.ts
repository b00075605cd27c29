/**
 * What is told about a POG: to the host (`pogctl ls`, `show`, metrics) and to its owner (`/run/pog/stats`).
 *
 * Plain data that crosses threads and becomes JSON as it is; byte counts and record counts are since the POG's creation.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'

/** Life of a POG, in order: created, attached to a container, its container exited, removed. Id 0 is the host. */
export type PogStatus = 'host' | 'created' | 'running' | 'exited'

/**
 * How a container that runs reaches the host's kernel log by syslog(2): with CAP_SYSLOG, which every program of its root may have; or because
 * the host restricts nobody (kernel.dmesg_restrict=0) and no seccomp filter does.
 */
export type HostSyslog = 'capability' | 'unrestricted'

/** Why a record, or a part of one, did not stay: one counter each, never silent. */
export const DROP_REASONS = {
	overwritten: 'older records made room for newer ones in the ring',
	truncated: 'records cut at the longest length a record may have',
	ratelimited: 'writes beyond the rate limit',
	refused: 'writes that the interface refuses (too long, device off)',
	oversized: 'datagrams longer than the intake accepts',
	unrouted: 'records that no rule of the configuration sends to a file',
	lost: 'records of a ring that could not be read back whole',
} as const
export type DropReason = keyof typeof DROP_REASONS

/** Why a call was denied: one counter each. Nothing of the log is lost by it. */
export const DENIED_REASONS = {
	files: 'opens beyond the open files that a container may have (ENFILE)',
	directories: 'opens beyond the open directories that it may have (ENFILE)',
	listings: 'listings beyond the names that open directories may hold (ENOMEM)',
	reads: 'reads that waited longest, ended because too many wait (ENOMEM)',
	views: 'renames of views beyond the views that it may have (ENOSPC)',
} as const
export type DeniedReason = keyof typeof DENIED_REASONS

/** Where records came from: one counter each. */
export const ORIGINS = ['kmsg', 'devlog', 'file', 'kernel', 'pogs', 'control'] as const
export type Origin = (typeof ORIGINS)[number]

export interface PogPaths {
	varLog: string
	procKmsg: string
	devKmsg: string
	devLog: string
	syslogConf: string
	runPog: string
}

export interface PogInfo {
	/** 0 is the host. */
	id: number
	name: string
	/** The container this POG belongs to, when a runtime told; else empty. */
	containerId: string
	status: PogStatus
	/** Of an earlier life of a container: the name of its POG now. */
	previousOf?: string
	/** Left out where it cannot, or has no kernel log from us. */
	hostSyslog?: HostSyslog
	createdAtMs: number
	ring: {
		sizeBytes: number
		usedBytes: number
		/** Records retained now. */
		records: number
		/** Sequence number the next record gets: records ever accepted. */
		nextSeq: number
	}
	accepted: Record<Origin, number>
	drops: Record<DropReason, number>
	denied: Record<DeniedReason, number>
	conf: {
		/** `default`: the host's; `own`: set for this POG or by its container; `kept`: the newest text was refused, the one before is in force. */
		state: 'default' | 'own' | 'kept'
		rules: number
		diagnostics: Diagnostic[]
	}
	/** Files named by the configuration that exist in the view of this POG. */
	views: { path: string; sizeBytes: number; records: number }[]
	paths: PogPaths
}

/** One record as the host reads it (`pogctl logs --json`). */
export interface RecordInfo {
	pog: string
	seq: number
	facility: number
	severity: number
	origin: Origin
	/** Microseconds of CLOCK_REALTIME and of CLOCK_MONOTONIC since host boot. */
	realtimeUs: number
	monotonicUs: number
	tag: string
	/** As claimed in the message; empty when none. */
	procid: string
	/** Trusted sender, in the container's pid namespace; 0 when unknown. */
	pid: number
	uid: number
	/** The message, invalid UTF-8 replaced. */
	text: string
}
