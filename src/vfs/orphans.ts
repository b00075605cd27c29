/**
 * Files without a name that are open still: kept under their inode's number in a directory of the store that no container sees, so
 * that a later engine can open them again.
 *
 * Invariant: a file is here only while a handle is open; `sweep` ends what an engine that was killed could not.
 */
import type { Backing } from './backing.ts'
import { newFileStat } from '../lib/file-stat.ts'

const DIRECTORY = 'orphans'
const DIRECTORY_MODE = 0o700
const O_DIRECTORY = 0o200000
const O_CLOEXEC = 0o2000000

export class Orphans {
	readonly #backing: Backing
	readonly #here = new Set<number>()
	readonly #stat = newFileStat()

	constructor(backing: Backing) {
		this.#backing = backing
	}

	path(ino: number): string {
		return `${DIRECTORY}/${ino}`
	}

	has(ino: number): boolean {
		return this.#here.has(ino)
	}

	/** Takes the last name of a file away. 0, or a negative errno. */
	take(path: string, ino: number): number {
		const { calls, root } = this.#backing
		this.#make()
		const moved = calls.rename(root, path, this.path(ino), 0)
		// No room for one more directory entry: then it is as it was before there were later engines.
		if (moved < 0) return calls.unlink(root, path, 0)
		this.#here.add(ino)
		return 0
	}

	/** Another file is going to take the last name of this one. */
	link(path: string, ino: number): void {
		const { calls, root } = this.#backing
		this.#make()
		if (calls.link(root, path, this.path(ino)) === 0) this.#here.add(ino)
	}

	/** Nobody has it open any more. */
	drop(ino: number): void {
		if (!this.#here.delete(ino)) return
		const { calls, root } = this.#backing
		calls.unlink(root, this.path(ino), 0)
	}

	/** Removes what is not open, and what has its name still: the engine died between the two steps of a rename. */
	sweep(isOpen: (ino: number) => boolean): void {
		const { calls, root } = this.#backing
		const fd = calls.open(root, DIRECTORY, O_DIRECTORY | O_CLOEXEC, 0)
		if (fd < 0) return
		const entries = calls.list(fd)
		calls.close(fd)
		if (typeof entries === 'number') return
		for (const { name, ino } of entries) {
			const single = calls.stat(root, this.path(ino), this.#stat) === 0 && this.#stat.nlink === 1
			if (single && isOpen(ino)) this.#here.add(ino)
			else calls.unlink(root, `${DIRECTORY}/${name}`, 0)
		}
	}

	#make(): void {
		if (this.#here.size === 0) this.#backing.calls.mkdir(this.#backing.root, DIRECTORY, DIRECTORY_MODE)
	}
}
