/** The tree of a POG without a kernel: operations are called directly, app files are real ones in a directory of /dev/shm. */
import { lstatSync, mkdtempSync, rmSync } from 'node:fs'
import {
	type Attr,
	type Connection,
	type Entry,
	type Opened,
	PENDING,
	type ReadReply,
	type ReadRequest,
} from '../../src/fuse/filesystem.ts'
import { EINTR } from '../../src/lib/errno.ts'
import type { Memory } from '../../src/lib/memory.ts'
import { allocate } from '../../src/sys/memory.ts'
import { FileCalls } from '../../src/sys/files.ts'
import { close, O_DIRECTORY, openPath, pread, pwrite } from '../../src/sys/io.ts'
import type { BackingCalls } from '../../src/vfs/backing.ts'
import { PogTree } from '../../src/vfs/pog-tree.ts'
import { newPog, type PogSettings, type TestPog } from './pogs.ts'

export const CALLER = { uid: 0, gid: 0, pid: 1 }
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_NONBLOCK = 0o4000
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_TRUNC = 0o1000

/** Collects a reply's bytes. */
export class Collected implements ReadReply {
	readonly bytes: number[] = []
	readonly #sizeBytes: number
	constructor(sizeBytes: number) {
		this.#sizeBytes = sizeBytes
	}
	get room(): number {
		return this.#sizeBytes - this.bytes.length
	}
	add(memory: Memory, start: number, sizeBytes: number): void {
		if (start < 0 || start + sizeBytes > memory.bytes.length) throw new RangeError(`Span ${start}+${sizeBytes}`)
		this.addBytes(memory.bytes, start, start + sizeBytes)
	}
	addBytes(bytes: Uint8Array, start: number, end: number): void {
		if (end < start || end > bytes.length || end - start > this.room) throw new RangeError(`Bytes ${start} to ${end}`)
		for (let i = start; i < end; i++) this.bytes.push(bytes[i] ?? 0)
	}
	get text(): string {
		return Buffer.from(this.bytes).toString('latin1')
	}
}

export function newAttr(): Attr {
	const times = { atimeUs: 0, mtimeUs: 0, ctimeUs: 0 }
	return { ino: 0, size: 0, blocks: 0, ...times, mode: 0, nlink: 0, uid: 0, gid: 0, rdev: 0, blksize: 0 }
}

export function newEntry(): Entry {
	return { node: 0, generation: 0, entryValidMs: 0, attrValidMs: 0, attr: newAttr() }
}

export interface TestTree extends TestPog {
	readonly tree: PogTree
	/** The directory that has varlog/ and runpog/. */
	readonly directory: string
	/** Kernel handles that were notified since it was looked at last. */
	notified(): number[]
	/** Late answers by request: text, or a negative errno. */
	readonly late: Map<number, string | number>
	/** A node, or a negative errno; each is one lookup. */
	node(path: string): number
	attr(path: string): Attr
	open(path: string, flags?: number): number
	/** Text, or a negative errno, or PENDING. */
	read(handle: number, offset: number, sizeBytes: number, flags?: number, request?: number): string | number
	write(handle: number, text: string, offset?: number): number
	/** Opens, writes, closes. The first negative errno, or 0. */
	put(path: string, text: string, flags?: number): number
	/** Opens, reads in pieces until nothing comes, closes. */
	cat(path: string, pieceBytes?: number): string
	list(path: string): string[]
	/** Directory node and name of a path. */
	parent(path: string): [number, string]
}

const SCRATCH = allocate(1 << 20)

export interface TreeSettings extends PogSettings {
	/** Requests may be carried out in steps: the outcome is in `late`, by numbers from 1 on. Nobody waits for them while this says so. */
	later?: { gone: boolean }
	/** In place of the real ones. */
	calls?: Partial<BackingCalls>
}

