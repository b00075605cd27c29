/**
 * The container's own files below /var/log and /run/pog: which inode of the POG's tmpfs is at which path.
 *
 * A node is known while the kernel holds a lookup of it, or of anything below it. Its path follows renames, because parents
 * are nodes, not strings. Invariant: there is one node an inode, and the path of a linked node names its inode; nobody but
 * this daemon changes the tmpfs. It keeps containers inside: system calls follow symbolic links in the directories of a
 * path, and the path of a directory that was forgotten and then moved away could be one that leads to the host.
 */
import type { FileStat } from '../lib/file-stat.ts'

export interface AppNode {
	readonly ino: number
	/** Null for the two roots. */
	parent: AppNode | null
	name: string
	lookups: number
	/** Known nodes whose parent this is. */
	children: number
	/** The name this node is known by was removed. */
	unlinked: boolean
	/** What it was when that name was removed: for who holds it without having opened it (a working directory, O_PATH). */
	last: FileStat | null
}

const S_IFMT = 0o170000
const S_IFDIR = 0o040000

export class AppNodes {
	readonly #byIno = new Map<number, AppNode>()

	/** A directory that is there for ever: `varlog` or `runpog`. */
	addRoot(ino: number, name: string): AppNode {
		const node: AppNode = { ino, parent: null, name, lookups: 1, children: 0, unlinked: false, last: null }
		this.#byIno.set(ino, node)
		return node
	}

	get(ino: number): AppNode | undefined {
		return this.#byIno.get(ino)
	}

	/**
	 * A node that the kernel knows from an earlier engine, found again at this place: how many lookups it counts is not known, so it
	 * is held until the kernel gives it up as a whole.
	 */
	restore(ino: number, parent: AppNode, name: string): AppNode {
		const known = this.#byIno.get(ino)
		if (known !== undefined) return known
		const node: AppNode = { ino, parent, name, lookups: 1, children: 0, unlinked: false, last: null }
		parent.children++
		this.#byIno.set(ino, node)
		return node
	}

	/** The node of an inode found at this place, counting one lookup. */
	found(ino: number, parent: AppNode, name: string): AppNode {
		let node = this.#byIno.get(ino)
		if (node === undefined) {
			node = { ino, parent, name, lookups: 0, children: 0, unlinked: false, last: null }
			parent.children++
			this.#byIno.set(ino, node)
		}
		node.lookups++
		this.#place(node, parent, name)
		return node
	}

	forget(ino: number, lookups: number): void {
		const node = this.#byIno.get(ino)
		if (node === undefined || node.parent === null) return
		node.lookups = Math.max(0, node.lookups - lookups)
		this.#release(node)
	}

	/** Gives up a node, and those above it, when nobody needs it any more. */
	#release(node: AppNode): void {
		for (let at = node; at.parent !== null && at.lookups === 0 && at.children === 0; ) {
			this.#byIno.delete(at.ino)
			at = at.parent
			at.children--
		}
	}

	#place(node: AppNode, parent: AppNode, name: string): void {
		const from = node.parent
		// The roots stay where they are.
		if (from === null) return
		node.name = name
		node.unlinked = false
		node.last = null
		if (from === parent) return
		node.parent = parent
		parent.children++
		from.children--
		this.#release(from)
	}

	/** The name of what `stat` tells was removed; open handles still reach the inode. */
	removed(stat: FileStat, parent: AppNode, name: string): void {
		const node = this.#byIno.get(stat.ino)
		if (node === undefined || node.parent !== parent || node.name !== name) return
		node.unlinked = true
		const directory = (stat.mode & S_IFMT) === S_IFDIR
		node.last = { ...stat, nlink: directory ? 0 : Math.max(0, stat.nlink - 1) }
	}

	moved(ino: number, parent: AppNode, name: string): void {
		const node = this.#byIno.get(ino)
		if (node !== undefined) this.#place(node, parent, name)
	}

	/** Path below the backing root. */
	path(node: AppNode): string {
		const parts = [node.name]
		for (let at = node.parent; at !== null; at = at.parent) parts.push(at.name)
		return parts.reverse().join('/')
	}
}

/** Path of a name in a directory. */
export function joinPath(directory: string, name: string): string {
	return `${directory}/${name}`
}
