/**
 * The container's own files below /var/log and /run/pog, kept in the POG's tmpfs within its quota.
 *
 * Every operation names its file by a path of directories this daemon made (`AppNodes`), so nothing a container does
 * can lead outside. The kernel has checked permissions already (default_permissions); owners are the caller's.
 */
import type { Attr, AttrChange, Caller, Connection, Entry } from '../fuse/filesystem.ts'
import {
	FATTR_ATIME,
	FATTR_ATIME_NOW,
	FATTR_GID,
	FATTR_MODE,
	FATTR_MTIME,
	FATTR_MTIME_NOW,
	FATTR_SIZE,
	FATTR_UID,
} from '../fuse/flags.ts'
import { EEXIST, EFBIG, ENOENT, EOPNOTSUPP, EPERM } from '../lib/errno.ts'
import { type DirectoryEntry, type FileStat, newFileStat } from '../lib/file-stat.ts'
import type { Cell } from '../ring/cells.ts'
import type { Journal } from '../ring/journal.ts'
import { AppFile, type AppFileHome, BackingIds } from './app-file.ts'
import { type AppNode, AppNodes, joinPath } from './app-nodes.ts'
import { findNode } from './app-search.ts'
import type { Backing } from './backing.ts'
import { appInode, appNode } from './nodes.ts'
import { Orphans } from './orphans.ts'

const O_RDWR = 2
const O_ACCMODE = 3
const O_WRONLY = 1
const O_CREAT = 0o100
const O_EXCL = 0o200
const O_TRUNC = 0o1000
/** A FIFO must never make the daemon wait for its other end. */
const O_NONBLOCK = 0o4000
const O_DIRECTORY = 0o200000
const O_NOFOLLOW = 0o400000
const O_CLOEXEC = 0o2000000
const AT_REMOVEDIR = 0x200
const RENAME_EXCHANGE = 2
const S_IFMT = 0o170000
const S_IFREG = 0o100000
const S_IFDIR = 0o040000
const S_IFLNK = 0o120000
const S_ISGID = 0o2000

export class AppFiles implements AppFileHome {
	readonly backing: Backing
	readonly nodes = new AppNodes()
	readonly varLog: AppNode
	readonly runPog: AppNode
	readonly ids: BackingIds
	readonly #orphans: Orphans
	readonly #journal: Journal
	readonly #stat = newFileStat()
	/** Open handles by inode. */
	readonly #opens = new Map<number, number>()
	/** The kernel may name nodes of an earlier engine's. */
	#revived = false

	constructor(backing: Backing, connection: Connection, journal: Journal) {
		this.backing = backing
		this.#journal = journal
		this.ids = new BackingIds(connection)
		this.#orphans = new Orphans(backing)
		this.varLog = this.#root('varlog')
		this.runPog = this.#root('runpog')
	}

	/** Goes on for an earlier engine, after `restore` for each handle it had open. */
	revive(): void {
		this.#revived = true
		this.#orphans.sweep(ino => this.#opens.has(ino))
	}

	/** A handle that an earlier engine had open. */
	restore(cell: Cell): AppFile {
		const file = AppFile.restore(this, cell)
		this.#count(file.ino)
		return file
	}

