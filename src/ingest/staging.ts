/**
 * Where datagrams are between the socket and the ring: memory that survives the process, so that what the kernel handed over is
 * not lost with it. One for all POGs of a thread.
 *
 * Invariant: which datagram is next is one number, stored with the ring's head before it is appended: a later process sees by the
 * ring's head whether that one is in the ring.
 */
import type { Memory } from '../lib/memory.ts'
import type { Pog } from '../pog/pog.ts'
import { DatagramBatch } from '../sys/sockets.ts'

/** 64-bit floats behind the datagrams. */
const FIELD = {
	/** The POG that is being received for; -1 for none (and 0, in a new file, is the host, which has no socket). */
	pog: 0,
	/** The ring's head before the datagram, times COUNT, plus its number in the batch; NONE before the first. */
	next: 1,
	/** The value of `next` that the process died with, and how often. */
	suspect: 2,
	deaths: 3,
	/** How many times the memory was used: a later one is never taken for an earlier one. */
	batches: 4,
	suspectBatch: 5,
} as const

const COUNT = 32
const NONE = -1
const MAX_DEATHS = 2
const SEVERITY_ERR = 3
const FLOATS = 8

export class Staging {
	readonly batch: DatagramBatch
	readonly #floats: Float64Array

	/** `map`: makes memory of a size, with what an earlier process left in it. */
	constructor(maxDatagramBytes: number, map: (sizeBytes: number) => Memory) {
		let floats = new Float64Array(FLOATS)
		this.batch = new DatagramBatch(COUNT, maxDatagramBytes, sizeBytes => {
			const at = Math.ceil(sizeBytes / 8) * 8
			const memory = map(at + FLOATS * 8)
			floats = new Float64Array(memory.buffer, at, FLOATS)
			return memory
		})
		this.#floats = floats
	}

	/** Receives for a POG: as `DatagramBatch.receive`. */
	receive(fd: number, pog: Pog, most: number): number {
		const floats = this.#floats
		floats[FIELD.pog] = NONE
		floats[FIELD.next] = NONE
		floats[FIELD.batches] = (floats[FIELD.batches] ?? 0) + 1
		floats[FIELD.pog] = pog.id
		return this.batch.receive(fd, most)
	}

	/** Datagram `i` is going to be appended. */
	begin(i: number, pog: Pog): void {
		this.#floats[FIELD.next] = pog.ring.headSeq * COUNT + i
	}

	/** All that was received is in the ring. */
	end(): void {
		this.#floats[FIELD.pog] = NONE
	}

	/**
	 * The number of the first datagram that an earlier process received for this POG and did not append; undefined when there is
	 * none. Before anything else is appended.
	 */
	left(pog: Pog): number | undefined {
		const floats = this.#floats
		if (floats[FIELD.pog] !== pog.id) return undefined
		const next = floats[FIELD.next] ?? NONE
		if (next === NONE) return 0
		const i = next % COUNT
		const done = pog.ring.headSeq > Math.floor(next / COUNT)
		return done ? i + 1 : i + (this.#isPoison(next, pog) ? 1 : 0)
	}

	#isPoison(next: number, pog: Pog): boolean {
		const floats = this.#floats
		const same = floats[FIELD.suspect] === next && floats[FIELD.suspectBatch] === floats[FIELD.batches]
		floats[FIELD.deaths] = same ? (floats[FIELD.deaths] ?? 0) + 1 : 1
		floats[FIELD.suspectBatch] = floats[FIELD.batches] ?? 0
		floats[FIELD.suspect] = next
		if ((floats[FIELD.deaths] ?? 0) < MAX_DEATHS) return false
		pog.ledger.drop('refused')
		pog.tell(SEVERITY_ERR, 'A message is refused: the log service ended twice with it')
		return true
	}
}
