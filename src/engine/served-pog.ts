/**
 * One POG as a shard serves it: the domain, its tree behind a FUSE connection, its /dev/log socket.
 *
 * Invariant: everything here is used by one thread. `close` gives back every descriptor and mapping.
 */
import { dirname } from 'node:path'
import { DevLog } from '../ingest/dev-log.ts'
import { containerPid, processName } from '../ingest/sender-pid.ts'
import { errnoName } from '../lib/errno.ts'
import type { Chores } from '../lib/chores.ts'
import { formatSize } from '../lib/size.ts'
import type { Steps } from '../lib/steps.ts'
import { Pog } from '../pog/pog.ts'
import { geometry } from '../ring/layout.ts'
import type { Ring } from '../ring/ring.ts'
import { close, O_CLOEXEC, O_RDWR, openPath, pread, pwrite } from '../sys/io.ts'
import { FileCalls } from '../sys/files.ts'
import { remountTmpfs } from '../sys/mount.ts'
import { SyslogCalls } from '../syslog2/syslog-calls.ts'
import type { Backing } from '../vfs/backing.ts'
import { PogTree } from '../vfs/pog-tree.ts'
import type { ServeRequest } from './messages.ts'
import type { Link } from './link.ts'
import { PogObserver } from './pog-observer.ts'
import type { Endpoint } from './reactor.ts'
import { KeptState } from './kept-state.ts'
import {
	adoptRing,
	closeRing,
	closeRingInSteps,
	createRing,
	removeBeside,
	resizeRing,
	reviveRing,
} from './ring-file.ts'
import { readIncludes } from './includes.ts'
import type { ShardContext } from './shard-context.ts'
import { storeBytes } from './store-size.ts'
import { Account } from './turns.ts'

/** More than a socket can hold: net.unix.max_dgram_qlen is 512 at most on the systems we know. */
const LAST_TURNS = 16
const LAST_UNITS = 64

/** Messages that are taken before a look at a view: those of a flood would hold up the answer. */
const LOOK_UNITS = 32

export class ServedPog {
	readonly pog: Pog
	readonly link: Link
	readonly log: Endpoint
	readonly syslog: SyslogCalls
	readonly observer: PogObserver
	/** The time that all its work takes. */
	readonly account = new Account()
	/** The first process of its container, by the host's number; 0 while it is not known. */
	firstPid = 0
	readonly #tree: PogTree
	readonly #kept: KeptState
	readonly #request: ServeRequest
	readonly #context: ShardContext

	private constructor(
		pog: Pog,
		tree: PogTree,
		link: Link,
		kept: KeptState,
		request: ServeRequest,
		context: ShardContext,
		devLog: DevLog,
	) {
		this.pog = pog
		this.#kept = kept
		this.#tree = tree
		this.#context = context
		this.#request = request
		this.link = link
		this.log = { fd: request.logFd, turn: units => devLog.receive(units), over: () => {}, patient: true }
		this.syslog = new SyslogCalls(pog, context.desk)
		this.observer = new PogObserver(pog)
	}

	get containerId(): string {
		return this.#request.containerId
	}

	/** What an earlier engine took for it. */
	get inheritedListeners(): ServeRequest['syslogFds'] {
		return this.#request.syslogFds
	}

	/** The container's first process, or 0. */
	get pid(): number {
		return this.#request.pid
	}

	/** Makes the ring and takes over the descriptors; or a message, and the descriptors stay the caller's. */
	static create(request: ServeRequest, context: ShardContext, onGone: () => void): ServedPog | string {
		const ring = request.revive
			? reviveRing(request.ringPath, request.resume)
			: createRing(request.ringPath, request.ringBytes)
		if (ring === undefined) return `${request.ringPath} is no ring, or is damaged`
		if (typeof ring === 'number') return `Cannot make a ring of ${formatSize(request.ringBytes)}: ${errnoName(ring)}`
		// An engine was killed while it moved this ring: what that needed is given back.
		if (request.revive && removeBeside(request.ringPath))
			remountTmpfs(request.storePath, storeBytes(ring.textBytes, request.quotaBytes))
		const kept = new KeptState(dirname(request.storePath))
		if (!request.revive) kept.clear()
		const saved = request.revive ? kept.load() : undefined
		if (request.revive && saved === undefined) return `What was kept of "${request.name}" cannot be read`
		const pog = new Pog(ring, {
			id: request.id,
			name: request.name,
			hostname: request.hostname,
			owner: request.owner,
			conf: request.conf,
			rate: request.rate,
			limits: context.limits,
			policy: context.policy,
			clock: context.clock,
			moreCells: kept.moreCells,
			keep: kept,
			readIncludes: pattern => readIncludes(request.storePath, pattern),
			...(saved === undefined ? {} : { saved }),
		})
		if (request.revive && !request.resume) pog.forgetConnection()
		const devLog = new DevLog(request.logFd, pog, context.staging)
		if (request.revive) devLog.recover()
		// Who logs and then looks finds it: also where we come to the question before the message.
		const take = (): void => void devLog.receive(LOOK_UNITS)
		pog.onLook = () => pog.journal.aside(take)
		const backing: Backing = { calls: context.calls, root: request.storeFd, scratch: context.scratch }
		let served: ServedPog | null = null
		const tree = new PogTree(pog, {
			backing,
			actions: {
				*resize(bytes) {
					// Asked of an earlier engine, and again while this one begins.
					while (served === null) yield
					return yield* served.resize(bytes)
				},
			},
			reports: { pogctl: context.pogctl },
			containerPid,
			processName,
			draft: kept,
		})
		const link = withWork(context.connect(request, tree, onGone), tree)
		let working = false
		tree.onWork = () => {
			if (link.endpoint !== null) return context.nudge(link.endpoint)
			// What a step adds is done by the loop that does the step.
			if (working) return
			working = true
			try {
				while (tree.work()) {}
			} finally {
				working = false
			}
		}
		served = new ServedPog(pog, tree, link, kept, request, context, devLog)
		return served
	}

