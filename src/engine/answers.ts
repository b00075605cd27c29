/** What the answer to a command can be beside the answer itself: a refusal, or one that comes when some work of a POG is done. */
import { describePog, type PogFigures } from '../pog/describe.ts'
import type { Steps } from '../lib/steps.ts'
import type { CommandName, Commands } from './messages.ts'
import type { ServedPog } from './served-pog.ts'

export type Answer<N extends CommandName> = Commands[N]['answer'] | Refusal
/** Only a transport that mounts for itself answers by a promise: a thread that sleeps in epoll resolves none. */
export type Handlers = {
	[N in CommandName]: (ask: Commands[N]['ask']) => Answer<N> | Deferred<Answer<N>> | Promise<Answer<N>>
}

/** An expected failure, in words. */
export class Refusal {
	readonly message: string
	constructor(message: string) {
		this.message = message
	}
}

/** What became of the request to serve a POG. */
export type Served = ServedPog | Refusal

/** The answer to it: of a POG that is served now. */
export function whenServed<A>(
	served: Served | Promise<Served>,
	answer: (served: ServedPog) => A,
): A | Refusal | Promise<A | Refusal> {
	if (served instanceof Promise) return served.then(settled => whenServed(settled, answer))
	return served instanceof Refusal ? served : answer(served)
}

/** An answer that comes later, in a thread whose event loop never runs: no promise would be kept there. */
export class Deferred<A> {
	#settled: { readonly answer: A } | null = null
	#tell: ((answer: A) => void) | null = null

	settle(answer: A): void {
		this.#settled = { answer }
		this.#tell?.(answer)
	}

	/** Tells the answer when it is there, or at once. */
	whenSettled(tell: (answer: A) => void): void {
		this.#tell = tell
		if (this.#settled !== null) tell(this.#settled.answer)
	}

	/** The same answer in another form. */
	map<B>(form: (answer: A) => B): Deferred<B> {
		const formed = new Deferred<B>()
		this.whenSettled(answer => formed.settle(form(answer)))
		return formed
	}
}

/** Does some work of a POG in steps, beside its requests and after what was begun before, then answers. */
export function later<T, A>(
	served: ServedPog,
	work: Steps<T>,
	answer: (result: T) => A | Refusal,
): Deferred<A | Refusal> {
	const deferred = new Deferred<A | Refusal>()
	served.begin(
		(function* (): Steps<void> {
			let told: A | Refusal
			try {
				told = answer(yield* work)
				served.pog.flush()
			} catch (cause) {
				told = new Refusal(`Internal error: ${cause instanceof Error ? cause.message : String(cause)}`)
			}
			deferred.settle(told)
		})(),
	)
	return deferred
}

/** The POG as it is after a change, or why there was none. */
export function describeOr({ pog }: ServedPog, done: object | { error: string }): PogFigures | Refusal {
	return 'error' in done ? new Refusal(done.error) : describePog(pog)
}
