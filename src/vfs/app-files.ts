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
import { EFBIG, ENOENT, EOPNOTSUPP, EPERM } from '../lib/errno.ts'
import { type DirectoryEntry, type FileStat, newFileStat } from '../lib/file-stat.ts'
import { AppFile, BackingIds } from './app-file.ts'
import { type AppNode, AppNodes, joinPath } from './app-nodes.ts'
import type { Backing } from './backing.ts'
import { appInode, appNode } from './nodes.ts'

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
const S_IFMT = 0o170000
const S_IFREG = 0o100000
const S_IFDIR = 0o040000
const S_IFLNK = 0o120000
const S_ISGID = 0o2000

export class AppFiles {
	readonly backing: Backing
	readonly nodes = new AppNodes()
	readonly varLog: AppNode
	readonly runPog: AppNode
	readonly #ids: BackingIds
	readonly #stat = newFileStat()

	constructor(backing: Backing, connection: Connection) {
		this.backing = backing
		this.#ids = new BackingIds(connection)
		this.varLog = this.#root('varlog')
		this.runPog = this.#root('runpog')
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
		if (answer === 0) this.#fill(attr, this.#stat)
		return answer
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

	/** Whether a name exists in a directory; counts no lookup. */
	exists(parent: AppNode, name: string): boolean {
		return this.backing.calls.stat(this.backing.root, joinPath(this.nodes.path(parent), name), this.#stat) === 0
	}

	lookup(parent: AppNode, name: string, entry: Entry): number {
		const path = joinPath(this.nodes.path(parent), name)
		const answer = this.backing.calls.stat(this.backing.root, path, this.#stat)
		if (answer < 0) return answer
		const node = this.nodes.found(this.#stat.ino, parent, name)
		entry.node = appNode(node.ino)
		entry.generation = 0
		this.#fill(entry.attr, this.#stat)
		return 0
	}

	/**
	 * Makes a new file the caller's, then looks it up. `mode`: its permissions, when it has any of its own. They are set last:
	 * this process has a umask too, and a change of owner takes the set-id bits away. In a set-group-ID directory files get its
	 * group, and directories the bit as well (inode_init_owner(), fs/inode.c v6.12).
	 */
	#adopt(made: number, parent: AppNode, name: string, mode: number, entry: Entry, caller: Caller): number {
		if (made < 0) return made
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
		const path = joinPath(this.nodes.path(parent), name)
		const made = this.backing.calls.mkdir(this.backing.root, path, mode)
		return this.#adopt(made, parent, name, S_IFDIR | (mode & 0o7777), entry, caller)
	}

	/** Files, FIFOs and sockets; devices are refused: nobody in a container makes one through a log directory. */
	mknod(parent: AppNode, name: string, mode: number, entry: Entry, caller: Caller): number {
		if (![0, S_IFREG, 0o010000, 0o140000].includes(mode & S_IFMT)) return -EPERM
		const path = joinPath(this.nodes.path(parent), name)
		return this.#adopt(this.backing.calls.mknod(this.backing.root, path, mode, 0), parent, name, mode, entry, caller)
	}

	symlink(parent: AppNode, name: string, target: string, entry: Entry, caller: Caller): number {
		const path = joinPath(this.nodes.path(parent), name)
		return this.#adopt(
			this.backing.calls.symlink(target, this.backing.root, path),
			parent,
			name,
			S_IFLNK,
			entry,
			caller,
		)
	}

	link(node: AppNode, parent: AppNode, name: string, entry: Entry): number {
		if (node.unlinked) return -ENOENT
		const { calls, root } = this.backing
		const made = calls.link(root, this.nodes.path(node), joinPath(this.nodes.path(parent), name))
		return made < 0 ? made : this.lookup(parent, name, entry)
	}

	readlink(node: AppNode): string | number {
		if (node.unlinked) return -ENOENT
		return this.backing.calls.readlink(this.backing.root, this.nodes.path(node))
	}

	remove(parent: AppNode, name: string, directory: boolean): number {
		const { calls, root } = this.backing
		const path = joinPath(this.nodes.path(parent), name)
		const known = calls.stat(root, path, this.#stat)
		if (known < 0) return known
		const answer = calls.unlink(root, path, directory ? AT_REMOVEDIR : 0)
		if (answer === 0) this.nodes.removed(this.#stat, parent, name)
		return answer
	}

	rename(parent: AppNode, name: string, newParent: AppNode, newName: string, flags: number): number {
		const { calls, root } = this.backing
		const from = joinPath(this.nodes.path(parent), name)
		const to = joinPath(this.nodes.path(newParent), newName)
		const source = calls.stat(root, from, this.#stat)
		if (source < 0) return source
		const { ino } = this.#stat
		const replaced = calls.stat(root, to, this.#stat) === 0 && this.#stat.ino !== ino
		const answer = calls.rename(root, from, to, flags)
		if (answer < 0) return answer
		const exchanged = (flags & 2) !== 0
		if (replaced) {
			if (exchanged) this.nodes.moved(this.#stat.ino, parent, name)
			else this.nodes.removed(this.#stat, newParent, newName)
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
	reopen(file: AppFile, flags: number): AppFile | number {
		// Not by name, so what this leads to is the file itself: proc(5), /proc/PID/fd.
		return this.#open(`/proc/self/fd/${file.fd}`, flags & O_TRUNC, 0, flags, 0)
	}

	create(parent: AppNode, name: string, mode: number, flags: number, entry: Entry, caller: Caller): AppFile | number {
		const path = joinPath(this.nodes.path(parent), name)
		const existed = this.exists(parent, name)
		const file = this.#open(path, O_CREAT | (flags & (O_EXCL | O_TRUNC)), mode, flags)
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
		return new AppFile(this.backing, this.#ids, fd, this.#stat.ino)
	}

	/** Entries of a directory, or a negative errno. */
	list(node: AppNode): DirectoryEntry[] | number {
		// Removed while it was open: it was empty then. Its path may be another's by now.
		if (node.unlinked) return []
		const { calls, root } = this.backing
		const fd = calls.open(root, this.nodes.path(node), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
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

	/** Writes a whole new file. 0, or a negative errno. */
	writeAll(parent: AppNode, name: string, bytes: Uint8Array): number {
		const { calls, root, scratch } = this.backing
		const fd = calls.open(
			root,
			joinPath(this.nodes.path(parent), name),
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			0o644,
		)
		if (fd < 0) return fd
		let answer = 0
		for (let at = 0; at < bytes.length && answer >= 0; at += scratch.bytes.length) {
			const piece = bytes.subarray(at, at + scratch.bytes.length)
			scratch.bytes.set(piece)
			answer = calls.pwrite(fd, scratch.address, piece.length, at)
		}
		calls.close(fd)
		return Math.min(0, answer)
	}

	/** The whole content of a file of at most `maxBytes`, or a negative errno. */
	readAll(parent: AppNode, name: string, maxBytes: number): Uint8Array | number {
		const { calls, root, scratch } = this.backing
		const fd = calls.open(root, joinPath(this.nodes.path(parent), name), O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0)
		if (fd < 0) return fd
		const pieces: Uint8Array[] = []
		let total = 0
		for (;;) {
			const bytes = calls.pread(fd, scratch.address, scratch.bytes.length, total)
			if (bytes <= 0 || total + bytes > maxBytes) {
				calls.close(fd)
				return bytes < 0 ? bytes : bytes === 0 ? Buffer.concat(pieces) : -EFBIG
			}
			pieces.push(scratch.bytes.slice(0, bytes))
			total += bytes
		}
	}
}
