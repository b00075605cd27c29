/** The open files of one connection, by handle. No number is used twice, by an earlier engine's handles neither. */
import type { HandleId } from '../fuse/filesystem.ts'

export class Handles<T> {
	readonly #open = new Map<HandleId, T>()
	readonly #next: () => HandleId

	/** `next`: the number of the next handle; from 1 on when it is left out. */
	constructor(next?: () => HandleId) {
		let last = 0
		this.#next = next ?? (() => ++last)
	}

	get count(): number {
		return this.#open.size
	}

	add(file: T): HandleId {
		const handle = this.#next()
		this.#open.set(handle, file)
		return handle
	}

	/** A handle that is open already. */
	restore(handle: HandleId, file: T): void {
		this.#open.set(handle, file)
	}

	get(handle: HandleId): T | undefined {
		return this.#open.get(handle)
	}

	/** Takes a handle out; undefined when it is not open. */
	remove(handle: HandleId): T | undefined {
		const file = this.#open.get(handle)
		this.#open.delete(handle)
		return file
	}

	/** Takes all of them out. */
	removeAll(): T[] {
		const files = [...this.#open.values()]
		this.#open.clear()
		return files
	}

	[Symbol.iterator](): IterableIterator<T> {
		return this.#open.values()
	}
}
