/**
 * What a name in a directory stands for: a fixed file, a view of the ring, or one of the container's own files.
 *
 * A view goes before an app file of the same name: the configuration says so. Hidden views are as good as absent.
 */
import type { Attr, AttrChange, Entry, NodeId } from '../fuse/filesystem.ts'
import { FATTR_GID, FATTR_MODE, FATTR_SIZE, FATTR_UID } from '../fuse/flags.ts'
import { EINVAL, ENOENT, EPERM } from '../lib/errno.ts'
import type { Pog } from '../pog/pog.ts'
import { rotate } from '../pog/rotation.ts'
import type { View } from '../pog/view.ts'
import { ALL_BIT } from '../ring/view-index.ts'
import type { AppFiles } from './app-files.ts'
import type { AppNode } from './app-nodes.ts'
import {
	appIno,
	fixedChild,
	fixedChildren,
	type FixedNode,
	isAppNode,
	isViewNode,
	NODE,
	S_IFREG,
	viewBase,
	viewIdOf,
	viewInode,
	viewNode,
} from './nodes.ts'

export interface ListedEntry {
	name: string
	ino: number
	/** DT_* */
	type: number
}

const DT_DIR = 4
const DT_REG = 8
/** Attributes of a view are exact when they are looked up; the kernel need not ask again for the same stat(2). */
const LOOKUP_ATTR_MS = 1
const FIXED_ATTR_MS = 1000
const APP_ATTR_MS = 1000
const S_IFDIR = 0o040000
const MAX_BASE_COUNTS = 64

export class Places {
	readonly #pog: Pog
	readonly #apps: AppFiles
	/** Records before the base of nodes looked up lately: what is overwritten between a lookup and its open is counted too. */
	readonly #baseCounts = new Map<NodeId, number>()

	constructor(pog: Pog, apps: AppFiles) {
		this.#pog = pog
		this.#apps = apps
	}

	/** The app directory a node is; undefined when it is none. */
	directory(node: NodeId): AppNode | undefined {
		if (node === NODE.varLog) return this.#apps.varLog
		if (node === NODE.runPog) return this.#apps.runPog
		return isAppNode(node) ? this.#apps.node(appIno(node)) : undefined
	}

	fixed(parent: NodeId, name: string): FixedNode | undefined {
		return fixedChild(parent, name)
	}

	/** Path that a view of this name would have: `var/log/...` or `run/pog/...`. */
	viewPath(directory: AppNode, name: string): string {
		const path = this.#apps.nodes.path(directory)
		return `${path.replace(/^varlog/, 'var/log').replace(/^runpog/, 'run/pog')}/${name}`
	}

