/**
 * /dev/log of one POG: datagrams from its container's programs become records.
 *
 * Invariant: a datagram that was received is a record or a counted drop before the next one is looked at.
 */
import type { Pog, Sender } from '../pog/pog.ts'
import type { DatagramBatch } from '../sys/sockets.ts'
import { containerPid } from './sender-pid.ts'

export class DevLog {
	readonly fd: number
	readonly #pog: Pog
	readonly #batch: DatagramBatch
	readonly #sender: Sender = { pid: 0, uid: 0, gid: 0 }
	/** The host pid that `#sender.pid` was translated from. */
	#hostPid = -1

	constructor(fd: number, pog: Pog, batch: DatagramBatch) {
		this.fd = fd
		this.#pog = pog
		this.#batch = batch
	}

	/** Takes up to `units` of what has arrived, one batch at most: the number of datagrams, 0 for none. */
	receive(units: number): number {
		const batch = this.#batch
		const count = batch.receive(this.fd, units)
		if (count <= 0) return 0
		// One translation a run of datagrams of the same sender in a batch; the next batch asks anew.
		this.#hostPid = -1
		const { bytes } = batch
		for (let i = 0; i < count; i++) {
			const start = batch.start(i)
			const sender = this.#senderOf(batch, i)
			this.#pog.logDatagram(bytes, start, start + batch.sizeBytes(i), sender)
		}
		return count
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
		return sender
	}
}
