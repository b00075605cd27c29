/**
 * What the control API needs of the running service. The engine implements it; tests give a double.
 *
 * Every call that names a POG answers `Failure` when there is none of that name, or when the request cannot be met; it
 * throws only for bugs.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'
import type { EventFilter, PogEvent } from './events.ts'
import type { HostSyslog, PogInfo, RecordInfo } from '../pog/info.ts'

/** An expected failure: `status` is the HTTP status, `message` names the thing and the remedy. */
export interface Failure {
	readonly failure: {
		status: 400 | 404 | 409 | 413 | 422 | 500 | 503 | 507
		message: string
		diagnostics?: Diagnostic[]
	}
}
export type Outcome<T> = { readonly value: T } | Failure

export interface PogSpec {
	/** 1 to 64 of `[A-Za-z0-9._-]`, not starting with a dot or a dash. */
	name: string
	containerId?: string
	/** Text bytes of the ring; rounded up to a power of two between 64 KiB and 64 MiB. */
	ringBytes?: number
	/** Bytes for the container's own files below /var/log. */
	quotaBytes?: number
	/** Records it may make a second, and at once; no limit when left out. */
	rate?: { perSecond: number; burst: number }
	/** The host name that its log lines carry; the name by default. */
	hostname?: string
	/** Text of its syslog.conf; the host's default otherwise. */
	conf?: string
	/** Host ids that the container's root has. */
	owner?: { uid: number; gid: number }
}

export interface ServiceInfo {
	version: string
	runDir: string
	engine: { pid: number; startedAtMs: number }
	restarts: number
	uptimeMs: number
	pogs: number
	/** Name of a kernel feature to what is in use: `fuse: "7.45"`, `passthrough: true`, ... */
	features: Record<string, string | number | boolean>
}

/** What of a POG can be put into a container; /run/pog always comes along. */
export const ATTACH_PARTS = ['kmsg', 'devlog', 'varlog', 'conf'] as const
export type AttachPart = (typeof ATTACH_PARTS)[number]

export interface AttachRequest {
	/** Any process of the container, as the host sees it. */
	pid: number
	/** All of them by default. */
	parts?: readonly AttachPart[]
}

export interface AttachReport {
	/** Paths in the container. */
	done: readonly string[]
	/** What was left out, each with its reason. */
	left: readonly string[]
	/** The container reaches the host's kernel log by syslog(2) all the same. */
	hostSyslog?: HostSyslog
}

/** The engine that is installed takes over from the one that runs. */
export interface UpgradeReport {
	/** Versions: of the engine that runs, and of the one that takes over. */
	readonly from: string
	readonly to: string
	/** The process that runs: as long as it answers, it has not been replaced. */
	readonly pid: number
}

export interface RecordFilter {
	/** Only the last N that match, before following. */
	last?: number
	sinceRealtimeUs?: number
	/** Not newer; following ends there. */
	untilRealtimeUs?: number
	facilities?: readonly number[]
	/** This severity and more severe. */
	severity?: number
	/** Contained in the text or the tag; capitals count only when it has some. */
	text?: string
	/** Of all POGs only these: names, ids, or beginnings of container ids. */
	pogs?: readonly string[]
	/** Of one POG: of its container's last life before this one. */
	previous?: boolean
	follow?: boolean
}

export interface PogService {
	describe(): ServiceInfo
	/** All POGs by id; the host first. */
	list(): Promise<PogInfo[]>
	show(name: string): Promise<Outcome<PogInfo>>
	create(spec: PogSpec): Promise<Outcome<PogInfo>>
	remove(name: string): Promise<Outcome<null>>
	/** Empties every view and moves the clear point; records stay counted. */
	clear(name: string): Promise<Outcome<null>>
	write(
		name: string,
		record: { facility: number; severity: number; tag: string; text: string },
	): Promise<Outcome<{ seq: number }>>
	resize(name: string, ringBytes: number): Promise<Outcome<PogInfo>>
	readConf(name: string): Promise<Outcome<{ text: string; state: PogInfo['conf']['state']; diagnostics: Diagnostic[] }>>
	writeConf(name: string, text: string): Promise<Outcome<{ diagnostics: Diagnostic[] }>>
	resetConf(name: string): Promise<Outcome<null>>
	/** Mounts a POG in a container that runs, made first when there is none of that name. */
	attach(name: string, request: AttachRequest): Promise<Outcome<AttachReport>>
	/** Takes it out of that container again; the POG stays. */
	detach(name: string): Promise<Outcome<AttachReport>>
	/** The first process of a container that was made with the POG in it: `pogctl run`. `keep`: the POG does not end with it. */
	started(name: string, pid: number, keep: boolean): Promise<Outcome<null>>
	/** Lets the version that is installed now take over: soon after the answer. */
	upgrade(): Promise<Outcome<UpgradeReport>>
	/** Records in order of arrival; of all POGs and the host merged by time when `name` is null. Ends when `signal` aborts. */
	records(name: string | null, filter: RecordFilter, signal: AbortSignal): Outcome<AsyncIterable<RecordInfo>>
	/** The newest record of each POG that has one. */
	newest(): RecordInfo[]
	/** What happened to POGs, the newest few; ends when `signal` aborts. */
	events(filter: EventFilter, signal: AbortSignal): Outcome<AsyncIterable<PogEvent>>
}
