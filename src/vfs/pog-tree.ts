/**
 * The tree of one POG as a file system: names, attributes, and the open files behind handles.
 *
 * Each kind of file is a class of its own (`OpenFile`); this one finds which it is. Invariant: whatever a container asks,
 * the answer is an errno or a result, and only this POG's ring and this POG's tmpfs are touched.
 */
import type {
	Attr,
	AttrChange,
	Caller,
	Connection,
	DirReply,
	Entry,
	Filesystem,
	HandleId,
	NodeId,
	Opened,
	ReadReply,
	ReadRequest,
	StatFs,
	WriteRequest,
} from '../fuse/filesystem.ts'
import { FATTR_SIZE } from '../fuse/flags.ts'
import { EBADF, EEXIST, EINVAL, ENOENT, ENOTDIR, EPERM, EROFS } from '../lib/errno.ts'
import { Chores } from '../lib/chores.ts'
import type { Steps } from '../lib/steps.ts'
import type { Pog, Sender } from '../pog/pog.ts'
import { routeBit } from '../pog/view.ts'
import { AppFile } from './app-file.ts'
import { AppFiles } from './app-files.ts'
import type { Backing } from './backing.ts'
import { ConfDraft, type DraftStore } from './conf-file.ts'
import type { PogActions } from './ctl-file.ts'
import { KMSG_SIZE_BYTES } from './kmsg-file.ts'
import { KmsgReaders } from './kmsg-readers.ts'
import { appIno, fillFixedAttr, fixedNode, isAppNode, isName, isViewNode, NODE, S_IFDIR } from './nodes.ts'
import { inSteps } from './in-steps.ts'
import type { AppNode } from './app-nodes.ts'
import type { OpenFile } from './open-file.ts'
import { OpenDirectories } from './open-directories.ts'
import { OpenFiles } from './open-files.ts'
import { Places } from './places.ts'
import { Opening } from './opening.ts'
import { PrintkFile } from './printk-file.ts'
import { Renaming } from './renaming.ts'
import { type Reports, reportBytes } from './reports.ts'
import { TreeJournal } from './tree-journal.ts'

const O_EXCL = 0o200
const POLLNVAL = 0x20
const DIRECTORY_VALID_MS = 1000

export interface TreeOptions {
	backing: Backing
	actions: PogActions
	reports: Reports
	/** A host pid in the container's namespace; 0 when unknown. */
	containerPid: (hostPid: number) => number
	/** The command name of a host process; empty when it is gone. */
	processName: (hostPid: number) => string
	/** Where a configuration that is being edited is kept; nowhere when left out. */
	draft?: DraftStore
}

