/**
 * Where datagrams are between the socket and the ring: memory that survives the process, so that what the kernel handed over is
 * not lost with it. One for all POGs of a thread.
 *
 * Invariants: nothing in it is believed but what was received since it was last made somebody's; which datagram is next is one number, stored with the ring's head before it is appended: a later process sees by the
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
/** A POG that an earlier process served is here by then, or does not come any more. */
const HELD_MS = 5000

export class Staging {
	readonly batch: DatagramBatch
	readonly #floats: Float64Array
	/** The POG whose datagrams an earlier process left, until it has taken them; NONE for none. */
	#owner: number
	readonly #heldUntilMs: number

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
		this.#owner = (floats[FIELD.pog] ?? NONE) > 0 ? (floats[FIELD.pog] ?? NONE) : NONE
		this.#heldUntilMs = performance.now() + HELD_MS
	}

	/** Receives for a POG: as `DatagramBatch.receive`, and 0 while an earlier process's datagrams wait for their own POG. */
	receive(fd: number, pog: Pog, most: number): number {
		if (this.#owner !== NONE && performance.now() < this.#heldUntilMs) return 0
		this.#owner = NONE
		const floats = this.#floats
		floats[FIELD.pog] = NONE
		// Before the memory is anybody's: what is in it is another batch's, or another POG's.
		this.batch.clear()
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
		this.#owner = NONE
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
