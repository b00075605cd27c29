/** The open files of one connection, by handle. Numbers are reused only after RELEASE. */
import type { HandleId } from '../fuse/filesystem.ts'

export class Handles<T> {
	readonly #open = new Map<HandleId, T>()
	#next = 1

	get count(): number {
		return this.#open.size
	}

	add(file: T): HandleId {
		const handle = this.#next++
		this.#open.set(handle, file)
		return handle
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