export function newTree(settings: TreeSettings = {}): TestTree {
	const base = newPog(settings)
	const directory = mkdtempSync('/dev/shm/pogs-tree-')
	const root = openPath(directory, O_DIRECTORY)
	const late = new Map<number, string | number>()
	let notified: number[] = []
	const connection: { -readonly [K in keyof Connection]: Connection[K] } = {
		finishRead: (request, sizeBytes, fill) => {
			const reply = new Collected(sizeBytes)
			const answer = fill(reply)
			if (answer !== PENDING) late.set(request, answer < 0 ? answer : reply.text)
		},
		notifyPoll: kernelHandle => void notified.push(kernelHandle),
		openBacking: () => -1,
		closeBacking: () => {},
		features: { minor: 45, passthrough: false, resend: false, atomicTrunc: true, maxWriteBytes: 1 << 17 },
	}
	const { later } = settings
	if (later !== undefined) {
		let requests = 0
		connection.later = {
			get current() {
				return ++requests
			},
			goOn: (request, step) => {
				if (later.gone) return -EINTR
				const outcome = step()
				if (outcome !== PENDING) late.set(request, outcome)
				return outcome
			},
		}
	}
	const tree = new PogTree(base.pog, {
		backing: {
			calls: Object.assign(new FileCalls(), { close, pread, pwrite }, settings.calls),
			root,
			scratch: SCRATCH,
		},
		actions: {
			*resize(bytes) {
				base.resize(bytes)
				yield
				return { sizeBytes: base.pog.ring.textBytes }
			},
		},
		reports: { pogctl: Buffer.from('#!/bin/sh\n') },
		containerPid: pid => pid,
		processName: () => 'test',
	})
	tree.attach(connection)
	const opened: Opened = { handle: 0, openFlags: 0, backingId: 0 }
	let requests = 1_000_000
	const self: TestTree = {
		...base,
		tree,
		directory,
		late,
		notified: () => notified.splice(0),
		node: path => {
			let node = 1
			for (const name of path.split('/').filter(part => part !== '')) {
				const entry = newEntry()
				const answer = tree.lookup(node, name, entry)
				if (answer < 0) return answer
				node = entry.node
			}
			return node
		},
		attr: path => {
			const attr = newAttr()
			const node = self.node(path)
			const answer = node < 0 ? node : tree.getattr(node, -1, attr)
			if (answer < 0) throw new Error(`stat ${path}: errno ${-answer}`)
			return attr
		},
		open: (path, flags = O_RDONLY) => {
			const node = self.node(path)
			if (node >= 0) {
				const answer = tree.open(node, flags, opened, CALLER)
				return answer < 0 ? answer : opened.handle
			}
			if ((flags & O_CREAT) === 0) return node
			const [parent, name] = self.parent(path)
			const answer = tree.create(parent, name, 0o644, flags, newEntry(), opened, CALLER)
			return answer < 0 ? answer : opened.handle
		},
		read: (handle, offset, sizeBytes, flags = O_NONBLOCK, request = ++requests) => {
			const reply = new Collected(sizeBytes)
			const asked: ReadRequest = { request, node: 0, handle, offset, sizeBytes, flags }
			const answer = tree.read(asked, reply)
			return answer === 0 ? reply.text : answer
		},
		write: (handle, text, offset = 0) => {
			SCRATCH.bytes.set(Buffer.from(text, 'latin1'))
			const sizeBytes = text.length
			return tree.write({ node: 0, handle, offset, flags: 0, memory: SCRATCH, start: 0, sizeBytes, request: 1 }, CALLER)
		},
		put: (path, text, flags = O_WRONLY | O_CREAT | O_TRUNC) => {
			const handle = self.open(path, flags)
			if (handle < 0) return handle
			const written = text === '' ? 0 : self.write(handle, text)
			tree.flush(0, handle)
			tree.release(0, handle)
			return Math.min(0, written)
		},
		cat: (path, pieceBytes = 1 << 17) => {
			const handle = self.open(path)
			if (handle < 0) throw new Error(`cat ${path}: errno ${-handle}`)
			let text = ''
			for (;;) {
				const piece = self.read(handle, text.length, pieceBytes)
				if (typeof piece === 'number') throw new Error(`cat ${path}: errno ${-piece}`)
				if (piece === '') break
				text += piece
			}
			tree.release(0, handle)
			return text
		},
		list: path => {
			const node = self.node(path)
			const answer = tree.opendir(node, opened)
			if (answer < 0) throw new Error(`ls ${path}: errno ${-answer}`)
			const names: string[] = []
			let [offset, more] = [0, true]
			while (more) {
				let room = 3
				more = false
				tree.readdir(node, opened.handle, offset, {
					add: (name, _ino, _type, next) => {
						if (room-- === 0) return false
						names.push(name)
						offset = next
						more = true
						return true
					},
				})
			}
			tree.releasedir(opened.handle)
			return names.filter(name => name !== '.' && name !== '..').sort()
		},
		parent: path => {
			const slash = path.lastIndexOf('/')
			return [self.node(path.slice(0, slash)), path.slice(slash + 1)]
		},
		close: () => {
			tree.destroy()
			close(root)
			base.close()
			rmSync(directory, { recursive: true, force: true })
		},
	}
	return self
}

/** Runs with a fresh tree and removes it, also after a failure. */
export function withTree<R>(settings: TreeSettings, run: (test: TestTree) => R): R {
	const test = newTree(settings)
	try {
		return run(test)
	} finally {
		test.close()
	}
}

/** Whether a path of the host is there, symbolic links not followed. */
export function exists(path: string): boolean {
	return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
