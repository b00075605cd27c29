/**
 * What a session tells about each request, so that a later process can go on where this one was killed.
 *
 * Source: FUSE_NOTIFY_RESEND, include/uapi/linux/fuse.h (7.40); fuse_resend() in fs/fuse/dev.c (v6.12): requests that were read
 * and not answered are queued again, before new ones, with the highest bit of `unique` set.
 */
import type { RequestId } from './filesystem.ts'
import type { Negotiated } from './negotiate.ts'

export interface RequestJournal {
	/** What an earlier process settled with the kernel on this connection; undefined when it did not come so far. */
	readonly negotiated: Negotiated | undefined
	keepNegotiated(negotiated: Negotiated): void
	/** The request is going to be carried out. */
	begin(request: RequestId): void
	/** It was carried out; `outcome` is what its answer, which follows, will say. */
	commit(outcome: number): void
	/** It was answered, or waits for its answer. */
	end(): void
	/** What the session is to be told of a request that is sent again: */
	readonly resent: {
		/** the lowest goes first; */
		readonly rank: (request: RequestId) => number
		/** processes died with it too often: it is answered EIO; */
		readonly isPoison: (request: RequestId) => boolean
		/** the outcome, when it was carried out already. */
		readonly known: (request: RequestId) => number | undefined
	}
	/** A request was given up as poison. */
	refused(operation: string): void
	/** For kernels that send nothing again: a read waits for its answer, */
	waits(request: RequestId): void
	/** has it, */
	answered(request: RequestId): void
	/** requests are being taken from the kernel, into memory that survives the process, or no more; */
	taking(begins: boolean): void
	/**
	 * and these an earlier process took and never answered; what to answer them, negative. `taken`: the one that lies in that
	 * memory, by whatever connection it came; 0 for none.
	 */
	abandoned(taken: RequestId): Iterable<readonly [request: RequestId, errno: number]>
}

const NOTHING = (): void => {}

/** For a connection that ends with its process. */
export const NO_JOURNAL: RequestJournal = {
	negotiated: undefined,
	keepNegotiated: NOTHING,
	begin: NOTHING,
	commit: NOTHING,
	end: NOTHING,
	resent: { rank: () => 0, isPoison: () => false, known: () => undefined },
	refused: NOTHING,
	waits: NOTHING,
	answered: NOTHING,
	taking: NOTHING,
	abandoned: () => [],
}
