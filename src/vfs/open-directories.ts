/**
 * The open directories of one connection: what each lists, by handle.
 *
 * First comes what is no file of the container's, as it was when the reading began; then the container's own files, straight from the
 * directory that has them: an offset of ours is an offset there (readdir(3) promises no more than tmpfs does). So a directory of
 * any size costs what one buffer costs, however it is read, and an engine that goes on for one that was killed goes on at the same
 * place (libfs.c, simple_offset_*, v6.6; before that an entry that was made or removed shifts it).
 *
 * Invariant: all open directories together hold a bounded number of entries, and each at most one descriptor.
 */
import type { DirReply, HandleId, NodeId } from '../fuse/filesystem.ts'
import { EBADF, ENFILE, ENOENT, ENOMEM } from '../lib/errno.ts'
import type { DirectoryEntry } from '../lib/file-stat.ts'
import type { Limits } from '../pog/limits.ts'
import type { Pog } from '../pog/pog.ts'
import { type Cell, kindOf, publish } from '../ring/cells.ts'
import { CELL_KIND, STATE } from '../ring/state-layout.ts'
import type { AppFiles } from './app-files.ts'
import { Handles } from './handles.ts'
import { appInode } from './nodes.ts'
import { HANDLE } from './open-file.ts'
import type { ListedEntry, Places } from './places.ts'

const DT_DIR = 4
/** Offsets from here on are those of the container's own files. */
const APPS = 2 ** 32
/** Behind the last of them: the file system's own end may be more than a number holds. */
const END = 2 ** 53 - 1
/** What is taken from a directory at once, and how often for one request: as much as a page of a reply has room for, or some. */
const PIECE_BYTES = 4096
const MAX_PIECES = 8
/** The descriptor's place is not where the reading is. */
const ELSEWHERE = -1

interface OpenDirectory {
	/** Null before it was listed. */
	own: readonly ListedEntry[] | null
	names: ReadonlySet<string>
	/** -1 before and behind the container's own files. */
	fd: number
	/** What was taken from `fd` and has not been delivered, the next one last, and the offset there of that one. */
	rest: DirectoryEntry[]
	at: number
	readonly cell: Cell
}

const NOTHING = { own: null, names: new Set<string>(), fd: -1, at: 0 }

export class OpenDirectories {
	readonly #places: Places
	readonly #apps: AppFiles
	readonly #limits: Limits
	readonly #pog: Pog
	readonly #handles: Handles<OpenDirectory>
	#entries = 0

	constructor(places: Places, apps: AppFiles, pog: Pog) {
		this.#places = places
		this.#apps = apps
		this.#pog = pog
		this.#limits = pog.limits
		this.#handles = new Handles(() => nextNumber(pog, STATE.lastDirectory))
		for (const cell of pog.cells) {
			if (kindOf(cell) !== CELL_KIND.directory) continue
			this.#handles.restore(cell.floats[cell.at + HANDLE] ?? 0, { ...NOTHING, rest: [], cell })
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
		const handle = this.#handles.add({ ...NOTHING, rest: [], cell })
		cell.floats[cell.at + HANDLE] = handle
		journal.opening(cell)
		publish(cell, CELL_KIND.directory)
		return handle
	}

	/** Fills the reply from the entry `offset` on: 0 and 1 are the directory itself and the one above. */
	read(node: NodeId, handle: HandleId, offset: number, reply: DirReply): number {
		const directory = this.#handles.get(handle)
		if (directory === undefined) return -EBADF
		// At first, and again for rewinddir(3).
		if (offset === 0 || directory.own === null) {
			const answer = this.#begin(node, directory)
			if (answer < 0) return answer
		}
		const own = directory.own ?? []
		for (let at = offset; at < own.length + 2; at++) {
			const entry = at < 2 ? { name: at === 0 ? '.' : '..', ino: node, type: DT_DIR } : own[at - 2]
			if (entry === undefined || !reply.add(entry.name, entry.ino, entry.type, at + 1)) return 0
		}
		return offset >= END ? 0 : this.#readApps(node, directory, Math.max(0, offset - APPS), reply)
	}

	#begin(node: NodeId, directory: OpenDirectory): number {
		this.#end(directory)
		this.#entries -= directory.own?.length ?? 0
		directory.own = null
		const own = this.#places.own(node)
		if (this.#entries + own.length > this.#limits.listedEntries) {
			this.#pog.ledger.deny('listings')
			return -ENOMEM
		}
		this.#entries += own.length
		directory.own = own
		directory.names = new Set(own.map(({ name }) => name))
		return 0
	}

	/** From an offset of the backing directory on. */
	#readApps(node: NodeId, directory: OpenDirectory, at: number, reply: DirReply): number {
		const { calls } = this.#apps.backing
		if (directory.fd < 0) {
			const app = this.#places.directory(node)
			const fd = app === undefined ? -ENOENT : this.#apps.openDirectory(app)
			if (fd < 0) return fd === -ENOENT ? 0 : fd
			directory.fd = fd
			directory.at = 0
		}
		if (at !== directory.at) {
			this.#drop(directory)
			const sought = calls.lseek(directory.fd, at, 0)
			if (sought < 0) return sought
			directory.at = at
		}
		let added = false
		for (let pieces = 0; ; ) {
			const entry = directory.rest.at(-1)
			if (entry === undefined) {
				if (added && pieces === MAX_PIECES) return 0
				pieces++
				const more = calls.listSome(directory.fd, PIECE_BYTES)
				if (typeof more === 'number') return more
				if (more === null) {
					this.#end(directory)
					return 0
				}
				directory.rest = more.reverse()
				this.#entries += more.length
				continue
			}
			const { name, ino, type } = entry
			const next = Number.isSafeInteger(APPS + entry.next) ? APPS + entry.next : END
			if (!directory.names.has(name)) {
				if (!reply.add(name, appInode(ino), type, next)) break
				added = true
			}
			directory.rest.pop()
			this.#entries--
			directory.at = next - APPS
		}
		if (this.#entries > this.#limits.listedEntries) this.#drop(directory)
		return 0
	}

	/** What was taken is taken again when it is asked for: too many directories are being read at once. */
	#drop(directory: OpenDirectory): void {
		this.#entries -= directory.rest.length
		directory.rest = []
		directory.at = ELSEWHERE
	}

	/** Gives back what the container's own files take. */
	#end(directory: OpenDirectory): void {
		this.#entries -= directory.rest.length
		directory.rest = []
		if (directory.fd >= 0) this.#apps.backing.calls.close(directory.fd)
		directory.fd = -1
	}

	#close(directory: OpenDirectory): void {
		this.#end(directory)
		this.#entries -= directory.own?.length ?? 0
		this.#pog.cells.give(directory.cell)
	}

	release(handle: HandleId): void {
		const directory = this.#handles.remove(handle)
		if (directory !== undefined) this.#close(directory)
	}

	/** The connection is gone. */
	destroy(): void {
		for (const directory of this.#handles.removeAll()) this.#close(directory)
	}
}

/** The next number of a row that goes on in a later engine. */
export function nextNumber({ ring: { floats } }: Pog, field: number): number {
	const number = (floats[field] ?? 0) + 1
	floats[field] = number
	return number
}
