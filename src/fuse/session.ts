/**
 * One FUSE connection: reads requests from the device, has them carried out, answers each exactly once.
 * Source: fuse_dev_do_read() and fuse_dev_do_write() in fs/fuse/dev.c (v6.12); fuse(4).
 *
 * Invariant: requests are answered in the order they are read, except those that answered PENDING; so an INTERRUPT
 * whose target is not pending comes too late and needs nothing, nor does one whose target is carried out in steps. A throw in an operation ends that request with EIO and
 * nothing else. This is the only place that catches.
 */
import { EAGAIN, EINTR, EIO, ENODEV, ENOENT, ENOSYS, EOPNOTSUPP } from '../lib/errno.ts'
import { ioctl, read } from '../sys/io.ts'
import {
	FUSE_BACKING_MAP,
	FUSE_INIT_IN_EXT,
	FUSE_INIT_OUT,
	FUSE_KERNEL_MINOR_VERSION,
	FUSE_KERNEL_VERSION,
	FUSE_NOTIFY_POLL_WAKEUP_OUT,
} from './abi.ts'
import {
	type Connection,
	type Features,
	type Filesystem,
	PENDING,
	type ReadReply,
	type RequestId,
} from './filesystem.ts'
import {
	FUSE_DEV_IOC_BACKING_CLOSE,
	FUSE_DEV_IOC_BACKING_OPEN,
	FUSE_NOTIFY_POLL,
	FUSE_NOTIFY_RESEND,
	hasInitFlag,
	type InitFlag,
} from './flags.ts'
import { featuresOf, type Negotiated, negotiate, NO_FEATURES, writeInit } from './negotiate.ts'
import { OPERATION_BY_OPCODE, type Operation, type Protocol } from './opcodes.ts'
import { status, written } from './encode.ts'
import { BODY_AT, BODY_WORD } from './reply.ts'
import { ARGUMENT_AT, type Request } from './request.ts'
import { takeResent } from './resent.ts'
import { NO_JOURNAL, type RequestJournal } from './request-journal.ts'
import { type Answerable, checked, Stepping } from './stepping.ts'
import { writeU64 } from './struct.ts'
import type { Workspace } from './workspace.ts'

/** Something that should not happen, for the log. */
export interface Fault {
	readonly message: string
	/** Name of the opcode, or its number. */
	readonly operation: string
	readonly node: number
	/** What was thrown, if something was. */
	readonly cause?: unknown
}

export interface SessionOptions {
	readonly workspace: Workspace
	/** Told at most `maxFaults` times. */
	readonly log: (fault: Fault) => void
	readonly maxFaults?: number
	/** In force already: an earlier process did the handshake on this descriptor. */
	readonly negotiated?: Negotiated
	/** INIT flags not to ask for, although the kernel offers them. */
	readonly withheld?: readonly InitFlag[]
	/** Told once, at the end of the handshake. */
	readonly onNegotiated?: (features: Features) => void
	/** Told of every request; nobody when left out. */
	readonly journal?: RequestJournal
}

/** Totals of one connection. */
export interface SessionCounters {
	requests: number
	/** Operations that threw, and replies the kernel refused. */
	faults: number
	/** Requests that were no such thing. */
	malformed: number
	/** Pending reads ended by a signal. */
	interrupted: number
	/** Replies to requests that the kernel had given up. */
	abandoned: number
}

const DEFAULT_MAX_FAULTS = 32
/** Stops who sends cheap requests for a while and then many expensive ones. */
const LONG_MS = 0.4

/** One connection, on a non-blocking descriptor of the FUSE device that the caller opens, mounts and closes. */
export class Session implements Connection, Protocol {
	readonly fd: number
	readonly counters: SessionCounters = { requests: 0, faults: 0, malformed: 0, interrupted: 0, abandoned: 0 }
	#features: Features = NO_FEATURES
	#negotiated: Negotiated | undefined
	#gone = 0
	readonly #filesystem: Filesystem
	readonly #workspace: Workspace
	readonly #log: (fault: Fault) => void
	readonly #maxFaults: number
	readonly #onNegotiated: (features: Features) => void
	readonly #withheld: readonly InitFlag[]
	readonly #journal: RequestJournal
	/** Reads that wait: the upper word of `unique` by request, all that a late answer needs beside the number itself. */
	readonly #pending = new Map<RequestId, number>()
	readonly later: Stepping