	/** A ring of another size with the newest records, in steps; the quota of the store follows. */
	*resize(wishedBytes: number): Steps<{ sizeBytes: number } | { error: string }> {
		const { pog } = this
		const { ringPath, storePath, quotaBytes } = this.#request
		const from = pog.ring
		const { textBytes } = geometry(wishedBytes)
		if (textBytes === from.textBytes) return { sizeBytes: textBytes }
		const most = pog.policy.maxRingBytes ?? textBytes
		if (textBytes > most) {
			return { error: `A ring of ${formatSize(textBytes)} is more than this host allows (${formatSize(most)})` }
		}
		remountTmpfs(storePath, storeBytes(textBytes, quotaBytes) + storeBytes(from.textBytes, 0))
		const moved = yield* this.#move(ready => resizeRing(ringPath, from, textBytes, ready))
		if (moved < 0) {
			remountTmpfs(storePath, storeBytes(from.textBytes, quotaBytes))
			return {
				error: `Cannot make a ring of ${formatSize(textBytes)}: ${errnoName(moved)}; it stays at ${formatSize(from.textBytes)}`,
			}
		}
		this.#context.resized(this.#request.id, textBytes)
		return { sizeBytes: textBytes }
	}

	/** Goes on in a ring file that the container has paid for, in steps. The size, or a message. */
	*adopt(path: string, textBytes: number): Steps<{ sizeBytes: number } | { error: string }> {
		const { ring } = this.pog
		const moved = yield* this.#move(ready => adoptRing(this.#request.ringPath, ring, path, textBytes, ready))
		return moved < 0 ? { error: `Cannot move the ring into ${path}: ${errnoName(moved)}` } : { sizeBytes: textBytes }
	}

	/** 0, or a negative errno and nothing changed. */
	*#move(make: (ready: () => Steps<void>) => Steps<Ring | number>): Steps<number> {
		const { pog } = this
		const { ringPath, storePath, quotaBytes } = this.#request
		const from = pog.ring
		let spentFd = openPath(ringPath, O_RDWR | O_CLOEXEC)
		try {
			const ring = yield* make(() => pog.views.catchUpInSteps())
			if (typeof ring === 'number') return ring
			pog.moveTo(ring)
			this.chores.add(this.#giveBack(from, spentFd))
			spentFd = -1
			remountTmpfs(storePath, storeBytes(ring.textBytes, quotaBytes))
			return 0
		} finally {
			if (spentFd >= 0) close(spentFd)
		}
	}

	/** The pages go with the last descriptor, which another thread closes: tens of thousands of them take it a while. */
	*#giveBack(ring: Ring, fd: number): Steps<void> {
		yield* closeRingInSteps(ring)
		if (fd >= 0) this.#context.spent(fd)
	}

	/** Work that is done beside requests. */
	get chores(): Chores {
		return this.#tree.chores
	}

	/** Begins such work; where no turns are given, it is done at once. */
	begin(work: Steps<void>): void {
		this.chores.add(work)
		if (this.#retired || this.link.endpoint === null) this.chores.finish()
	}

	#retired = false

	/** Gives back the connection and the socket; the ring stays readable from the host. */
	retire(): void {
		if (this.#retired) return
		this.#retired = true
		this.#takeLast()
		this.pog.onLook = () => {}
		this.chores.finish()
		this.syslog.closeAll()
		this.link.close()
		// Files of the container's that are open still would keep its store in memory.
		this.#tree.destroy()
		close(this.log.fd)
		close(this.#request.storeFd)
	}

	/** What was sent to /dev/log before the end belongs to the log; a socket that somebody goes on sending to has no end. */
	#takeLast(): void {
		for (let turn = 0; turn < LAST_TURNS && this.log.turn(LAST_UNITS) > 0; turn++) {}
	}

	/** It was never served: the descriptors stay the caller's. */
	abandon(): void {
		this.link.close()
		closeRing(this.pog.ring)
	}

	close(): void {
		this.retire()
		this.chores.finish()
		closeRing(this.pog.ring)
		this.#kept.close()
	}
}

/** What requests have left to do is done in the turns of their connection. */
function withWork(link: Link, tree: PogTree): Link {
	const { endpoint } = link
	if (endpoint === null) return link
	const turn = (units: number): number => {
		const done = endpoint.turn(units)
		return done >= 0 && tree.work() ? units : done
	}
	return { ...link, endpoint: { fd: endpoint.fd, turn, over: () => endpoint.over() } }
}

/** Memory for what app files' reads deliver. */
export const READ_SCRATCH_BYTES = 1 << 20

/** `FileCalls` and the descriptor calls, as the tree wants them. */
export function backingCalls(): Backing['calls'] {
	return Object.assign(new FileCalls(), { close, pread, pwrite })
}
