/**
 * A `Filesystem` served through the fuse-native package instead of the kernel's protocol (`session.ts`).
 *
 * Source: high-level interface of libfuse 2.9 (fuse.h), as fuse-native 2.2.6 passes it on: by path, without the caller's
 * ids and without handles for getattr. What this cannot do is in docs/transports.md.
 *
 * Invariants: every operation is answered once and at once, because nothing here can be interrupted: a read that would wait answers
 * EAGAIN. A throw in an operation ends that request with EIO and nothing else. After `close` the tree is not asked any more.
 */
import { EAGAIN, EBADF, EINVAL, EIO, EOPNOTSUPP } from '../lib/errno.ts'
import { allocate, unmap } from '../sys/memory.ts'
import {
	type AttrChange,
	type Connection,
	emptyAttr,
	type Features,
	type Filesystem,
	type HandleId,
	type NodeId,
	type Opened,
	PENDING,
	type StatFs,
} from './filesystem.ts'
import { FATTR_ATIME, FATTR_FH, FATTR_GID, FATTR_MODE, FATTR_MTIME, FATTR_SIZE, FATTR_UID } from './flags.ts'
import {
	type Done,
	endOperations,
	type FuseNative,
	keepHandles,
	mountOptions,
	type NativeOperations,
	type PackageMount,
} from './native-package.ts'
import { BufferReply, toStat } from './native-reply.ts'
import { type Hold, Paths, toBytes, toText } from './native-paths.ts'
import type { Fault } from './session.ts'

export interface NativeOptions {
	readonly mountPoint: string
	/** The source shown in /proc/self/mounts. */
	readonly fsname: string
	/** Whose every file is that somebody makes: the caller is not known. */
	readonly owner: { readonly uid: number; readonly gid: number }
	/** Told of the first faults only. */
	readonly log: (fault: Fault) => void
}

/** What libfuse 2 takes in one write. */
const MAX_WRITE_BYTES = 128 * 1024
const MAX_FAULTS = 32
const O_RDWR = 2
/** chown(2) of one of the two. */
const UNCHANGED = 0xffff_ffff
/** The name that libfuse gives an open file instead of removing it. */
const HIDDEN = /\/\.fuse_hidden[0-9a-f]{16}$/
const FEATURES: Features = {
	minor: 0,
	passthrough: false,
	resend: false,
	atomicTrunc: true,
	anonymous: true,
	maxWriteBytes: MAX_WRITE_BYTES,
}

interface OpenHandle {
	readonly hold: Hold
	readonly handle: HandleId
	readonly flags: number
}

/** One mount. */
export class NativeMount implements Connection {
	readonly features = FEATURES
	readonly #filesystem: Filesystem
	readonly #options: NativeOptions
	readonly #caller: { uid: number; gid: number; pid: number }
	readonly #paths: Paths
	readonly #open = new Map<number, OpenHandle>()
	/** Files that are open and have no name any more, by the name that libfuse knows them by. */
	readonly #hidden = new Map<string, NodeId>()
	readonly #opened: Opened = { handle: 0, openFlags: 0, backingId: 0 }
	readonly #attr = emptyAttr()
	readonly #reply = new BufferReply()
	readonly #memory = allocate(MAX_WRITE_BYTES)
	#package: PackageMount | undefined
	#nextFd = 1
	#requests = 0
	#faults = 0
	#closed = false

	constructor(filesystem: Filesystem, options: NativeOptions) {
		this.#filesystem = filesystem
		this.#options = options
		this.#caller = { ...options.owner, pid: 0 }
		this.#paths = new Paths(filesystem, this.#caller)
		filesystem.attach(this)
	}

