/**
 * The descriptors that a keeper holds for its engine, by name.
 *
 * Invariant: bounded in number and in the length of their names, which the next engine gets in one variable of its
 * environment. Nothing here looks at what a descriptor is, and none is closed because of what happens to it.
 */

/** MAX_ARG_STRLEN of include/uapi/linux/binfmts.h is 128 KiB: `LISTEN_FDNAMES=` and all names have to fit. */
const MAX_NAMES_BYTES = 120 * 1024
/** Beside its own, a process has no more descriptors than the engine that got them. */
export const MAX_DESCRIPTORS = 8192

interface Held {
	readonly name: string
	readonly fd: number
}

export class Descriptors {
	readonly #held: Held[] = []
	readonly #close: (fd: number) => void
	readonly #max: number
	#namesBytes = 0

	constructor(close: (fd: number) => void, max = MAX_DESCRIPTORS) {
		this.#close = close
		this.#max = max
	}

	get size(): number {
		return this.#held.length
	}

	/** Each name once. */
	get names(): ReadonlySet<string> {
		return new Set(this.#held.map(({ name }) => name))
	}

	/** All of them, the oldest first. */
	get all(): readonly Held[] {
		return this.#held
	}

	/** Takes a descriptor over; or closes it, because there is no room, and answers false. */
	keep(name: string, fd: number): boolean {
		const bytes = name.length + 1
		if (this.#held.length >= this.#max || this.#namesBytes + bytes > MAX_NAMES_BYTES) {
			this.#close(fd)
			return false
		}
		this.#held.push({ name, fd })
		this.#namesBytes += bytes
		return true
	}

	/** Closes all descriptors of that name. */
	forget(name: string): void {
		for (let i = this.#held.length - 1; i >= 0; i--) {
			const held = this.#held[i]
			if (held?.name !== name) continue
			this.#held.splice(i, 1)
			this.#namesBytes -= name.length + 1
			this.#close(held.fd)
		}
	}

	/** At the end. */
	closeAll(): void {
		for (const { fd } of this.#held.splice(0)) this.#close(fd)
		this.#namesBytes = 0
	}
}
