/**
 * The open directories of one connection: what each lists, by handle.
 *
 * Invariant: an open directory lists what there was when its reading began (readdir(3) promises no more), however small the
 * buffers are; all of them together hold a bounded number of entries.
 */
import type { DirReply, HandleId, NodeId } from '../fuse/filesystem.ts'
import { EBADF, ENFILE, ENOMEM } from '../lib/errno.ts'
import type { Limits } from '../pog/limits.ts'
import { Handles } from './handles.ts'
import type { ListedEntry, Places } from './places.ts'

const DT_DIR = 4

interface OpenDirectory {
	entries: readonly ListedEntry[]
}

export class OpenDirectories {
	readonly #places: Places
	readonly #limits: Limits
	readonly #handles = new Handles<OpenDirectory>()
	#entries = 0

	constructor(places: Places, limits: Limits) {
		this.#places = places
		this.#limits = limits
	}

	/** A handle, or -ENFILE. */
	open(): number {
		return this.#handles.count >= this.#limits.handles ? -ENFILE : this.#handles.add({ entries: [] })
	}

	/** Fills the reply from the entry `offset` on: 0 and 1 are the directory itself and the one above. */
	read(node: NodeId, handle: HandleId, offset: number, reply: DirReply): number {
		const directory = this.#handles.get(handle)
		if (directory === undefined) return -EBADF
		if (offset === 0) {
			// At first, and again for rewinddir(3).
			const answer = this.#list(node, directory)
			if (answer < 0) return answer
		}
		const { entries } = directory
		for (let at = offset; at < entries.length + 2; at++) {
			const entry = at < 2 ? { name: at === 0 ? '.' : '..', ino: node, type: DT_DIR } : entries[at - 2]
			if (entry === undefined || !reply.add(entry.name, entry.ino, entry.type, at + 1)) break
		}
		return 0
	}

	#list(node: NodeId, directory: OpenDirectory): number {
		this.#entries -= directory.entries.length
		directory.entries = []
		const entries = this.#places.list(node)
		if (typeof entries === 'number') return entries
		if (this.#entries + entries.length > this.#limits.listedEntries) return -ENOMEM
		this.#entries += entries.length
		directory.entries = entries
		return 0
	}

	release(handle: HandleId): void {
		this.#entries -= this.#handles.remove(handle)?.entries.length ?? 0
	}
}