	#count(ino: number): void {
		this.#opens.set(ino, (this.#opens.get(ino) ?? 0) + 1)
	}

	closed(ino: number): void {
		const left = (this.#opens.get(ino) ?? 1) - 1
		if (left > 0) {
			this.#opens.set(ino, left)
			return
		}
		this.#opens.delete(ino)
		this.#orphans.drop(ino)
	}

	reopen(ino: number, writable: boolean): number {
		const { calls, root } = this.backing
		const node = this.node(ino)
		const path = node === undefined || node.unlinked ? this.#orphans.path(ino) : this.nodes.path(node)
		return calls.open(root, path, (writable ? O_RDWR : 0) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
	}

	/** The node of an inode; one that the kernel has from an earlier engine is looked for in the whole tree. */
	node(ino: number): AppNode | undefined {
		const known = this.nodes.get(ino)
		if (known !== undefined || !this.#revived) return known
		const found = findNode(this, ino, this.varLog) ?? findNode(this, ino, this.runPog)
		if (found !== undefined || !this.#orphans.has(ino)) return found
		const nameless = this.nodes.restore(ino, this.varLog, String(ino))
		nameless.unlinked = true
		return nameless
	}

	#root(name: string): AppNode {
		const { calls, root } = this.backing
		calls.mkdir(root, name, 0o755)
		calls.stat(root, name, this.#stat)
		return this.nodes.addRoot(this.#stat.ino, name)
	}

	/** Fills `attr` from the backing file of a node; without a name, from what it was when it lost that. */
	getattr(node: AppNode, attr: Attr): number {
		const { calls, root } = this.backing
		const answer = node.unlinked ? 0 : calls.stat(root, this.nodes.path(node), this.#stat)
		if (answer < 0) return answer
		this.#fill(attr, node.last ?? this.#stat)
		return 0
	}

	/** Fills `attr` from an open file, which may have no name any more. */
	getattrOf(file: AppFile, attr: Attr): number {
		const answer = this.backing.calls.stat(file.fd, '', this.#stat)
		if (answer < 0) return answer
		this.#fill(attr, this.#stat)
		// The name it has here is nobody's.
		if (this.#orphans.has(file.ino)) attr.nlink--
		return 0
	}

	#fill(attr: Attr, s: FileStat): void {
		attr.ino = appInode(s.ino)
		attr.size = s.size
		attr.blocks = s.blocks
		attr.mode = s.mode
		attr.nlink = s.nlink
		attr.uid = s.uid
		attr.gid = s.gid
		attr.blksize = s.blksize
		attr.atimeUs = s.atimeUs
		attr.mtimeUs = s.mtimeUs
		attr.ctimeUs = s.ctimeUs
		attr.rdev = 0
	}

	/** Path of a name below the backing root. */
	path(parent: AppNode, name: string): string {
		return joinPath(this.nodes.path(parent), name)
	}

	/** Whether a name exists in a directory; counts no lookup. */
	exists(parent: AppNode, name: string): boolean {
		return this.backing.calls.stat(this.backing.root, this.path(parent, name), this.#stat) === 0
	}

	lookup(parent: AppNode, name: string, entry: Entry): number {
		const path = this.path(parent, name)
		const answer = this.backing.calls.stat(this.backing.root, path, this.#stat)
		if (answer < 0) return answer
		const node = this.nodes.found(this.#stat.ino, parent, name)
		entry.node = appNode(node.ino)
		entry.generation = 0
		this.#fill(entry.attr, this.#stat)
		return 0
	}

	/**
	 * Whether a name was there when the current request began: one that is carried out once more may find what it made itself.
	 */
	#wasThere(parent: AppNode, name: string): boolean {
		return this.#journal.fact(this.exists(parent, name) ? 1 : 0) === 1
	}

	/**
	 * Makes a new file the caller's, then looks it up. `mode`: its permissions, when it has any of its own. They are set last:
	 * this process has a umask too, and a change of owner takes the set-id bits away. In a set-group-ID directory files get its
	 * group, and directories the bit as well (inode_init_owner(), fs/inode.c v6.12).
	 */
	#adopt(made: number, parent: AppNode, name: string, mode: number, entry: Entry, caller: Caller): number {
		if (made < 0 && !(made === -EEXIST && this.#journal.again && !this.#wasThere(parent, name))) return made
		const { calls, root } = this.backing
		const directory = this.nodes.path(parent)
		const path = joinPath(directory, name)
		const grouped = calls.stat(root, directory, this.#stat) === 0 && (this.#stat.mode & S_ISGID) !== 0
		calls.chown(root, path, caller.uid, grouped ? this.#stat.gid : caller.gid)
		const type = mode & S_IFMT
		if (type !== S_IFLNK) calls.chmod(root, path, (mode & 0o7777) | (grouped && type === S_IFDIR ? S_ISGID : 0))
		return this.lookup(parent, name, entry)
	}

	mkdir(parent: AppNode, name: string, mode: number, entry: Entry, caller: Caller): number {
		const path = this.path(parent, name)
		this.#wasThere(parent, name)
		const made = this.backing.calls.mkdir(this.backing.root, path, mode)
		return this.#adopt(made, parent, name, S_IFDIR | (mode & 0o7777), entry, caller)
	}

	/** Files, FIFOs and sockets; devices are refused: nobody in a container makes one through a log directory. */
	mknod(parent: AppNode, name: string, mode: number, entry: Entry, caller: Caller): number {
		if (![0, S_IFREG, 0o010000, 0o140000].includes(mode & S_IFMT)) return -EPERM
		const path = this.path(parent, name)
		this.#wasThere(parent, name)
		return this.#adopt(this.backing.calls.mknod(this.backing.root, path, mode, 0), parent, name, mode, entry, caller)
	}

	symlink(parent: AppNode, name: string, target: string, entry: Entry, caller: Caller): number {
		const path = this.path(parent, name)
		this.#wasThere(parent, name)
		const made = this.backing.calls.symlink(target, this.backing.root, path)
		return this.#adopt(made, parent, name, S_IFLNK, entry, caller)
	}

	link(node: AppNode, parent: AppNode, name: string, entry: Entry): number {
		if (node.unlinked) return -ENOENT
		const { calls, root } = this.backing
		const wasThere = this.#wasThere(parent, name)
		const made = calls.link(root, this.nodes.path(node), this.path(parent, name))
		if (made < 0 && !(made === -EEXIST && this.#journal.again && !wasThere)) return made
		return this.lookup(parent, name, entry)
	}

	readlink(node: AppNode): string | number {
		if (node.unlinked) return -ENOENT
		return this.backing.calls.readlink(this.backing.root, this.nodes.path(node))
	}

	remove(parent: AppNode, name: string, directory: boolean): number {
		const { calls, root } = this.backing
		const path = this.path(parent, name)
		const known = calls.stat(root, path, this.#stat)
		const wasThere = this.#journal.fact(known < 0 ? 0 : this.#stat.ino) !== 0
		// Removed by us, before the engine died.
		if (known === -ENOENT && wasThere && this.#journal.again) return 0
		if (known < 0) return known
		const removed = { ...this.#stat }
		const { ino, nlink } = removed
		// A later engine can open only what has a name.
		const orphan = !directory && nlink === 1 && this.#opens.has(ino)
		const answer = orphan ? this.#orphans.take(path, ino) : calls.unlink(root, path, directory ? AT_REMOVEDIR : 0)
		if (answer === 0) this.nodes.removed(removed, parent, name)
		return answer
	}

	rename(parent: AppNode, name: string, newParent: AppNode, newName: string, flags: number): number {
		const { calls, root } = this.backing
		const from = this.path(parent, name)
		const to = this.path(newParent, newName)
		const source = calls.stat(root, from, this.#stat)
		const sourceIno = source < 0 ? 0 : this.#stat.ino
		const ino = this.#journal.fact(sourceIno)
		const exchanged = (flags & RENAME_EXCHANGE) !== 0
		const target = calls.stat(root, to, this.#stat)
		const targetIno = target < 0 ? 0 : this.#stat.ino
		const gone = { ...this.#stat }
		const links = target < 0 ? 1 : gone.nlink
		const replaced = this.#journal.secondFact(targetIno) || -1
		// Moved by us, before the engine died: the source has the target's place.
		const moved = this.#journal.again && ino !== 0 && targetIno === ino && sourceIno !== ino
		if (!moved) {
			if (source < 0) return source
			if (!exchanged && links === 1 && replaced !== ino && this.#opens.has(replaced)) this.#orphans.link(to, replaced)
			const answer = calls.rename(root, from, to, flags)
			if (answer < 0) return answer
		}
		if (replaced >= 0 && replaced !== ino) {
			if (exchanged) this.nodes.moved(replaced, parent, name)
			else this.nodes.removed({ ...gone, ino: replaced, nlink: moved ? 1 : links }, newParent, newName)
		}
		this.nodes.moved(ino, newParent, newName)
		return 0
	}

	setattr(node: AppNode, change: AttrChange, file: AppFile | undefined): number {
		const { calls, root } = this.backing
		const path = node.unlinked ? '' : this.nodes.path(node)
		const dir = node.unlinked ? (file?.fd ?? -1) : root
		if (dir < 0) return -ENOENT
		const known = calls.stat(dir, path, this.#stat)
		if (known < 0) return known
		const { valid } = change
		// chmod(2) would follow it: to a file of the host.
		if (valid & FATTR_MODE && (this.#stat.mode & S_IFMT) === S_IFLNK) return -EOPNOTSUPP
		const steps: (() => number)[] = []
		if (valid & FATTR_SIZE) steps.push(() => this.#truncate(node, change.size, file))
		if (valid & (FATTR_UID | FATTR_GID)) {
			const uid = valid & FATTR_UID ? change.uid : -1
			const gid = valid & FATTR_GID ? change.gid : -1
			steps.push(() => calls.chown(dir, path, uid, gid))
		}
		if (valid & FATTR_MODE) steps.push(() => calls.chmod(dir, path, change.mode & 0o7777))
		if (valid & (FATTR_ATIME | FATTR_MTIME)) {
			const now = Date.now() * 1e3
			const atime = valid & FATTR_ATIME ? (valid & FATTR_ATIME_NOW ? now : change.atimeUs) : undefined
			const mtime = valid & FATTR_MTIME ? (valid & FATTR_MTIME_NOW ? now : change.mtimeUs) : undefined
			steps.push(() => calls.utimens(dir, path, atime, mtime))
		}
		for (const step of steps) {
			const answer = step()
			if (answer < 0) return answer
		}
		return 0
	}

	#truncate(node: AppNode, sizeBytes: number, file: AppFile | undefined): number {
		if (sizeBytes > Number.MAX_SAFE_INTEGER) return -EFBIG
		if (file !== undefined) return file.truncate(sizeBytes)
		const { calls, root } = this.backing
		const fd = calls.open(root, this.nodes.path(node), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
		if (fd < 0) return fd
		const answer = calls.truncate(fd, sizeBytes)
		calls.close(fd)
		return answer
	}

	open(node: AppNode, flags: number): AppFile | number {
		return this.#open(this.nodes.path(node), flags & O_TRUNC, 0, flags)
	}

	/** Opens a file that has no name any more once more, by one that has it open. */
	openAgain(file: AppFile, flags: number): AppFile | number {
		// Not by name, so what this leads to is the file itself: proc(5), /proc/PID/fd.
		return this.#open(`/proc/self/fd/${file.fd}`, flags & O_TRUNC, 0, flags, 0)
	}

	create(parent: AppNode, name: string, mode: number, flags: number, entry: Entry, caller: Caller): AppFile | number {
		const path = this.path(parent, name)
		const existed = this.#wasThere(parent, name)
		// Once more: what is there now is what was made.
		const exclusive = this.#journal.again && !existed ? 0 : flags & O_EXCL
		const file = this.#open(path, O_CREAT | exclusive | (flags & O_TRUNC), mode, flags)
		if (typeof file === 'number') return file
		const answer = existed ? this.lookup(parent, name, entry) : this.#adopt(0, parent, name, mode, entry, caller)
		if (answer === 0) return file
		file.release()
		return answer
	}

	/** Backing files are opened for both directions where possible: the page cache reads what an O_WRONLY open wrote. */
	#open(path: string, extra: number, mode: number, flags: number, nofollow = O_NOFOLLOW): AppFile | number {
		const { calls, root } = this.backing
		const access = (flags & O_ACCMODE) === 0 ? 0 : O_RDWR
		const fd = calls.open(root, path, access | extra | nofollow | O_NONBLOCK | O_CLOEXEC, mode)
		if (fd < 0) return fd
		calls.stat(fd, '', this.#stat)
		const { ino } = this.#stat
		this.#count(ino)
		return new AppFile(this, fd, ino, access === O_RDWR)
	}

	/** A descriptor to list a directory by, or a negative errno: -ENOENT when it was removed while it was open, and is empty. */
	openDirectory(node: AppNode): number {
		// Its path may be another's by now.
		if (node.unlinked) return -ENOENT
		const { calls, root } = this.backing
		return calls.open(root, this.nodes.path(node), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
	}

	/** Entries of a directory, or a negative errno. */
	list(node: AppNode): DirectoryEntry[] | number {
		const { calls } = this.backing
		const fd = this.openDirectory(node)
		if (fd < 0) return fd
		const entries = calls.list(fd)
		calls.close(fd)
		return entries
	}

	/**
	 * Makes a directory and those above it, where they are missing. What is no directory ends it: below a symbolic link of
	 * the container's is the host.
	 */
	makeDirectories(root: AppNode, path: string): void {
		const { calls, root: dir } = this.backing
		let at = root.name
		for (const part of path.split('/').filter(p => p !== '')) {
			at = joinPath(at, part)
			calls.mkdir(dir, at, 0o755)
			if (calls.stat(dir, at, this.#stat) < 0 || (this.#stat.mode & S_IFMT) !== S_IFDIR) return
		}
	}
}
