/** A tree that records what it is asked, as the JSON of the fixtures, and answers with fixed values. */
import { EINVAL, ENOENT, ENOTEMPTY, EOPNOTSUPP } from '../../src/lib/errno.ts'
import type { Attr, Connection, Entry, Filesystem, Opened, StatFs } from '../../src/fuse/filesystem.ts'

const ATTR: Attr = {
	ino: 7,
	size: 4096,
	blocks: 8,
	atimeUs: 1_700_000_000_123_456,
	mtimeUs: -1_000_001,
	ctimeUs: 5_000_000_000_000_000,
	mode: 0o100640,
	nlink: 1,
	uid: 100_000,
	gid: 100_001,
	rdev: 0,
	blksize: 4096,
}

const DATA = Buffer.from('6,1,0,-;hello\n')

export interface Recorder {
	readonly filesystem: Filesystem
	/** One JSON array an operation: its name, then its arguments but those to be filled. */
	readonly calls: string[]
	readonly connection: () => Connection
}

export function record(overrides: Partial<Filesystem> = {}): Recorder {
	const calls: string[] = []
	let connection: Connection | undefined
	const note = (...call: unknown[]): number => {
		calls.push(JSON.stringify(call))
		return 0
	}
	const fillEntry = (entry: Entry): number => {
		entry.node = 7
		entry.generation = 3
		entry.entryValidMs = 1500
		entry.attrValidMs = 250
		Object.assign(entry.attr, ATTR)
		return 0
	}
	const fillOpened = (opened: Opened, openFlags: number, backingId: number): number => {
		Object.assign(opened, { handle: 9, openFlags, backingId })
		return 0
	}
	const fillAttr = (attr: Attr): number => {
		Object.assign(attr, ATTR)
		return 0
	}
	const filesystem: Filesystem = {
		attach: given => void (connection = given),
		lookup: (parent, name, entry, caller) => {
			note('lookup', parent, name, caller)
			return name === 'messages' ? fillEntry(entry) : -ENOENT
		},
		forget: (node, lookups) => void note('forget', node, lookups),
		getattr: (node, handle, attr) => note('getattr', node, handle) + fillAttr(attr),
		setattr: (node, change, attr, caller) => note('setattr', node, change, caller) + fillAttr(attr),
		readlink: (node, reply) => {
			reply.addBytes(Buffer.from('/dev/stdout'), 0, 11)
			return note('readlink', node)
		},
		symlink: (parent, name, target, entry, caller) => note('symlink', parent, name, target, caller) + fillEntry(entry),
		mknod: (parent, name, mode, rdev, entry, caller) =>
			note('mknod', parent, name, mode, rdev, caller) + fillEntry(entry),
		mkdir: (parent, name, mode, entry, caller) => note('mkdir', parent, name, mode, caller) + fillEntry(entry),
		unlink: (parent, name) => note('unlink', parent, name),
		rmdir: (parent, name) => note('rmdir', parent, name) - ENOTEMPTY,
		rename: (...all) => note('rename', ...all),
		link: (node, parent, name, entry) => note('link', node, parent, name) + fillEntry(entry),
		open: (node, flags, opened, caller) => note('open', node, flags, caller) + fillOpened(opened, 0x61, 0),
		create: (parent, name, mode, flags, entry, opened, caller) =>
			note('create', parent, name, mode, flags, caller) + fillEntry(entry) + fillOpened(opened, 0x80, 5),
		read: (request, reply, caller) => {
			reply.addBytes(DATA, 0, DATA.byteLength)
			return note('read', request, caller)
		},
		write: ({ node, handle, offset, flags, memory, start, sizeBytes, request }, caller) => {
			const data = Buffer.from(memory.bytes.subarray(start, start + sizeBytes)).toString('latin1')
			return note('write', { node, handle, offset, flags, sizeBytes, request, data }, caller) + sizeBytes
		},
		flush: (node, handle) => note('flush', node, handle),
		fsync: (node, handle) => note('fsync', node, handle) - EINVAL,
		release: (node, handle) => note('release', node, handle),
		opendir: (node, opened) => note('opendir', node) + fillOpened(opened, 0x61, 0),
		readdir: (node, handle, offset, reply) => {
			const fits = reply.add('messages', 7, 8, 1) && reply.add('apache2', 12, 4, 2) && reply.add('syslog', 13, 8, 3)
			return note('readdir', node, handle, offset) + Number(fits)
		},
		releasedir: handle => void note('releasedir', handle),
		statfs: (node, out: StatFs) => {
			Object.assign(out, { blocks: 100, bfree: 50, bavail: 40, files: 30, ffree: 20, bsize: 4096, namelen: 255 })
			return note('statfs', node)
		},
		lseek: (...all) => note('lseek', ...all) + 5_000_000_000,
		poll: (...all) => note('poll', ...all) + 0x41,
		fallocate: (...all) => note('fallocate', ...all) - EOPNOTSUPP,
		interrupted: request => void note('interrupted', request),
		destroy: () => void note('destroy'),
		...overrides,
	}
	return {
		filesystem,
		calls,
		connection: () => {
			if (connection === undefined) throw new Error('Not attached')
			return connection
		},
	}
}
