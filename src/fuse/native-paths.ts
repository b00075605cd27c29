/**
 * Paths to nodes, for a transport that names files by path (libfuse 2's high-level interface): a walk of lookups from the
 * root, each of which is given back by `settle`.
 *
 * Invariants: every lookup is forgotten exactly once, at the end of its operation or with the open file that keeps it. No
 * name is looked up below anything but a directory: a symbolic link there could lead out of the tree. While a file is open,
 * its path stands for the node that it was opened by, as it does in the kernel: a file may be known by more than one.
 */
import { EINVAL, ENOENT, ENOTDIR } from '../lib/errno.ts'
import { type Caller, emptyAttr, type Entry, type Filesystem, type NodeId } from './filesystem.ts'

const ROOT: NodeId = 1
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
/** What is left of bytes that are no UTF-8, when somebody made a string of them. */
const REPLACEMENT = '\uFFFD'

/** A file that is open, and by how many handles. */
interface Pin {
	readonly node: NodeId
	readonly ino: number
	holds: number
	/** To be forgotten with the last hold. */
	lookups: number
}

/** An open file's hold on its node: one `release` for each. */
export type Hold = Pin

export class Paths {
	/** Of the node that was found last. */
	readonly entry: Entry = { node: 0, generation: 0, entryValidMs: 0, attrValidMs: 0, attr: emptyAttr() }
	/** The last name of the path given to `parent`. */
	name = ''
	readonly #filesystem: Filesystem
	readonly #caller: Caller
	/** Nodes looked up by the operation at hand. */
	readonly #visited: NodeId[] = []
	readonly #pins = new Map<number, Pin>()

	constructor(filesystem: Filesystem, caller: Caller) {
		this.#filesystem = filesystem
		this.#caller = caller
	}

	/** The node of a path, its attributes in `entry`; or a negative errno. */
	find(path: string): number {
		const parent = this.parent(path)
		if (parent < 0 || this.name !== '') return parent < 0 ? parent : this.#step(parent, this.name)
		const answer = this.#filesystem.getattr(ROOT, -1, this.entry.attr)
		return answer < 0 ? answer : ROOT
	}

	/** The node of the directory that a path ends in, its last name in `name` (empty for the root); or a negative errno. */
	parent(path: string): number {
		const bytes = toBytes(path)
		if (bytes === undefined) return -EINVAL
		const names = bytes.split('/').filter(name => name !== '')
		this.name = names.pop() ?? ''
		let node = ROOT
		for (const name of names) {
			node = this.#step(node, name)
			if (node < 0) return node
			if ((this.entry.attr.mode & S_IFMT) !== S_IFDIR) return -ENOTDIR
		}
		return node
	}

	#step(parent: NodeId, name: string): number {
		const { entry } = this
		const answer = this.#filesystem.lookup(parent, name, entry, this.#caller)
		if (answer < 0) return answer
		this.made()
		const pin = this.#pins.get(entry.attr.ino)
		if (pin === undefined || pin.node === entry.node) return entry.node
		if (this.#filesystem.getattr(pin.node, -1, entry.attr) < 0) return -ENOENT
		entry.node = pin.node
		return pin.node
	}

	/** Counts the lookup of a node that the tree answered with in `entry`. */
	made(): void {
		this.#visited.push(this.entry.node)
	}

	/** Keeps the node found last for an open file. */
	hold(): Hold {
		const { node, attr } = this.entry
		let pin = this.#pins.get(attr.ino)
		if (pin?.node !== node) {
			pin = { node, ino: attr.ino, holds: 0, lookups: 0 }
			this.#pins.set(attr.ino, pin)
		}
		pin.holds++
		const at = this.#visited.lastIndexOf(node)
		if (at >= 0) {
			this.#visited.splice(at, 1)
			pin.lookups++
		}
		return pin
	}

	/** The open file is gone. */
	release(hold: Hold): void {
		if (--hold.holds > 0) return
		if (this.#pins.get(hold.ino) === hold) this.#pins.delete(hold.ino)
		this.#filesystem.forget(hold.node, hold.lookups)
	}

	/** The file has no name any more: what gets its inode number next is another one. */
	unpin(ino: number): void {
		this.#pins.delete(ino)
	}

	/** Gives back the lookups of this operation. */
	settle(): void {
		for (const node of this.#visited) this.#filesystem.forget(node, 1)
		this.#visited.length = 0
	}
}

/** A path or name as the tree wants it, one character a byte; undefined when its bytes were lost on the way. */
export function toBytes(text: string): string | undefined {
	return text.includes(REPLACEMENT) ? undefined : Buffer.from(text, 'utf8').toString('latin1')
}

/** A name of the tree as text; undefined when it is no UTF-8, which this transport cannot carry. */
export function toText(bytes: string): string | undefined {
	const text = Buffer.from(bytes, 'latin1').toString('utf8')
	return text.includes(REPLACEMENT) ? undefined : text
}
