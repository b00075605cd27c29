/**
 * The open files of one connection, by handle: each in a cell, where a later engine finds it.
 *
 * Invariant: a handle that the kernel was told of is in a cell; a request that opened one and is carried out once more gets the same.
 */
import type { HandleId, Opened } from '../fuse/filesystem.ts'
import { ENFILE } from '../lib/errno.ts'
import type { Steps } from '../lib/steps.ts'
import type { Pog } from '../pog/pog.ts'
import { type Cell, kindOf } from '../ring/cells.ts'
import { CELL_KIND, STATE } from '../ring/state-layout.ts'
import { AppFile } from './app-file.ts'
import { Handles } from './handles.ts'
import { nextNumber } from './open-directories.ts'
import { HANDLE, type OpenFile } from './open-file.ts'

export class OpenFiles {
	readonly #pog: Pog
	readonly #files: Handles<OpenFile>

	readonly #inSteps: (work: Steps<number>) => number

	/** `inSteps`: carries out what takes long, and answers for it. */
	constructor(pog: Pog, inSteps: (work: Steps<number>) => number) {
		this.#pog = pog
		this.#inSteps = inSteps
		this.#files = new Handles(() => nextNumber(pog, STATE.lastHandle))
	}

	get(handle: HandleId): OpenFile | undefined {
		return this.#files.get(handle)
	}

	/** Any open handle of an app file: all that leads to one without a name. */
	appFile(ino: number): AppFile | undefined {
		for (const file of this.#files) if (file instanceof AppFile && file.ino === ino) return file
		return undefined
	}

	/** Opens what `make` makes. 0, or a negative errno: its own, or -ENFILE before anything was made. */
	open(opened: Opened, make: () => OpenFile | number): number {
		const before = this.openedBefore
		if (before !== undefined) return tell(before, opened)
		const { cells, journal, ledger, limits } = this.#pog
		const cell = this.#files.count >= limits.handles ? undefined : cells.take()
		if (cell === undefined) {
			ledger.deny('files')
			return -ENFILE
		}
		const file = make()
		if (typeof file === 'number') {
			cells.give(cell)
			return file
		}
		const handle = this.#files.add(file)
		journal.opening(cell)
		file.keepIn(cell, handle)
		return tell(file, opened)
	}

	/** The file that the current request opened already, before the engine was killed. */
	get openedBefore(): OpenFile | undefined {
		const { cells, journal } = this.#pog
		const cell = cells.byIndex(journal.opened)
		if (cell === undefined || kindOf(cell) === CELL_KIND.free) return undefined
		return this.#files.get(handleOf(cell))
	}

	/** A file that an earlier engine had open. */
	restore(cell: Cell, file: OpenFile): void {
		this.#files.restore(handleOf(cell), file)
	}

	/** 0, or PENDING. */
	close(handle: HandleId): number {
		const closing = this.#files.get(handle)?.closing() ?? null
		if (closing !== null) return this.#inSteps(this.#closeAfter(closing, handle))
		const file = this.#files.remove(handle)
		if (file !== undefined) this.#close(file)
		return 0
	}

	/** Open until then: a later engine has to find it. */
	*#closeAfter(closing: Steps<void>, handle: HandleId): Steps<number> {
		yield* closing
		const file = this.#files.remove(handle)
		if (file !== undefined) this.#close(file)
		return 0
	}

	closeAll(): void {
		for (const file of this.#files.removeAll()) this.#close(file)
	}

	#close(file: OpenFile): void {
		file.release()
		if (file.cell !== null) this.#pog.cells.give(file.cell)
	}
}

function handleOf(cell: Cell): HandleId {
	return cell.floats[cell.at + HANDLE] ?? 0
}

function tell({ cell, openFlags, backingId }: OpenFile, opened: Opened): number {
	opened.handle = cell === null ? 0 : handleOf(cell)
	opened.openFlags = openFlags
	opened.backingId = backingId
	return 0
}
