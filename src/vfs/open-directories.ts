/**
 * The open directories of one connection: what each lists, by handle.
 *
 * Invariant: an open directory lists what there was when its reading began (readdir(3) promises no more), however small the
 * buffers are; all of them together hold a bounded number of entries. An engine that goes on for one that was killed lists a
 * directory anew.
 */
import type { DirReply, HandleId, NodeId } from '../fuse/filesystem.ts'
import { EBADF, ENFILE, ENOMEM } from '../lib/errno.ts'
import type { Limits } from '../pog/limits.ts'
import type { Pog } from '../pog/pog.ts'
import { type Cell, kindOf, publish } from '../ring/cells.ts'
import { CELL_KIND, STATE } from '../ring/state-layout.ts'
import { Handles } from './handles.ts'
import { HANDLE } from './open-file.ts'
import type { ListedEntry, Places } from './places.ts'

const DT_DIR = 4

interface OpenDirectory {
	/** Null before it was listed. */
	entries: readonly ListedEntry[] | null
	readonly cell: Cell
}

export class OpenDirectories {
	readonly #places: Places
	readonly #limits: Limits
	readonly #pog: Pog
	readonly #handles: Handles<OpenDirectory>
	#entries = 0

	constructor(places: Places, pog: Pog) {
		this.#places = places
		this.#pog = pog
		this.#limits = pog.limits
		this.#handles = new Handles(() => nextNumber(pog, STATE.lastDirectory))
		for (const cell of pog.cells) {
			if (kindOf(cell) !== CELL_KIND.directory) continue
			this.#handles.restore(cell.floats[cell.at + HANDLE] ?? 0, { entries: null, cell })
		}
	}

	/** A handle, or -ENFILE. */
	open(): number {
		const { journal, cells, ledger } = this.#pog
		const before = cells.byIndex(journal.opened)
		if (before !== undefined && kindOf(before) === CELL_KIND.directory) return before.floats[before.at + HANDLE] ?? 0
		const cell = this.#handles.count >= this.#limits.handles ? undefined : cells.take()
		if (cell === undefined) {
			ledger.deny('directories')
			return -ENFILE
		}
		const handle = this.#handles.add({ entries: null, cell })
		cell.floats[cell.at + HANDLE] = handle
		journal.opening(cell)
		publish(cell, CELL_KIND.directory)
		return handle
	}

	/** Fills the reply from the entry `offset` on: 0 and 1 are the directory itself and the one above. */
	read(node: NodeId, handle: HandleId, offset: number, reply: DirReply): number {
		const directory = this.#handles.get(handle)
		if (directory === undefined) return -EBADF
		if (offset === 0 || directory.entries === null) {
			// At first, and again for rewinddir(3).
			const answer = this.#list(node, directory)
			if (answer < 0) return answer
		}
		const entries = directory.entries ?? []
		for (let at = offset; at < entries.length + 2; at++) {
			const entry = at < 2 ? { name: at === 0 ? '.' : '..', ino: node, type: DT_DIR } : entries[at - 2]
			if (entry === undefined || !reply.add(entry.name, entry.ino, entry.type, at + 1)) break
		}
		return 0
	}

	#list(node: NodeId, directory: OpenDirectory): number {
		this.#entries -= directory.entries?.length ?? 0
		directory.entries = null
		const entries = this.#places.list(node)
		if (typeof entries === 'number') return entries
		if (this.#entries + entries.length > this.#limits.listedEntries) {
			this.#pog.ledger.deny('listings')
			return -ENOMEM
		}
		this.#entries += entries.length
		directory.entries = entries
		return 0
	}

	release(handle: HandleId): void {
		const directory = this.#handles.remove(handle)
		if (directory === undefined) return
		this.#entries -= directory.entries?.length ?? 0
		this.#pog.cells.give(directory.cell)
	}

	/** The connection is gone. */
	destroy(): void {
		for (const { cell } of this.#handles.removeAll()) this.#pog.cells.give(cell)
	}
}

/** The next number of a row that goes on in a later engine. */
export function nextNumber({ ring: { floats } }: Pog, field: number): number {
	const number = (floats[field] ?? 0) + 1
	floats[field] = number
	return number
}
