/**
 * Everybody who waits for the kernel log of one POG: blocked reads, and handles that are polled.
 *
 * A container may have thousands of both, so a record only says that there is something to tell; telling is work of its own, done
 * in steps (`serve`) in the turns of that container's connection. A poller that was told and has not looked since is not told
 * again: it is on its way already (fs/fuse/file.c, fuse_notify_poll_wakeup; eventpoll keeps it in its ready list).
 *
 * Invariants: a waiting read is answered exactly once: by a record, or by the kernel's interrupt. A record costs no more
 * than one step, and each poll or read at most one answer and one notice later.
 */
import { type Connection, PENDING, type ReadReply, type ReadRequest, type RequestId } from '../fuse/filesystem.ts'
import { EAGAIN, ENOMEM } from '../lib/errno.ts'
import { KmsgLog } from '../pog/kmsg-log.ts'
import type { Pog } from '../pog/pog.ts'
import { StoredRecord } from '../pog/stored.ts'
import { DEV_KMSG_CAP_BYTES, renderDevKmsg } from '../record/dev-kmsg.ts'
import { PROC_KMSG_CAP_BYTES } from '../record/proc-kmsg.ts'
import type { Cell } from '../ring/cells.ts'
import { EXTRA, extraLength } from '../ring/extra.ts'

/** A file whose read can wait. */
export interface Waiter {
	/** Reads at the position that all such readers share. */
	readonly shared: boolean
	/** Answers a read: 0 with bytes in the reply, a negative errno, or -EAGAIN to go on waiting. */
	resume(request: RequestId, sizeBytes: number, reply: ReadReply): number
}

interface Waiting {
	waiter: Waiter
	sizeBytes: number
}

/** How many are told at once. */
const STEP = 32

/** Shared by all logs of this thread: a record is copied into its answer before the next one is rendered. */
const SCRATCH = new Uint8Array(Math.max(DEV_KMSG_CAP_BYTES, PROC_KMSG_CAP_BYTES))

export class KmsgReaders {
	readonly pog: Pog
	readonly log: KmsgLog
	/** The record rendered last. */
	readonly scratch: Uint8Array = SCRATCH
	readonly #connection: Connection
	readonly #waiting = new Map<number, Waiting>()
	/** Kernel handles of those who polled since they were last told. */
	readonly #watched = new Map<object, number>()
	/** Those of both who are still to be told, and whether records came since that was settled. */
	#toResume: number[] = []
	#toNotify: object[] = []
	#again = false
	/** Told when there is something for `serve` to do. */
	onWork: () => void = () => {}
	readonly #record = new StoredRecord()

	constructor(pog: Pog, connection: Connection) {
		this.pog = pog
		this.log = new KmsgLog(pog)
		this.#connection = connection
		pog.onKmsg.push(() => this.#wake())
	}

	/** Keeps a read until a record comes. */
	wait(waiter: Waiter, request: ReadRequest): void {
		if (this.#waiting.size >= this.pog.limits.pendingReads) {
			// Too many to keep: the oldest one has waited long enough.
			for (const [oldest, { sizeBytes }] of this.#waiting) {
				this.#waiting.delete(oldest)
				this.pog.ledger.deny('reads')
				this.#connection.finishRead(oldest, sizeBytes, () => -ENOMEM)
				break
			}
		}
		this.#waiting.set(request.request, { waiter, sizeBytes: request.sizeBytes })
	}

	/** A read is going to move this file, or the position that all share: a later engine can put it back. */
	reading(request: RequestId, { cell }: { cell: Cell | null }): void {
		if (cell !== null) this.pog.journal.reading(request, cell)
	}

	/** Wakes everybody who polls, whether there is something or not: a notice may have gone with an earlier engine. */
	notifyAll(): void {
		for (const kernelHandle of this.#watched.values()) this.#connection.notifyPoll(kernelHandle)
	}

	forget(request: number): void {
		this.#waiting.delete(request)
	}

	/** Notifies this poller of the next record. */
	watch(file: object, kernelHandle: number): void {
		this.#watched.set(file, kernelHandle)
	}

	unwatch(file: object): void {
		this.#watched.delete(file)
	}

	get #telling(): boolean {
		return this.#toResume.length > 0 || this.#toNotify.length > 0
	}

	#wake(): void {
		if (this.#telling) {
			this.#again = true
			return
		}
		this.#begin()
		if (this.#step()) this.onWork()
	}

	#begin(): void {
		this.#again = false
		// From the end, so that who waited longest is first.
		if (this.#waiting.size > 0) this.#toResume = [...this.#waiting.keys()].reverse()
		if (this.#watched.size > 0) this.#toNotify = [...this.#watched.keys()].reverse()
	}

	/** Tells some of those who are to be told; whether there are more. */
	serve(): boolean {
		if (!this.#telling) return false
		if (this.#step()) return true
		if (this.#again) this.#begin()
		return this.#telling
	}

	#step(): boolean {
		for (let told = 0; told < STEP; told++) {
			const request = this.#toResume.pop()
			if (request === undefined) break
			this.#resume(request)
		}
		for (let told = 0; told < STEP; told++) {
			const file = this.#toNotify.pop()
			if (file === undefined) break
			const kernelHandle = this.#watched.get(file)
			if (kernelHandle === undefined) continue
			this.#watched.delete(file)
			this.#connection.notifyPoll(kernelHandle)
		}
		return this.#telling
	}

	#resume(request: number): void {
		const waiting = this.#waiting.get(request)
		if (waiting === undefined) return
		const { waiter, sizeBytes } = waiting
		this.#connection.finishRead(request, sizeBytes, reply => {
			const answer = waiter.resume(request, sizeBytes, reply)
			// A reader of the shared position may find it drained by the one before: it goes on waiting.
			if (answer === -EAGAIN) return PENDING
			this.#waiting.delete(request)
			return answer
		})
	}

	/** Renders a record as /dev/kmsg gives it into `scratch`; its length. */
	renderDevice(seq: number): number {
		const { ring } = this.pog
		const r = this.#record.read(ring, seq, true)
		const at = r.extra(ring, EXTRA.dictionary)
		const dictionary = at < 0 ? undefined : ring.text.subarray(at, at + extraLength(ring.text, at))
		const kmsgSeq = ring.kmsgSeq(seq)
		return renderDevKmsg(
			this.scratch,
			0,
			r.facility,
			r.severity,
			kmsgSeq,
			r.monotonicUs,
			ring.text,
			r.textStart,
			r.textEnd,
			dictionary,
		)
	}

	/** Renders a record as /proc/kmsg gives it into `scratch`; its length. */
	renderProc(seq: number): number {
		return this.#record.asProcKmsg(this.scratch, this.pog.ring, seq)
	}
}
