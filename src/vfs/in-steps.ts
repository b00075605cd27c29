/**
 * A request that may take long: carried out at once when it does not, else in steps beside the requests that follow.
 *
 * Invariant: what was begun first is done first; what nobody waits for any more is given up.
 */
import { type Later, PENDING, type RequestId } from '../fuse/filesystem.ts'
import { type Chores, partOf } from '../lib/chores.ts'
import { finish, type Steps } from '../lib/steps.ts'

/** The outcome of the current request, or PENDING. `later` undefined: nothing can be answered later. */
export function inSteps(work: Steps<number>, chores: Chores, later: Later | undefined): number {
	if (later === undefined) return finish(work)
	// Not past what was begun before: of two configurations the later one is to be in force.
	const done = chores.busy ? undefined : partOf(work)
	if (done !== undefined) return done.result
	chores.add(goingOn(later.current, work, later))
	return PENDING
}

function* goingOn(request: RequestId, work: Steps<number>, later: Later): Steps<void> {
	try {
		while (later.goOn(request, () => partOf(work)?.result ?? PENDING) === PENDING) yield
	} finally {
		// The connection may be gone: the work gives back what it holds.
		work.return(0)
	}
}
