/**
 * What crosses between the main thread and a shard. Plain data; descriptors are numbers, because both are one process.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'
import type { PogFigures } from '../pog/describe.ts'
import type { ConfState } from '../pog/configured.ts'
import type { PogPolicy } from '../pog/limits.ts'
import type { NamedDescriptor } from '../sys/upbringing.ts'
import type { Noticed } from './pog-observer.ts'
import type { Transport } from './transports.ts'

/** A POG whose mount, store and socket are there, to be served. */
export interface ServeRequest {
	id: number
	name: string
	hostname: string
	owner: { uid: number; gid: number }
	/** The container it is for, when a runtime told; else empty. */
	containerId: string
	/** Text of its own, or null for the host's default. */
	conf: string | null
	rate: { perSecond: number; burst: number } | null
	/** The mounted connection; -1 when the transport mounts for itself, on `mountPoint`. */
	fuseFd: number
	mountPoint: string
	logFd: number
	/** The store's root directory. */
	storeFd: number
	storePath: string
	ringPath: string
	ringBytes: number
	quotaBytes: number
	/** The store is an earlier engine's: its ring and state are opened as they are, not made. */
	revive: boolean
	/** So is the connection: no INIT will come, and what was not answered is sent again. Only with `revive`. */
	resume: boolean
	/** Its container is gone: there is no connection and no socket (-1), and the records stay readable. Only with `revive`. */
	retired: boolean
	/** The container's first process, when it is known; else 0. */
	pid: number
	/** Seccomp listeners that an earlier engine took, by their name in the descriptor store. */
	syslogFds: readonly NamedDescriptor[]
}

/** Every command by name: what is asked, and what is answered. */
export interface Commands {
	serve: { ask: ServeRequest; answer: PogFigures }
	/** The same of an earlier engine's POG, whose figures take time that others wait for. */
	revive: { ask: ServeRequest; answer: null }
	remove: { ask: { id: number }; answer: null }
	list: { ask: null; answer: PogFigures[] }
	show: { ask: { id: number }; answer: PogFigures }
	clear: { ask: { id: number }; answer: null }
	write: { ask: { id: number; facility: number; severity: number; tag: string; text: string }; answer: { seq: number } }
	resize: { ask: { id: number; ringBytes: number }; answer: PogFigures }
	readConf: { ask: { id: number }; answer: { text: string; state: ConfState; diagnostics: Diagnostic[] } }
	writeConf: { ask: { id: number; text: string }; answer: { diagnostics: Diagnostic[] } }
	resetConf: { ask: { id: number }; answer: null }
	policy: { ask: PogPolicy; answer: null }
	/** Serves the host's control file on this FUSE connection; `revive`: it is an earlier engine's. `storePath`: for its state. */
	serveControl: { ask: { fuseFd: number; revive: boolean; storePath: string }; answer: null }
	/** Takes seccomp listeners of containers from this listening socket; `callers` had connected to an earlier engine. */
	serveSyslog: { ask: { socketFd: number; callers: readonly NamedDescriptor[] }; answer: null }
	/** Takes syslog(2) calls of LXC containers from this listening socket. */
	serveLxc: { ask: { socketFd: number }; answer: null }
	/** The answer to a command of the control file. */
	answerControl: { ask: { command: number; line: string }; answer: null }
	/** Moves the ring into this file, allocated for a ring of that size. */
	adoptRing: { ask: { id: number; path: string; textBytes: number }; answer: PogFigures }
	/** Watches the container's first process: `exited` follows. */
	watch: { ask: { id: number; pid: number }; answer: null }
	/** The container is gone: its connection and socket are closed, its records stay. */
	retire: { ask: { id: number }; answer: null }
	/** A sign of life: the loop serves, and commands are heard. */
	ping: { ask: null; answer: null }
	/** Serves nothing more, and gives nothing back: the next engine goes on from here. */
	suspend: { ask: null; answer: null }
	stop: { ask: null; answer: null }
}
export type CommandName = keyof Commands

export interface CommandMessage<N extends CommandName = CommandName> {
	serial: number
	name: N
	ask: Commands[N]['ask']
}

/** `error`: an expected failure in words, for the one who asked. */
export type AnswerMessage = { serial: number; answer: unknown } | { serial: number; error: string }

/** What a shard tells unasked. */
export type ShardEvent =
	| { event: 'ready' }
	| { event: 'log'; level: 'error' | 'warn' | 'info'; message: string; fields: Record<string, string | number> }
	| { event: 'negotiated'; protocol: string; features: Record<string, string | number | boolean> }
	| { event: 'gone'; id: number }
	| { event: 'exited'; id: number }
	/** A process of the POG's container brought its seccomp listener; the container's first one first. */
	| { event: 'introduced'; id: number; pid: number }
	/** The container resized its ring: what it has now is not charged to it yet. */
	| { event: 'resized'; id: number; textBytes: number }
	/** To be closed where it holds up nobody. */
	| { event: 'spent'; fd: number }
	/** Something to be told as an event of the POG. */
	| ({ event: 'noticed'; id: number } & Noticed)
	| { event: 'hostCommand'; command: number; line: string }

/** What a shard's thread starts with. */
export interface ShardData {
	transport: Transport
	/** The process that was started as the service. */
	leader: number
	/** Containers wait: the engine before has died. */
	awaited: boolean
	/** Written to by the main thread to wake the shard. */
	wakeFd: number
	policy: PogPolicy
	/** The in-container `pogctl`. */
	pogctl: Uint8Array
	/** Where the keeper listens that outlives this process; null for none. */
	notifySocket: string | null
	/** The file that datagrams are received into, so that a later engine finds them; null: none comes. */
	stagingPath: string | null
}