	/** Mounts; null when the kernel has been answered, or why not. */
	mount(fuseNative: FuseNative): Promise<string | null> {
		const { mountPoint, fsname } = this.#options
		const mount = keepHandles(new fuseNative(mountPoint, this.#operations(), mountOptions(fsname)))
		this.#package = mount
		return new Promise(resolve =>
			mount.mount(error =>
				resolve(error === null ? null : `Cannot mount FUSE on ${mountPoint} through fuse-native: ${error.message}`),
			),
		)
	}

	/** Ends serving: whoever still has the mount gets ENOTCONN. Unmounting is the caller's. */
	close(): void {
		if (this.#closed) return
		this.#closed = true
		if (this.#package !== undefined) endOperations(this.#package)
		this.#open.clear()
		this.#filesystem.destroy()
		unmap(this.#memory)
	}

	/** No read waits, and nobody is woken. */
	finishRead(): void {}
	notifyPoll(): void {}
	openBacking(): number {
		return -EOPNOTSUPP
	}
	closeBacking(): void {}

	/** Carries out one operation: its outcome, or EIO when it threw. */
	#run(operation: string, body: () => number): number {
		try {
			return body()
		} catch (cause) {
			if (++this.#faults <= MAX_FAULTS)
				this.#options.log({ message: 'Cannot answer: the operation threw', operation, node: 0, cause })
			return -EIO
		} finally {
			this.#paths.settle()
		}
	}

	#operations(): NativeOperations {
		const answer = (operation: string, done: Done, body: () => number): void => done(this.#run(operation, body))
		return {
			getattr: (path, done) => this.#stat(done, () => this.#getattr(path)),
			fgetattr: (_path, fd, done) =>
				this.#stat(done, () =>
					this.#with(fd, (node, handle) => Math.min(0, this.#filesystem.getattr(node, handle, this.#attr))),
				),
			readdir: (path, done) => this.#readdir(path, done),
			readlink: (path, done) => this.#readlink(path, done),
			statfs: (_path, done) => this.#statfs(done),
			open: (path, flags, done) => {
				const outcome = this.#run('open', () => this.#openPath(path, flags))
				done(Math.min(outcome, 0), outcome)
			},
			create: (path, mode, done) => {
				const outcome = this.#run('create', () => this.#create(path, mode))
				done(Math.min(outcome, 0), outcome)
			},
			read: (_path, fd, buffer, sizeBytes, offset, done) =>
				answer('read', done, () => this.#read(fd, buffer, sizeBytes, offset)),
			write: (_path, fd, buffer, sizeBytes, offset, done) =>
				answer('write', done, () => this.#write(fd, buffer, sizeBytes, offset)),
			flush: (_path, fd, done) =>
				answer('flush', done, () => this.#with(fd, (node, handle) => this.#filesystem.flush(node, handle))),
			fsync: (_path, _dataOnly, fd, done) =>
				answer('fsync', done, () => this.#with(fd, (node, handle) => this.#filesystem.fsync(node, handle))),
			release: (_path, fd, done) => answer('release', done, () => this.#release(fd)),
			truncate: (path, size, done) => answer('truncate', done, () => this.#change(path, { valid: FATTR_SIZE, size })),
			ftruncate: (_path, fd, size, done) =>
				answer('ftruncate', done, () =>
					this.#with(fd, (node, handle) => this.#set(node, { valid: FATTR_SIZE | FATTR_FH, size, handle })),
				),
			utimens: (path, atimeMs, mtimeMs, done) =>
				answer('utimens', done, () =>
					this.#change(path, { valid: FATTR_ATIME | FATTR_MTIME, atimeUs: atimeMs * 1e3, mtimeUs: mtimeMs * 1e3 }),
				),
			chown: (path, uid, gid, done) => {
				const valid = (uid === UNCHANGED ? 0 : FATTR_UID) | (gid === UNCHANGED ? 0 : FATTR_GID)
				answer('chown', done, () => this.#change(path, { valid, uid, gid }))
			},
			chmod: (path, mode, done) => answer('chmod', done, () => this.#change(path, { valid: FATTR_MODE, mode })),
			mknod: (path, mode, rdev, done) =>
				answer('mknod', done, () =>
					this.#make(path, (parent, name) =>
						this.#filesystem.mknod(parent, name, mode, rdev, this.#paths.entry, this.#caller),
					),
				),
			mkdir: (path, mode, done) =>
				answer('mkdir', done, () =>
					this.#make(path, (parent, name) =>
						this.#filesystem.mkdir(parent, name, mode, this.#paths.entry, this.#caller),
					),
				),
			symlink: (target, path, done) => answer('symlink', done, () => this.#symlink(target, path)),
			link: (path, newPath, done) => answer('link', done, () => this.#link(path, newPath)),
			rename: (path, newPath, done) => answer('rename', done, () => this.#rename(path, newPath)),
			unlink: (path, done) => answer('unlink', done, () => this.#unlink(path)),
			rmdir: (path, done) =>
				answer('rmdir', done, () => this.#in(path, (parent, name) => this.#filesystem.rmdir(parent, name))),
		}
	}

	#stat(done: Done, body: () => number): void {
		const outcome = this.#run('getattr', body)
		if (outcome < 0) done(outcome)
		else done(0, toStat(this.#attr))
	}

	#getattr(path: string): number {
		const hidden = this.#hidden.get(path)
		if (hidden !== undefined) return Math.min(0, this.#filesystem.getattr(hidden, this.#handleOf(hidden), this.#attr))
		const node = this.#paths.find(path)
		if (node >= 0) Object.assign(this.#attr, this.#paths.entry.attr)
		return node < 0 ? node : 0
	}

	/** A handle by which a node is open; -1 for none. */
	#handleOf(node: NodeId): HandleId {
		for (const { hold, handle } of this.#open.values()) if (hold.node === node) return handle
		return -1
	}

	#readdir(path: string, done: Done): void {
		const names: string[] = []
		const stats: { mode: number }[] = []
		const outcome = this.#run('readdir', () => {
			const node = this.#paths.find(path)
			if (node < 0) return node
			const opened = this.#filesystem.opendir(node, this.#opened)
			if (opened < 0) return opened
			const { handle } = this.#opened
			let [offset, last, read] = [0, -1, 0]
			const add = (name: string, _ino: number, type: number, next: number): boolean => {
				offset = next
				const text = toText(name)
				if (text !== undefined) {
					names.push(text)
					stats.push({ mode: type << 12 })
				}
				return true
			}
			// As the kernel does: until nothing is added any more.
			while (read >= 0 && offset !== last) {
				last = offset
				read = this.#filesystem.readdir(node, handle, offset, { add })
			}
			this.#filesystem.releasedir(handle)
			return read
		})
		if (outcome < 0) done(outcome)
		else done(0, names, stats)
	}

	#readlink(path: string, done: Done): void {
		let target: string | undefined
		const outcome = this.#run('readlink', () => {
			const node = this.#paths.find(path)
			if (node < 0) return node
			this.#reply.begin(this.#memory.bytes, this.#memory.bytes.length)
			const read = this.#filesystem.readlink(node, this.#reply, 0, this.#caller)
			target = toText(this.#reply.text)
			return read === 0 && target === undefined ? -EINVAL : read
		})
		if (outcome < 0) done(outcome)
		else done(0, target)
	}

	#statfs(done: Done): void {
		const out: StatFs = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 0, namelen: 0 }
		const outcome = this.#run('statfs', () => this.#filesystem.statfs(1, out))
		if (outcome < 0) done(outcome)
		else done(0, { ...out, frsize: out.bsize, favail: out.ffree, namemax: out.namelen })
	}

	#openPath(path: string, flags: number): number {
		const node = this.#paths.find(path)
		if (node < 0) return node
		const outcome = this.#filesystem.open(node, flags, this.#opened, this.#caller)
		return outcome < 0 ? outcome : this.#register(flags)
	}

	/** The flags of the open are not told: the kernel has checked the access, and looked whether there is such a file. */
	#create(path: string, mode: number): number {
		return this.#in(path, (parent, name) => {
			const { entry } = this.#paths
			const outcome = this.#filesystem.create(parent, name, mode, O_RDWR, entry, this.#opened, this.#caller)
			if (outcome < 0) return outcome
			this.#paths.made()
			return this.#register(O_RDWR)
		})
	}

	#register(flags: number): number {
		const fd = this.#nextFd++
		this.#open.set(fd, { hold: this.#paths.hold(), handle: this.#opened.handle, flags })
		return fd
	}

	#with(fd: number, body: (node: NodeId, handle: HandleId, flags: number) => number): number {
		const open = this.#open.get(fd)
		return open === undefined ? -EBADF : body(open.hold.node, open.handle, open.flags)
	}

	#read(fd: number, buffer: Uint8Array, sizeBytes: number, offset: number): number {
		return this.#with(fd, (node, handle, flags) => {
			const request = ++this.#requests
			this.#reply.begin(buffer, sizeBytes)
			const asked = { request, node, handle, offset, sizeBytes, flags }
			const outcome = this.#filesystem.read(asked, this.#reply, this.#caller)
			if (outcome !== PENDING) return outcome < 0 ? outcome : this.#reply.sizeBytes
			// Nobody could end this read but the record it waits for.
			this.#filesystem.interrupted(request)
			return -EAGAIN
		})
	}

	#write(fd: number, buffer: Uint8Array, sizeBytes: number, offset: number): number {
		return this.#with(fd, (node, handle, flags) => {
			const request = ++this.#requests
			const data = { memory: this.#memory, start: 0, sizeBytes: Math.min(sizeBytes, MAX_WRITE_BYTES) }
			this.#memory.bytes.set(buffer.subarray(0, data.sizeBytes))
			return this.#filesystem.write({ request, node, handle, offset, flags, ...data }, this.#caller)
		})
	}

	#release(fd: number): number {
		const open = this.#open.get(fd)
		if (open === undefined) return -EBADF
		this.#open.delete(fd)
		this.#filesystem.release(open.hold.node, open.handle)
		this.#paths.release(open.hold)
		return 0
	}

	#change(path: string, change: Partial<AttrChange>): number {
		const hidden = this.#hidden.get(path)
		if (hidden !== undefined) return this.#set(hidden, { ...change, handle: this.#handleOf(hidden) })
		const node = this.#paths.find(path)
		return node < 0 ? node : this.#set(node, change)
	}

	#set(node: NodeId, change: Partial<AttrChange>): number {
		const unset: AttrChange = { valid: 0, handle: -1, size: 0, atimeUs: 0, mtimeUs: 0, mode: 0, uid: 0, gid: 0 }
		return Math.min(0, this.#filesystem.setattr(node, { ...unset, ...change }, this.#attr, this.#caller))
	}

	/** Calls with the directory and the last name of a path. */
	#in(path: string, body: (parent: NodeId, name: string) => number): number {
		const parent = this.#paths.parent(path)
		return parent < 0 ? parent : body(parent, this.#paths.name)
	}

	#make(path: string, body: (parent: NodeId, name: string) => number): number {
		return this.#in(path, (parent, name) => {
			const outcome = body(parent, name)
			if (outcome >= 0) this.#paths.made()
			return outcome
		})
	}

	#symlink(target: string, path: string): number {
		const bytes = toBytes(target)
		if (bytes === undefined) return -EINVAL
		return this.#make(path, (parent, name) =>
			this.#filesystem.symlink(parent, name, bytes, this.#paths.entry, this.#caller),
		)
	}

	#link(path: string, newPath: string): number {
		const node = this.#paths.find(path)
		if (node < 0) return node
		return this.#make(newPath, (parent, name) => this.#filesystem.link(node, parent, name, this.#paths.entry))
	}

	#rename(path: string, newPath: string): number {
		if (HIDDEN.test(newPath)) return this.#hide(path, newPath)
		return this.#in(path, (parent, name) =>
			this.#in(newPath, (newParent, newName) => this.#filesystem.rename(parent, name, newParent, newName, 0)),
		)
	}

	/** libfuse moves an open file away instead of removing it; we need no name for what is open. */
	#hide(path: string, newPath: string): number {
		const node = this.#paths.find(path)
		if (node < 0) return node
		const { ino } = this.#paths.entry.attr
		const outcome = this.#in(path, (parent, name) => this.#filesystem.unlink(parent, name))
		if (outcome < 0) return outcome
		this.#paths.unpin(ino)
		this.#hidden.set(newPath, node)
		return outcome
	}

	#unlink(path: string): number {
		if (this.#hidden.delete(path)) return 0
		return this.#in(path, (parent, name) => this.#filesystem.unlink(parent, name))
	}
}
