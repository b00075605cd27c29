/**
 * Requests of one connection that are carried out in steps, between other requests.
 *
 * Invariant: to the journal each step is the request being carried out, from its beginning to its end: a process that dies of a step
 * has died of that request, and what the last step changed counts or does not count as one.
 */
import { EINTR } from '../lib/errno.ts'
import { type Later, PENDING, type RequestId } from './filesystem.ts'
import type { Operation } from './opcodes.ts'
import type { Request } from './request.ts'
import type { RequestJournal } from './request-journal.ts'

const MAX_ERRNO = 511

/** The kernel takes errno 1 to 511 and refuses the whole reply otherwise. */
export function checked(outcome: number): number {
	if (!(outcome >= -MAX_ERRNO)) throw new RangeError(`Outcome ${outcome} is no errno`)
	return outcome
}

/** What an answer needs of its request. */
export type Answerable = Pick<Request, 'uniqueLow' | 'uniqueHigh' | 'node'>

interface Waiting {
	readonly operation: Operation
	readonly request: Answerable
}

/** What the session does for it. */
interface Host {
	/** Tells of something that should not happen; the outcome instead. */
	threw(operation: string, node: number, cause: unknown): number
	send(operation: Operation, outcome: number, request: Answerable): void
	/** Whether the kernel sends again what was not answered. */
	resends(): boolean
}

export class Stepping implements Later {
	current: RequestId = 0
	readonly #waiting = new Map<RequestId, Waiting>()
	readonly #journal: RequestJournal
	readonly #host: Host

	constructor(journal: RequestJournal, host: Host) {
		this.#journal = journal
		this.#host = host
	}

	/** The operation answered PENDING. */
	waits(id: RequestId, operation: Operation, request: Answerable): void {
		this.#waiting.set(id, { operation, request })
	}

	goOn(id: RequestId, step: () => number): number {
		const waiting = this.#waiting.get(id)
		if (waiting === undefined) return -EINTR
		const { operation, request } = waiting
		this.#journal.begin(id)
		this.current = id
		let outcome: number
		try {
			outcome = checked(step())
		} catch (cause) {
			outcome = this.#host.threw(operation.name, request.node, cause)
		}
		if (outcome !== PENDING) {
			this.#waiting.delete(id)
			if (!this.#host.resends()) this.#journal.answered(id)
			this.#journal.commit(outcome)
			this.#host.send(operation, outcome, request)
		}
		this.#journal.end()
		return outcome
	}

	/** Nobody waits any more: the connection is gone. */
	clear(): void {
		this.#waiting.clear()
	}
}
