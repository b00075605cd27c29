/**
 * /dev/log of one POG: datagrams from its container's programs become records.
 *
 * Invariant: a datagram that was received is a record or a counted drop before the next one is looked at, in this process or a
 * later one.
 */
import type { Pog, Sender } from '../pog/pog.ts'
import type { DatagramBatch } from '../sys/sockets.ts'
import type { Staging } from './staging.ts'
import { containerPid } from './sender-pid.ts'

const LONG_MS = 0.4

export class DevLog {
	readonly fd: number
	readonly #pog: Pog
	readonly #staging: Staging
	readonly #sender: Sender = { pid: 0, uid: 0, gid: 0, sentUs: 0 }
	/** The host pid that `#sender.pid` was translated from. */
	#hostPid = -1

	constructor(fd: number, pog: Pog, staging: Staging) {
		this.fd = fd
		this.#pog = pog
		this.#staging = staging
	}

	/** Appends what an earlier engine received and did not come to. Before anything else is appended. */
	recover(): void {
		const first = this.#staging.left(this.#pog)
		if (first !== undefined) this.#append(first, this.#staging.batch.received)
	}

	/**
	 * Takes up to `units` of what has arrived: the number of datagrams, 0 for none. In one batch, or where each may take long, one by
	 * one and fewer: what was received has to be appended before another POG is served.
	 */
	receive(units: number): number {
		const most = this.#pog.isCostly ? 1 : units
		const until = performance.now() + LONG_MS
		let taken = 0
		do {
			const count = this.#staging.receive(this.fd, this.#pog, most)
			if (count <= 0) return taken
			this.#append(0, count)
			taken += count
		} while (taken < units && most === 1 && performance.now() < until)
		return taken
	}

	#append(first: number, count: number): void {
		const staging = this.#staging
		const { batch } = staging
		// One translation a run of datagrams of the same sender in a batch; the next batch asks anew.
		this.#hostPid = -1
		const { bytes } = batch
		for (let i = first; i < count; i++) {
			staging.begin(i, this.#pog)
			const start = batch.start(i)
			const sender = this.#senderOf(batch, i)
			this.#pog.logDatagram(bytes, start, start + batch.sizeBytes(i), sender)
		}
		staging.end()
		this.#pog.flush()
	}

	#senderOf(batch: DatagramBatch, i: number): Sender {
		const sender = this.#sender
		const pid = batch.pid(i)
		if (pid !== this.#hostPid) {
			this.#hostPid = pid
			sender.pid = containerPid(pid)
		}
		sender.uid = batch.uid(i)
		sender.gid = batch.gid(i)
		sender.sentUs = batch.sentUs(i)
		return sender
	}
}