export class PogTree implements Filesystem {
	readonly #pog: Pog
	readonly #options: TreeOptions
	readonly #handles: OpenFiles
	readonly #inSteps = (work: Steps<number>): number => inSteps(work, this.chores, this.#connection.later)
	/** What the session tells of each request. */
	readonly journal: TreeJournal
	readonly #conf: ConfDraft
	readonly #sender: Sender = { pid: 0, uid: 0, gid: 0 }
	#connection!: Connection
	#readers!: KmsgReaders
	#apps!: AppFiles
	#places!: Places
	#directories!: OpenDirectories
	#renaming!: Renaming
	#opening!: Opening
	/** Told when there is something for `work` to do: a step of what requests have left. Answers whether there is more. */
	onWork: () => void = () => {}
	readonly work = (): boolean => [this.#readers.serve(), this.chores.serve()].includes(true)
	/** What is carried out in steps, for requests and for others. */
	readonly chores = new Chores()

	constructor(pog: Pog, options: TreeOptions) {
		this.#pog = pog
		this.#options = options
		this.#conf = new ConfDraft(pog, options.draft, this.#inSteps)
		this.chores.onWork = () => this.onWork()
		this.#handles = new OpenFiles(pog, this.#inSteps)
		this.journal = new TreeJournal(pog)
	}

	attach(connection: Connection): void {
		this.#connection = connection
		this.#readers = new KmsgReaders(this.#pog, connection)
		this.#readers.onWork = () => this.onWork()
		this.#apps = new AppFiles(this.#options.backing, connection, this.#pog.journal)
		this.#places = new Places(this.#pog, this.#apps)
		this.#directories = new OpenDirectories(this.#places, this.#apps, this.#pog)
		this.#renaming = new Renaming(this.#pog, this.#apps, this.#places, this.#conf)
		this.#opening = new Opening(this.#pog, connection, {
			...this.#options,
			readers: this.#readers,
			apps: this.#apps,
			places: this.#places,
			conf: this.#conf,
			inSteps: this.#inSteps,
			appFile: ino => this.#handles.appFile(ino),
		})
		this.#pog.configured.onViews = () => this.#places.makeViewDirectories()
		this.#places.makeViewDirectories()
	}

	/** Goes on with the files that an earlier engine had open. After `attach`, before the first request. */
	revive(): void {
		for (const cell of this.#pog.cells) {
			const file = this.#opening.restore(cell)
			if (file === null) this.#pog.cells.give(cell)
			else if (file !== undefined) this.#handles.restore(cell, file)
		}
		this.#apps.revive()
		this.#pog.views.settle()
	}

	/** Those who poll are to look again: after the requests of an earlier engine were answered. */
	wakePollers(): void {
		this.#readers.notifyAll()
	}

	lookup(parent: NodeId, name: string, entry: Entry): number {
		return this.#lookup(parent, name, entry, this.#pog.onLook)
	}

	#lookup(parent: NodeId, name: string, entry: Entry, onView?: () => void): number {
		if (!isName(name)) return -ENOENT
		const answer = this.#places.lookup(parent, name, entry, onView)
		return answer === 0 && fixedNode(entry.node) !== undefined ? this.#fixedAttr(entry.node, entry.attr) : answer
	}

	forget(node: NodeId, lookups: number): void {
		if (isAppNode(node)) this.#apps.nodes.forget(appIno(node), lookups)
	}

	getattr(node: NodeId, handle: HandleId, attr: Attr): number {
		if (isViewNode(node)) this.#pog.onLook()
		return this.#attr(node, handle, attr)
	}

	#attr(node: NodeId, handle: HandleId, attr: Attr): number {
		const file = handle < 0 ? undefined : this.#handles.get(handle)
		const fixed = fixedNode(node)
		if (fixed !== undefined) {
			const answer = this.#fixedAttr(node, attr)
			attr.size = file?.seekEnd() ?? attr.size
			// A directory changes through this mount only: the kernel need not ask at every path it walks.
			return answer === 0 && (fixed.mode & S_IFDIR) !== 0 ? DIRECTORY_VALID_MS : answer
		}
		if (isAppNode(node)) return this.#appAttr(node, file, attr)
		const view = this.#places.viewOf(node)
		if (view === undefined) return -ENOENT
		this.#places.viewAttr(view, this.#places.base(view, node), attr)
		attr.size = file?.seekEnd() ?? attr.size
		return 0
	}

	#appAttr(node: NodeId, file: OpenFile | undefined, attr: Attr): number {
		if (file instanceof AppFile) return this.#apps.getattrOf(file, attr)
		const app = this.#apps.node(appIno(node))
		if (app === undefined) return -ENOENT
		const open = app.unlinked ? this.#handles.appFile(app.ino) : undefined
		return open ? this.#apps.getattrOf(open, attr) : this.#apps.getattr(app, attr)
	}

	#fixedAttr(node: NodeId, attr: Attr): number {
		const fixed = fixedNode(node)
		if (fixed === undefined) return -ENOENT
		const directory = this.#places.directory(node)
		if (directory !== undefined) {
			const answer = this.#apps.getattr(directory, attr)
			attr.ino = node
			return answer
		}
		fillFixedAttr(attr, fixed, this.#pog.owner, this.#pog.createdUs)
		// Not 0: sendfile(2), which busybox cat tries first, would take the log for an empty file without asking us.
		if (node === NODE.devKmsg || node === NODE.procKmsg) attr.size = KMSG_SIZE_BYTES
		// Where it is not known who opens, the mode has to say no.
		const restricted = this.#pog.printk.dmesgRestrict !== 0 && this.#connection.features.anonymous === true
		if (node === NODE.devKmsg && restricted) attr.mode &= ~0o077
		if (node === NODE.syslogConf) {
			attr.size = this.#conf.sizeBytes
			attr.mtimeUs = attr.ctimeUs = this.#conf.mtimeUs
		} else {
			const report = reportBytes(node, this.#pog, this.#options.reports)
			if (report !== undefined) attr.size = report.length
		}
		return 0
	}

	setattr(node: NodeId, change: AttrChange, attr: Attr): number {
		const file = change.handle < 0 ? undefined : this.#handles.get(change.handle)
		if (node === NODE.syslogConf && file === undefined && (change.valid & FATTR_SIZE) !== 0)
			return this.#conf.inSteps(this.#cutConf(change.size, attr))
		const answer = this.#change(node, change, file)
		return answer < 0 ? answer : Math.min(0, this.#attr(node, -1, attr))
	}

	#change(node: NodeId, change: AttrChange, file: OpenFile | undefined): number {
		const directory = this.#places.directory(node)
		// fchmod(2) and fchown(2) come without their handle.
		const open = file ?? (directory?.unlinked === true ? this.#handles.appFile(directory.ino) : undefined)
		if (directory !== undefined)
			return this.#apps.setattr(directory, change, open instanceof AppFile ? open : undefined)
		const view = this.#places.viewOf(node)
		if (view !== undefined) return this.#places.changeView(view, change)
		if (fixedNode(node) === undefined) return -ENOENT
		if ((change.valid & FATTR_SIZE) === 0) return 0
		if (file !== undefined) return file.truncate(change.size)
		// As the kernel: files of /proc ignore it, /dev/kmsg refuses it.
		if (node === NODE.procKmsg || PrintkFile.is(node)) return 0
		return -EINVAL
	}

	*#cutConf(sizeBytes: number, attr: Attr): Steps<number> {
		const answer = this.#conf.truncate(sizeBytes)
		if (answer < 0) return answer
		yield* this.#conf.commit()
		return Math.min(0, this.#attr(NODE.syslogConf, -1, attr))
	}

	readlink(node: NodeId, reply: ReadReply): number {
		const app = this.#places.directory(node)
		const target = app === undefined ? -EINVAL : this.#apps.readlink(app)
		if (typeof target === 'number') return target
		const bytes = Buffer.from(target, 'latin1')
		reply.addBytes(bytes, 0, bytes.length)
		return 0
	}

	symlink(parent: NodeId, name: string, target: string, entry: Entry, caller: Caller): number {
		const directory = this.#freeName(parent, name)
		return typeof directory === 'number' ? directory : this.#apps.symlink(directory, name, target, entry, caller)
	}

	mknod(parent: NodeId, name: string, mode: number, _rdev: number, entry: Entry, caller: Caller): number {
		const directory = this.#freeName(parent, name)
		return typeof directory === 'number' ? directory : this.#apps.mknod(directory, name, mode, entry, caller)
	}

	mkdir(parent: NodeId, name: string, mode: number, entry: Entry, caller: Caller): number {
		const directory = this.#freeName(parent, name)
		return typeof directory === 'number' ? directory : this.#apps.mkdir(directory, name, mode, entry, caller)
	}

	/** The app directory of `parent` when no view and no fixed file has this name there. */
	#freeName(parent: NodeId, name: string): AppNode | number {
		if (!isName(name)) return -EINVAL
		if (this.#places.fixed(parent, name) !== undefined) return -EEXIST
		const directory = this.#places.directory(parent)
		if (directory === undefined) return fixedNode(parent) === undefined ? -ENOENT : -EROFS
		return this.#places.view(directory, name) === undefined ? directory : -EEXIST
	}

	unlink(parent: NodeId, name: string): number {
		if (!isName(name)) return -EINVAL
		return this.#renaming.unlink(parent, name)
	}

	rmdir(parent: NodeId, name: string): number {
		if (!isName(name)) return -EINVAL
		return this.#renaming.rmdir(parent, name)
	}

	rename(parent: NodeId, name: string, newParent: NodeId, newName: string, flags: number): number {
		if (!isName(name) || !isName(newName)) return -EINVAL
		return this.#renaming.rename(parent, name, newParent, newName, flags)
	}

	link(node: NodeId, newParent: NodeId, newName: string, entry: Entry): number {
		const app = isAppNode(node) ? this.#apps.node(appIno(node)) : undefined
		// A second name for a view would be a second owner of its records.
		if (app === undefined) return -EPERM
		const directory = this.#freeName(newParent, newName)
		return typeof directory === 'number' ? directory : this.#apps.link(app, directory, newName, entry)
	}

	open(node: NodeId, flags: number, opened: Opened, caller: Caller): number {
		return this.#handles.open(opened, () => this.#opening.open(node, flags, caller))
	}

	create(
		parent: NodeId,
		name: string,
		mode: number,
		flags: number,
		entry: Entry,
		opened: Opened,
		caller: Caller,
	): number {
		if (!isName(name)) return -EINVAL
		const directory = this.#places.directory(parent)
		const fixed = this.#places.fixed(parent, name)
		const view = directory === undefined ? undefined : this.#places.view(directory, name)
		if (fixed !== undefined || view !== undefined) {
			if ((flags & O_EXCL) !== 0 && view?.hidden !== true) return -EEXIST
			if (view !== undefined) this.#pog.views.reveal(routeBit(view))
			const answer = this.#lookup(parent, name, entry)
			return answer < 0 ? answer : this.open(entry.node, flags, opened, caller)
		}
		if (directory === undefined) return -EROFS
		if (this.#handles.openedBefore !== undefined) {
			const answer = this.#apps.lookup(directory, name, entry)
			if (answer < 0) return answer
		}
		return this.#handles.open(opened, () => this.#apps.create(directory, name, mode, flags, entry, caller))
	}

	read(request: ReadRequest, reply: ReadReply): number {
		const file = this.#handles.get(request.handle)
		const { journal, cells } = this.#pog
		// Its answer went with an earlier engine: from where it was before.
		if (journal.undo(request.request, cells)) file?.load()
		return file?.read(request, reply) ?? -EBADF
	}

	write(request: WriteRequest, caller: Caller): number {
		const file = this.#handles.get(request.handle)
		if (file === undefined) return -EBADF
		const sender = this.#sender
		sender.pid = this.#options.containerPid(caller.pid)
		sender.uid = caller.uid
		sender.gid = caller.gid
		return file.write(request, sender, caller.pid)
	}

	flush(_node: NodeId, handle: HandleId): number {
		return this.#handles.get(handle)?.flush() ?? 0
	}

	fsync(_node: NodeId, handle: HandleId): number {
		return this.#handles.get(handle)?.fsync() ?? 0
	}

	release(_node: NodeId, handle: HandleId): number {
		return this.#handles.close(handle)
	}

	opendir(node: NodeId, opened: Opened): number {
		const fixed = fixedNode(node)
		if (this.#places.directory(node) === undefined) {
			if (fixed === undefined && this.#places.viewOf(node) === undefined) return -ENOENT
			if (((fixed?.mode ?? 0) & S_IFDIR) === 0) return -ENOTDIR
		}
		const handle = this.#directories.open()
		if (handle < 0) return handle
		opened.handle = handle
		opened.openFlags = 0
		opened.backingId = 0
		return 0
	}

	readdir(node: NodeId, handle: HandleId, offset: number, reply: DirReply): number {
		return this.#directories.read(node, handle, offset, reply)
	}

	releasedir(handle: HandleId): void {
		this.#directories.release(handle)
	}

	statfs(_node: NodeId, out: StatFs): number {
		const { calls, root } = this.#options.backing
		const answer = calls.statfs(root)
		if (typeof answer === 'number') return answer
		Object.assign(out, answer, { namelen: 255 })
		return 0
	}

	lseek(_node: NodeId, handle: HandleId, offset: number, whence: number): number {
		return this.#handles.get(handle)?.lseek(offset, whence) ?? -EBADF
	}

	poll(_node: NodeId, handle: HandleId, kernelHandle: number, schedule: boolean): number {
		return this.#handles.get(handle)?.poll(kernelHandle, schedule) ?? POLLNVAL
	}

	fallocate(_node: NodeId, handle: HandleId, offset: number, length: number, mode: number): number {
		return this.#handles.get(handle)?.allocate(offset, length, mode) ?? -EBADF
	}

	interrupted(request: number): void {
		this.#readers.forget(request)
	}

	destroy(): void {
		this.#handles.closeAll()
		this.#directories.destroy()
	}
}