	constructor(fd: number, filesystem: Filesystem, options: SessionOptions) {
		this.fd = fd
		this.#filesystem = filesystem
		this.#workspace = options.workspace
		this.#log = options.log
		this.#maxFaults = options.maxFaults ?? DEFAULT_MAX_FAULTS
		this.#onNegotiated = options.onNegotiated ?? (() => {})
		this.#withheld = options.withheld ?? []
		this.#journal = options.journal ?? NO_JOURNAL
		this.#negotiated = options.negotiated ?? this.#journal.negotiated
		if (this.#negotiated !== undefined) this.#features = featuresOf(this.#negotiated)
		this.later = new Stepping(this.#journal, {
			threw: (operation, node, cause) => this.#threw(operation, node, cause),
			send: (operation, outcome, request) => this.#send(operation, outcome, request),
			resends: () => this.#features.resend,
		})
		filesystem.attach(this)
	}

	get features(): Features {
		return this.#features
	}

	/** What the handshake settled, for a later process; undefined before it. */
	get negotiated(): Negotiated | undefined {
		return this.#negotiated
	}

	/** Reads that wait for an answer. */
	get pendingReads(): number {
		return this.#pending.size
	}

	/**
	 * Reads and answers up to `maxRequests` requests; fewer when they take long. The number served, 0 when there was none, or a
	 * negative errno when the connection is gone (-ENODEV: unmounted or aborted).
	 */
	serve(maxRequests: number): number {
		if (this.#gone !== 0) return this.#gone
		if (this.#features.resend) return this.#take(maxRequests)
		this.#workspace.request.clear()
		this.#journal.taking(true)
		const served = this.#take(maxRequests)
		this.#journal.taking(false)
		return served
	}

	#take(maxRequests: number): number {
		const { address, bytes } = this.#workspace.request.memory
		const until = performance.now() + LONG_MS
		for (let served = 0; served < maxRequests; served++) {
			const got = read(this.fd, address, bytes.byteLength)
			if (got <= 0) {
				if (got === -EAGAIN) return served
				if (got === -EINTR || got === -ENOENT) continue // ENOENT: the caller was killed before we took its request.
				return this.#lose(got === 0 ? -ENODEV : got)
			}
			this.#answer(got)
			if (this.#gone !== 0) return this.#gone
			if (performance.now() > until) return served + 1
		}
		return maxRequests
	}

	/** Asks the kernel to send again what an earlier process took and never answered (7.40). 0 or a negative errno. */
	resend(): number {
		return this.#notify(FUSE_NOTIFY_RESEND, 0)
	}

	/**
	 * Goes on for an earlier process that was killed: has the kernel send again what that took and never answered (7.40), and
	 * answers it, before anything new. Reads wait again. 0, or -EOPNOTSUPP when the kernel cannot do that: then reads that
	 * waited end with EINTR, which readers know how to bear, and what was being carried out with EIO.
	 */
	revive(): number {
		// An earlier process that had not come to the handshake has taken that at most, and every kernel that has RESEND knows it.
		const able = this.#features.resend || this.#features.minor === 0
		if (!able || this.resend() < 0) {
			for (const [request, errno] of this.#journal.abandoned(this.#workspace.left))
				this.#workspace.late.sendStruct(this.fd, request % 2 ** 32, Math.floor(request / 2 ** 32), errno, 0)
			return -EOPNOTSUPP
		}
		const { bytes } = this.#workspace.request.memory
		// As a whole first: what the process died with has to come before what would overwrite its traces.
		const waiting = takeResent(this.fd, this.#workspace.request)
		const { rank } = this.#journal.resent
		waiting.sort((a, b) => rank(a.request) - rank(b.request) || a.request - b.request)
		for (const { copy } of waiting) {
			bytes.set(copy)
			this.#answer(copy.length)
			if (this.#gone !== 0) break
		}
		return 0
	}

	#wait(operation: Operation, { id, uniqueLow, uniqueHigh, node }: Request): void {
		if (operation.reply === 'data') this.#pending.set(id, uniqueHigh)
		else this.later.waits(id, operation, { uniqueLow, uniqueHigh, node })
		if (!this.#features.resend) this.#journal.waits(id)
	}

	finishRead(request: RequestId, sizeBytes: number, fill: (reply: ReadReply) => number): void {
		const uniqueHigh = this.#pending.get(request)
		if (uniqueHigh === undefined) return
		const { late } = this.#workspace
		late.begin(sizeBytes)
		let outcome: number
		try {
			outcome = fill(late)
		} catch (cause) {
			this.#fault({ message: 'Cannot finish a read: the operation threw', operation: 'FUSE_READ', node: 0, cause })
			outcome = -EIO
		}
		if (outcome === PENDING) return
		this.#pending.delete(request)
		// Stored in a 32-bit word, the request's number is the lower half of `unique`.
		const sent =
			outcome < 0
				? late.sendStruct(this.fd, request, uniqueHigh, outcome, 0)
				: late.sendData(this.fd, request, uniqueHigh)
		// Not before: a process that dies in between would leave the reader waiting for ever.
		if (!this.#features.resend) this.#journal.answered(request)
		if (sent < 0) this.#refused(sent, 'FUSE_READ', 0)
	}

	notifyPoll(kernelHandle: number): void {
		writeU64(this.#workspace.notice.words, BODY_WORD, kernelHandle)
		this.#notify(FUSE_NOTIFY_POLL, FUSE_NOTIFY_POLL_WAKEUP_OUT.sizeBytes)
	}

	openBacking(fd: number): number {
		const { notice } = this.#workspace
		notice.words.fill(0, BODY_WORD, BODY_WORD + FUSE_BACKING_MAP.sizeBytes / 4)
		notice.words[BODY_WORD] = fd
		return ioctl(this.fd, FUSE_DEV_IOC_BACKING_OPEN, notice.memory.address + BODY_AT)
	}

	closeBacking(backingId: number): void {
		const { notice } = this.#workspace
		notice.words[BODY_WORD] = backingId
		ioctl(this.fd, FUSE_DEV_IOC_BACKING_CLOSE, notice.memory.address + BODY_AT)
	}

	initialise(): number {
		const { in: given, out, request, reply, limits } = this.#workspace
		const { major, minor, max_readahead: maxReadaheadBytes, flags } = given.init
		const extended = hasInitFlag(flags, 0, 'FUSE_INIT_EXT') && request.end >= ARGUMENT_AT + FUSE_INIT_IN_EXT.sizeBytes
		const flags2 = extended ? given.initExt.flags2 : 0
		reply.memory.bytes.fill(0, BODY_AT, BODY_AT + FUSE_INIT_OUT.sizeBytes)
		out.init.major = FUSE_KERNEL_VERSION
		out.init.minor = FUSE_KERNEL_MINOR_VERSION
		// A newer major: name ours, and the kernel asks again in ours.
		if (major > FUSE_KERNEL_VERSION) return FUSE_INIT_OUT.sizeBytes
		const negotiated = negotiate(
			{ major, minor, maxReadaheadBytes, flags, flags2 },
			{ ...limits, withheld: this.#withheld },
		)
		if (typeof negotiated === 'number') {
			this.#fault({
				message: `Cannot speak FUSE ${major}.${minor}: need 7.31 or newer (kernel 5.4)`,
				operation: 'FUSE_INIT',
				node: 0,
			})
			return negotiated
		}
		writeInit(out.init, negotiated)
		this.#negotiated = negotiated
		this.#features = featuresOf(negotiated)
		this.#journal.keepNegotiated(negotiated)
		this.#onNegotiated(this.#features)
		return FUSE_INIT_OUT.sizeBytes
	}

	interrupt(request: RequestId): void {
		const uniqueHigh = this.#pending.get(request)
		if (uniqueHigh === undefined || this.#filesystem.goesOn?.(request)) return
		this.#pending.delete(request)
		this.counters.interrupted++
		const sent = this.#workspace.late.sendStruct(this.fd, request, uniqueHigh, -EINTR, 0)
		if (!this.#features.resend) this.#journal.answered(request)
		if (sent < 0) this.#refused(sent, 'FUSE_INTERRUPT', 0)
		this.#filesystem.interrupted(request)
	}

	/** Ends the session: the tree is told, once, and `serve` answers -ENODEV from now on. */
	destroy(): void {
		if (this.#gone === 0) this.#lose(-ENODEV)
	}

	#answer(sizeBytes: number): void {
		const { request } = this.#workspace
		this.counters.requests++
		if (!request.accept(sizeBytes)) {
			this.counters.malformed++
			return
		}
		const operation = OPERATION_BY_OPCODE[request.opcode]
		const kind = operation?.reply
		const journal = this.#journal
		if (kind === 'none' || operation === undefined) {
			const nothing = operation === undefined ? -ENOSYS : this.#carryOut(operation, request)
			if (kind !== 'none') this.#workspace.reply.sendStruct(this.fd, request.uniqueLow, request.uniqueHigh, nothing, 0)
			return
		}
		const { id } = request
		let outcome = request.resent ? this.#known(id, operation) : undefined
		if (outcome === undefined) {
			journal.begin(id)
			this.later.current = id
			outcome = this.#carryOut(operation, request)
			if (outcome !== PENDING && kind !== 'data') journal.commit(outcome)
		}
		if (outcome !== PENDING) this.#send(operation, outcome, request)
		journal.end()
	}

	#send({ reply: kind, name }: Operation, outcome: number, request: Answerable): void {
		const { reply } = this.#workspace
		const { uniqueLow, uniqueHigh } = request
		let sent: number
		if (outcome < 0 || kind === 'none') sent = reply.sendStruct(this.fd, uniqueLow, uniqueHigh, outcome, 0)
		else if (kind === 'data') sent = reply.sendData(this.fd, uniqueLow, uniqueHigh)
		else sent = reply.sendStruct(this.fd, uniqueLow, uniqueHigh, 0, kind(this.#workspace, outcome))
		if (sent < 0 && this.#refused(sent, name, request.node)) {
			// The kernel may still wait for this request; if it does not, it says ENOENT.
			reply.sendStruct(this.fd, uniqueLow, uniqueHigh, -EIO, 0)
		}
	}

	/** The outcome of a request that is sent again and must not be carried out again. */
	#known(id: RequestId, { reply, name }: Operation): number | undefined {
		const { resent } = this.#journal
		// The others' answers hold more than an outcome: these are carried out again, which makes no difference to what there is.
		const known = reply === status || reply === written ? resent.known(id) : undefined
		if (known !== undefined || !resent.isPoison(id)) return known
		this.#journal.refused(name)
		return -EIO
	}

	#carryOut(operation: Operation, request: Request): number {
		const parsed = request.parse(operation.struct.sizeBytes, operation.names)
		if (parsed < 0) {
			this.counters.malformed++
			return parsed
		}
		try {
			const outcome = operation.handle(this.#workspace, this.#filesystem, this)
			if (outcome === PENDING) this.#wait(operation, request)
			return checked(outcome)
		} catch (cause) {
			return this.#threw(operation.name, request.node, cause)
		}
	}

	#threw(operation: string, node: number, cause: unknown): number {
		this.#fault({ message: 'Cannot answer: the operation threw', operation, node, cause })
		return -EIO
	}

	/** A reply was not taken. True when that is our fault, and worth another try. */
	#refused(errno: number, operation: string, node: number): boolean {
		if (errno === -ENOENT) {
			this.counters.abandoned++
			return false
		}
		if (errno === -ENODEV) {
			this.#lose(errno)
			return false
		}
		this.#fault({ message: `Cannot send a reply: errno ${-errno}`, operation, node })
		return true
	}

	#notify(code: number, bodyBytes: number): number {
		const sent = this.#workspace.notice.sendStruct(this.fd, 0, 0, code, bodyBytes)
		return sent < 0 ? sent : 0
	}

	#fault(fault: Fault): void {
		this.counters.faults++
		if (this.counters.faults <= this.#maxFaults) this.#log(fault)
	}

	#lose(errno: number): number {
		this.#gone = errno
		this.#pending.clear()
		this.later.clear()
		try {
			this.#filesystem.destroy()
		} catch (cause) {
			this.#fault({ message: 'Cannot destroy: the operation threw', operation: 'FUSE_DESTROY', node: 0, cause })
		}
		return errno
	}
}
