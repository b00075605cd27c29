/**
 * What a POG writes down for a later engine, beside its ring: everything that is seldom changed. As a whole, and put in place by
 * one rename, so that it is never half of a change; `request` says which request's changes are the last in it.
 */
import type { SavedConfigured } from './configured.ts'
import type { Pog } from './pog.ts'
import type { SavedPrintk } from './printk.ts'
import type { SavedViews } from './view.ts'

export interface SavedPog {
	/** The `unique` of the request that was carried out when this was written; 0 for none. */
	request: number
	createdUs: number
	views: SavedViews
	conf: SavedConfigured
	printk: SavedPrintk
	/** Answers of `ctl` that were not read yet, by handle. */
	answers: [handle: number, answer: string][]
}

/** Where it is written to. */
export interface Keep {
	/** Replaces what was there before. False: it could not be written. */
	save(saved: SavedPog): boolean
}

/** Written down at most: somebody may have thousands of handles that ask and never read. */
const MAX_ANSWERS = 64

/** What `ctl` answered and nobody has read yet: the newest of them. */
export class Answers {
	readonly #byHandle = new Map<number, string>()
	/** Counts what is worth to be written down. */
	changes = 0

	get(handle: number): string {
		return this.#byHandle.get(handle) ?? ''
	}

	set(handle: number, answer: string): void {
		this.changes++
		this.#byHandle.delete(handle)
		this.#byHandle.set(handle, answer)
		if (this.#byHandle.size <= MAX_ANSWERS) return
		for (const oldest of this.#byHandle.keys()) return void this.#byHandle.delete(oldest)
	}

	/** Nobody can ask for it any more; told with the next change. */
	delete(handle: number): void {
		this.#byHandle.delete(handle)
	}

	save(): [handle: number, answer: string][] {
		return [...this.#byHandle]
	}

	restore(answers: SavedPog['answers']): void {
		for (const [handle, answer] of answers) this.#byHandle.set(handle, answer)
	}
}

/** Writes a POG down whenever something has changed. */
export class Notebook {
	readonly #keep: Keep | null
	/** What was written down last, as a count of changes. */
	#written = -1

	/** The request that was carried out when something was written down last; said again with what no request changed. */
	#request: number

	/** `request`: what an earlier engine wrote down as such. */
	constructor(keep: Keep | null, request = 0) {
		this.#keep = keep
		this.#request = request
	}

	/** `more`: the request that is being carried out is not done with that. */
	flush({ views, configured, printk, answers, journal, createdUs }: Pog, more: boolean): void {
		if (this.#keep === null) return
		const changes = views.changes + configured.generation + printk.changes + answers.changes
		if (changes === this.#written) return
		if (journal.current !== 0) this.#request = more ? -journal.current : journal.current
		const written = this.#keep.save({
			request: this.#request,
			createdUs,
			views: views.save(),
			conf: configured.save(),
			printk: printk.save(),
			answers: answers.save(),
		})
		if (!written) return
		this.#written = changes
		views.saved()
	}
}
