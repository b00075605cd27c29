/**
 * What a POG's session tells of its requests, put into the journal that survives the engine (`ring/journal.ts`).
 *
 * Invariant: what a request changed outside the ring is written down before it counts as done.
 */
import type { RequestId } from '../fuse/filesystem.ts'
import type { Negotiated } from '../fuse/negotiate.ts'
import type { RequestJournal } from '../fuse/request-journal.ts'
import { EINTR, EIO } from '../lib/errno.ts'
import type { Pog } from '../pog/pog.ts'
import { type Cell, kindOf, publish } from '../ring/cells.ts'
import { CELL_KIND, STATE } from '../ring/state-layout.ts'

const SEVERITY_ERR = 3
/** The word of a waiting read's cell that has its number. */
const REQUEST = 1

export class TreeJournal implements RequestJournal {
	readonly #pog: Pog
	readonly resent: RequestJournal['resent']
	/** Where waiting reads are kept, for kernels that send nothing again. */
	readonly #waiting = new Map<RequestId, Cell>()

	constructor(pog: Pog) {
		this.#pog = pog
		const { journal } = pog
		this.resent = {
			rank: request => journal.rank(request),
			isPoison: request => journal.isPoison(request),
			known: request => journal.known(request),
		}
	}

	get negotiated(): Negotiated | undefined {
		const { floats } = this.#pog.ring
		const [minor = 0, flags = 0, flags2 = 0, maxReadaheadBytes = 0, maxWriteBytes = 0, maxPages = 0] = floats.subarray(
			STATE.negotiated,
		)
		return minor === 0 ? undefined : { minor, flags, flags2, maxReadaheadBytes, maxWriteBytes, maxPages }
	}

	keepNegotiated({ minor, flags, flags2, maxReadaheadBytes, maxWriteBytes, maxPages }: Negotiated): void {
		const { floats } = this.#pog.ring
		floats.set([flags, flags2, maxReadaheadBytes, maxWriteBytes, maxPages], STATE.negotiated + 1)
		floats[STATE.negotiated] = minor
	}

	begin(request: RequestId): void {
		this.#pog.journal.begin(request)
	}

	commit(outcome: number): void {
		const { journal } = this.#pog
		journal.answers(outcome)
		this.#pog.flush()
		journal.done()
	}

	end(): void {
		this.#pog.journal.end()
	}

	refused(operation: string): void {
		this.#pog.ledger.drop('refused')
		this.#pog.tell(SEVERITY_ERR, `${operation} is refused with EIO: the log service ended twice with this request`)
	}

	waits(request: RequestId): void {
		const cell = this.#pog.cells.take()
		if (cell === undefined) return
		cell.floats[cell.at + REQUEST] = request
		publish(cell, CELL_KIND.waitingRead)
		this.#waiting.set(request, cell)
	}

	answered(request: RequestId): void {
		const cell = this.#waiting.get(request)
		this.#waiting.delete(request)
		if (cell !== undefined) this.#pog.cells.give(cell)
	}

	taking(begins: boolean): void {
		this.#pog.ring.floats[STATE.taking] = begins ? 1 : 0
	}

	abandoned(taken: RequestId): Iterable<readonly [request: RequestId, errno: number]> {
		const { cells, journal, ring } = this.#pog
		const left: [RequestId, number][] = []
		for (const cell of cells) {
			if (kindOf(cell) !== CELL_KIND.waitingRead) continue
			left.push([cell.floats[cell.at + REQUEST] ?? 0, -EINTR])
			cells.give(cell)
		}
		// Of two answers to the same one the kernel takes the first.
		if (journal.left !== 0) left.push([journal.left, -EIO])
		if (ring.floats[STATE.taking] === 1 && taken !== 0) left.push([taken, -EIO])
		ring.floats[STATE.taking] = 0
		return left
	}
}
