/**
 * The fuse-native package, as far as we use it, and how it is had: only when asked for, with a remedy when it is not there.
 *
 * Source: index.js and fuse-native.c of fuse-native 2.2.6. Every operation ends with a callback: a negative errno, or zero
 * (READ and WRITE: the number of bytes) and the result. It runs on the default event loop only: the main thread's.
 */
import { createRequire } from 'node:module'
import { ENOTCONN } from '../lib/errno.ts'
import { FUSE_TYPE } from '../sys/mount.ts'

/** What an operation answers with. */
export type Done = (outcome: number, result?: unknown, more?: unknown) => void

/** Times are milliseconds. */
export interface NativeStat {
	mode: number
	uid: number
	gid: number
	size: number
	nlink: number
	ino: number
	rdev: number
	blksize: number
	blocks: number
	atime: number
	mtime: number
	ctime: number
}

/** The operations, by the names the package knows. `fd` is what `open` or `create` answered. */
export interface NativeOperations {
	getattr(path: string, done: Done): void
	/** By handle: for lseek(SEEK_END), and right after a create or an ftruncate. */
	fgetattr(path: string, fd: number, done: Done): void
	readdir(path: string, done: Done): void
	readlink(path: string, done: Done): void
	statfs(path: string, done: Done): void
	open(path: string, flags: number, done: Done): void
	create(path: string, mode: number, done: Done): void
	read(path: string, fd: number, buffer: Uint8Array, sizeBytes: number, offset: number, done: Done): void
	write(path: string, fd: number, buffer: Uint8Array, sizeBytes: number, offset: number, done: Done): void
	flush(path: string, fd: number, done: Done): void
	fsync(path: string, dataOnly: number, fd: number, done: Done): void
	release(path: string, fd: number, done: Done): void
	truncate(path: string, sizeBytes: number, done: Done): void
	ftruncate(path: string, fd: number, sizeBytes: number, done: Done): void
	utimens(path: string, atimeMs: number, mtimeMs: number, done: Done): void
	chown(path: string, uid: number, gid: number, done: Done): void
	chmod(path: string, mode: number, done: Done): void
	mknod(path: string, mode: number, rdev: number, done: Done): void
	mkdir(path: string, mode: number, done: Done): void
	symlink(target: string, path: string, done: Done): void
	link(path: string, newPath: string, done: Done): void
	rename(path: string, newPath: string, done: Done): void
	unlink(path: string, done: Done): void
	rmdir(path: string, done: Done): void
}

interface NativeMountOptions {
	fsname: string
	allowOther: boolean
	defaultPermissions: boolean
	/** Seconds, as text. */
	attrTimeout: string
	entryTimeout: string
	/** No timer for each operation. */
	timeout: false
}

/** The package cannot name them, but libfuse knows them: they ride on the text of another option. */
const LIBFUSE_OPTIONS = [
	'direct_io',
	'atomic_o_trunc',
	'big_writes',
	'noatime',
	`subtype=${FUSE_TYPE.slice('fuse.'.length)}`,
]

/** What a POG's mount is mounted with: nothing is kept but by us, and the kernel checks the modes. */
export function mountOptions(fsname: string): NativeMountOptions {
	return {
		fsname: [fsname, ...LIBFUSE_OPTIONS].join(','),
		allowOther: true,
		defaultPermissions: true,
		attrTimeout: '0',
		entryTimeout: '0',
		timeout: false,
	}
}

/** A mount of the package's. It cannot unmount without a program of libfuse's: `sys/mount.ts` does that. */
export interface PackageMount {
	/** Looked at anew for each request. */
	ops: NativeOperations
	mount(done: (error: Error | null) => void): void
	/** Asks `getattr` and loses the handle on the way. */
	_op_fgetattr(signal: (outcome: number, stat?: Uint32Array) => void, path: string, fd: number): void
	_op_getattr(signal: (outcome: number, stat?: Uint32Array) => void, path: string): void
}

/** The class that the package exports. */
export type FuseNative = new (
	mountPoint: string,
	operations: NativeOperations,
	options: NativeMountOptions,
) => PackageMount

/** Gives `fgetattr` its handle: the package has an operation of that name, and calls another one. */
export function keepHandles(mount: PackageMount): PackageMount {
	mount._op_fgetattr = (signal, path, fd) => {
		const { ops } = mount
		// What turns attributes into the package's own form is in `_op_getattr`, which asks once and at once.
		const getattr = (asked: string, done: Done): void => ops.fgetattr(asked, fd, done)
		mount._op_getattr.call({ ops: { ...ops, getattr } }, signal, path)
	}
	return mount
}

const refuse = (...args: unknown[]): void => (args.at(-1) as Done)(-ENOTCONN)
let refusals: NativeOperations | undefined

/**
 * Lets go of the operations and of all they hold: the package keeps its own object, about 20 KB, for the life of the
 * process. Whoever still has the mount gets ENOTCONN.
 */
export function endOperations(mount: PackageMount): void {
	refusals ??= Object.fromEntries(Object.keys(mount.ops).map(name => [name, refuse])) as unknown as NativeOperations
	mount.ops = refusals
}

/** The package; or why it cannot be had, and what would help. */
export function loadFuseNative(): FuseNative | string {
	try {
		return createRequire(import.meta.url)('fuse-native') as FuseNative
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException
		if (message.includes('libfuse.so.2')) {
			return 'The transport fuse-native needs libfuse 2: "apt-get install libfuse2", or the like'
		}
		if (code === 'MODULE_NOT_FOUND' && message.includes("'fuse-native'")) {
			return 'The transport fuse-native needs the package of that name: "npm install fuse-native@2.2.6" where pogshim is installed'
		}
		return `The transport fuse-native cannot load its package: ${message.split('\n')[0]}; "npm rebuild fuse-native" may help`
	}
}