	/** The view at a name, hidden ones too. */
	view(directory: AppNode, name: string): View | undefined {
		const path = this.viewPath(directory, name)
		const view = this.#pog.views.byPath(path)
		if (view === undefined || view.rotation === null) return view
		rotate(this.#pog.views, view)
		return this.#pog.views.byPath(path)
	}

	/** `/var/log/mail/mail.err` needs `/var/log/mail`. */
	makeViewDirectories(): void {
		for (const view of this.#pog.views.all) {
			const directory = view.path.replace(/\/[^/]*$/, '')
			if (directory.startsWith('var/log/'))
				this.#apps.makeDirectories(this.#apps.varLog, directory.slice('var/log/'.length))
		}
	}

	viewOf(node: NodeId): View | undefined {
		return isViewNode(node) ? this.#pog.views.byId(viewIdOf(node)) : undefined
	}

	/** `onView`: called before a view is looked at. */
	lookup(parent: NodeId, name: string, entry: Entry, onView: () => void = () => {}): number {
		entry.entryValidMs = 0
		entry.generation = 0
		const fixed = fixedChild(parent, name)
		if (fixed !== undefined) return this.enterFixed(fixed, entry)
		const directory = this.directory(parent)
		if (directory === undefined) return -ENOENT
		const view = this.view(directory, name)
		if (view !== undefined) onView()
		if (view !== undefined && !view.hidden) return this.enterView(view, entry)
		entry.attrValidMs = APP_ATTR_MS
		return this.#apps.lookup(directory, name, entry)
	}

	enterFixed(fixed: FixedNode, entry: Entry): number {
		entry.node = fixed.id
		entry.generation = 0
		const directory = (fixed.mode & S_IFDIR) !== 0
		entry.entryValidMs = directory ? FIXED_ATTR_MS : 0
		entry.attrValidMs = directory ? FIXED_ATTR_MS : 0
		return 0
	}

	/** A new node when the front of the view was overwritten since the last look. */
	enterView(view: View, entry: Entry): number {
		const { base, baseCount } = this.#pog.views.extent(view)
		entry.node = viewNode(view.id, base)
		this.#baseCounts.delete(entry.node)
		this.#baseCounts.set(entry.node, baseCount)
		if (this.#baseCounts.size > MAX_BASE_COUNTS)
			for (const oldest of this.#baseCounts.keys()) {
				this.#baseCounts.delete(oldest)
				break
			}
		entry.generation = 0
		entry.entryValidMs = 0
		entry.attrValidMs = LOOKUP_ATTR_MS
		this.viewAttr(view, base, entry.attr)
		return 0
	}

	/** Attributes of a view as the file that begins at `base`. */
	viewAttr(view: View, base: number, attr: Attr): void {
		const { head } = this.#pog.views.extent(view)
		const lastUs = view.endUs > 0 ? view.endUs : view.index.lastUs
		const { owner } = this.#pog
		attr.ino = viewInode(view.id)
		attr.size = Math.max(0, head - Math.max(base, view.startPosition))
		attr.blocks = Math.ceil(attr.size / 512)
		attr.mode = S_IFREG | view.mode
		attr.nlink = 1
		attr.uid = owner.uid + view.uid
		attr.gid = owner.gid + view.gid
		attr.rdev = 0
		attr.blksize = 4096
		const timeUs = lastUs > 0 ? lastUs : this.#pog.createdUs
		attr.atimeUs = timeUs
		attr.mtimeUs = timeUs
		attr.ctimeUs = timeUs
	}

	/** Changes what can be changed of a view: its owner, its mode, and its length to none. 0, or a negative errno. */
	changeView(view: View, change: AttrChange): number {
		const { owner } = this.#pog
		if (view.bit === ALL_BIT) return -EPERM
		if (change.valid & FATTR_SIZE) {
			const { base, head } = this.#pog.views.extent(view)
			if (change.size === 0) this.#pog.views.clear(view)
			// A view has no other length than its records give it.
			else if (change.size !== head - base) return -EINVAL
		}
		if (change.valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) this.#pog.views.changes++
		if (change.valid & FATTR_MODE) view.mode = change.mode & 0o7777
		if (change.valid & FATTR_UID) view.uid = change.uid - owner.uid
		if (change.valid & FATTR_GID) view.gid = change.gid - owner.gid
		return 0
	}

	/** Records of the view before its node's base, if it was looked up lately. */
	baseCount(node: NodeId): number | undefined {
		return this.#baseCounts.get(node)
	}

	/** Where the file of a view's node begins. */
	base(view: View, node: NodeId): number {
		return viewBase(node, this.#pog.views.extent(view).head)
	}

	/** What a directory has beside the container's own files, in a stable order. */
	own(node: NodeId): ListedEntry[] {
		const entries: ListedEntry[] = fixedChildren(node).map(fixed => ({
			name: fixed.name,
			ino: fixed.id,
			type: (fixed.mode & S_IFDIR) !== 0 ? DT_DIR : DT_REG,
		}))
		const directory = this.directory(node)
		if (directory === undefined) return entries
		const prefix = this.viewPath(directory, '')
		for (const view of this.#pog.views.all) {
			const name = view.path.slice(prefix.length)
			if (view.hidden || !view.path.startsWith(prefix) || name.includes('/')) continue
			entries.push({ name, ino: viewInode(view.id), type: DT_REG })
		}
		return entries
	}

	/** Whether a live view lies below a directory, which can then not be moved or removed. */
	hasViewsBelow(directory: AppNode, name: string): boolean {
		const prefix = `${this.viewPath(directory, name)}/`
		for (const view of this.#pog.views.all) if (view.live && view.path.startsWith(prefix)) return true
		return false
	}
}
