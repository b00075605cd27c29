/**
 * Mount namespaces of other processes: descriptors of trees and places, joining, mounting by descriptor.
 * Source: open_tree, move_mount, mount_setattr of include/uapi/linux/mount.h (v6.12); openat2(2), statx(2), setns(2),
 * unshare(2), setfsuid(2) of man-pages 6.03. System call numbers from 424 on are the same on every architecture.
 *
 * Invariant: nothing here resolves a path of another namespace but below a descriptor of that namespace's own root, and no
 * call changes more than the calling thread.
 */
import { ENAMETOOLONG, ENOSYS, EPERM } from '../lib/errno.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const call = bind('int64_t syscall(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)')
const setnsCall = bind('int setns(int, int)')
const unshareCall = bind('int unshare(int)')
const fchdirCall = bind('int fchdir(int)')
const umount2Call = bind('int umount2(const char *, int)')
const statxCall = bind('int statx(int, int64_t, int, unsigned int, int64_t)')
const mkdiratCall = bind('int mkdirat(int, int64_t, int)')
const mknodatCall = bind('int mknodat(int, int64_t, int, int64_t)')
const unlinkatCall = bind('int unlinkat(int, int64_t, int)')
const setfsuidCall = bind('int setfsuid(uint32_t)')
const setfsgidCall = bind('int setfsgid(uint32_t)')

const SYS_OPEN_TREE = 428
const SYS_MOVE_MOUNT = 429
const SYS_OPENAT2 = 437
const SYS_MOUNT_SETATTR = 442
/** setgroups changes one thread only when libc does not know of it; older than 424, so one number a machine. */
const SYS_SETGROUPS: Readonly<Record<string, number>> = { x64: 116, arm64: 159, riscv64: 159, loong64: 159 }

const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const AT_STATX_DONT_SYNC = 0x4000
const OPEN_TREE_CLONE = 1
const OPEN_TREE_CLOEXEC = 0o2000000
const MOVE_MOUNT_F_EMPTY_PATH = 0x04
const MOVE_MOUNT_T_EMPTY_PATH = 0x40
const MS_PRIVATE = 1 << 18
const MOUNT_ATTR_SIZE = 32
const CLONE_FS = 0x200
const CLONE_NEWNS = 0x20000
const MNT_DETACH = 0x2
const UMOUNT_NOFOLLOW = 0x8
const STATX_TYPE_INO_SIZE = 0x301
const STATX_MNT_ID = 0x1000
const STATX_ATTR_MOUNT_ROOT = 0x2000

export const O_PATH = 0o10000000
export const O_NOFOLLOW = 0o400000

export const RESOLVE_NO_MAGICLINKS = 0x02
export const RESOLVE_NO_SYMLINKS = 0x04
export const RESOLVE_IN_ROOT = 0x10

const S_IFREG = 0o100000
const AT_REMOVEDIR = 0x200
const PATH_BYTES = 4096
const STRUCT_AT = PATH_BYTES
const STRUCT_BYTES = 256

/** What a descriptor stands on. */
export interface Standing {
	/** As in the first and third field of /proc/PID/mountinfo. */
	readonly mountId: number
	readonly device: string
	readonly ino: number
	readonly mode: number
	readonly sizeBytes: number
	/** Whether it is the root of its mount: a mount point seen from inside. */
	readonly mountRoot: boolean
}

/** One object serves one thread: arguments pass through its own memory, which `release` gives back. */
export class NamespaceCalls {
	readonly #memory = allocate(PATH_BYTES + STRUCT_BYTES)
	readonly #bytes = Buffer.from(this.#memory.buffer)
	readonly #view = new DataView(this.#memory.buffer)

	/** Puts a path, one byte a character, into memory; its address, or 0 when it is too long. */
	#path(path: string): number {
		if (path.length >= PATH_BYTES) return 0
		this.#bytes.write(path, 0, 'latin1')
		this.#bytes[path.length] = 0
		return this.#memory.address
	}

	/** A detached copy of the mount at `path` of our own namespace, as a descriptor; or a negative errno. */
	cloneTree(path: string): number {
		const at = this.#path(path)
		if (at === 0) return -ENAMETOOLONG
		return result(call(SYS_OPEN_TREE, AT_FDCWD, at, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0))
	}

	/** Takes a detached tree out of its peer group, so that what is mounted on it is seen nowhere else. */
	makePrivate(tree: number): number {
		const at = this.#path('')
		this.#bytes.fill(0, STRUCT_AT, STRUCT_AT + MOUNT_ATTR_SIZE)
		this.#view.setBigUint64(STRUCT_AT + 16, BigInt(MS_PRIVATE), true)
		return result(call(SYS_MOUNT_SETATTR, tree, at, AT_EMPTY_PATH, this.#memory.address + STRUCT_AT, MOUNT_ATTR_SIZE))
	}

	/** Mounts a detached tree on what `place` stands on, which is in this thread's namespace. 0, or a negative errno. */
	moveMount(tree: number, place: number): number {
		const at = this.#path('')
		return result(call(SYS_MOVE_MOUNT, tree, at, place, at, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
	}

	/** openat2(2) with `resolve` of RESOLVE_*: a descriptor, or a negative errno. */
	openBelow(dir: number, path: string, flags: number, resolve: number): number {
		const at = this.#path(path)
		if (at === 0) return -ENAMETOOLONG
		this.#view.setBigUint64(STRUCT_AT, BigInt(flags), true)
		this.#view.setBigUint64(STRUCT_AT + 8, 0n, true)
		this.#view.setBigUint64(STRUCT_AT + 16, BigInt(resolve), true)
		return result(call(SYS_OPENAT2, dir, at, this.#memory.address + STRUCT_AT, 24, 0))
	}

	/** What an open descriptor stands on; asks no file system that has to ask a program. Or a negative errno. */
	standing(fd: number): Standing | number {
		const at = this.#path('')
		const flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC
		const answer = result(
			statxCall(fd, at, flags, STATX_TYPE_INO_SIZE | STATX_MNT_ID, this.#memory.address + STRUCT_AT),
		)
		if (answer < 0) return answer
		const v = this.#view
		return {
			mountRoot: (v.getUint32(STRUCT_AT + 8, true) & STATX_ATTR_MOUNT_ROOT) !== 0,
			mode: v.getUint16(STRUCT_AT + 28, true),
			sizeBytes: Number(v.getBigUint64(STRUCT_AT + 40, true)),
			ino: Number(v.getBigUint64(STRUCT_AT + 32, true)),
			device: `${v.getUint32(STRUCT_AT + 136, true)}:${v.getUint32(STRUCT_AT + 140, true)}`,
			mountId: Number(v.getBigUint64(STRUCT_AT + 144, true)),
		}
	}

	/** Detaches what is mounted on `name` of a directory, which is in this thread's namespace. Changes the working directory. */
	detachAt(dir: number, name: string): number {
		const entered = result(fchdirCall(dir))
		return entered < 0 ? entered : result(umount2Call(name, MNT_DETACH | UMOUNT_NOFOLLOW))
	}

	/** Makes an empty directory or file of the acting user. 0, or a negative errno. */
	make(dir: number, name: string, kind: 'file' | 'directory'): number {
		const at = this.#path(name)
		if (at === 0) return -ENAMETOOLONG
		return result(kind === 'directory' ? mkdiratCall(dir, at, 0o755) : mknodatCall(dir, at, S_IFREG | 0o644, 0))
	}

	/** Removes a file, or a directory that is empty. 0, or a negative errno. */
	remove(dir: number, name: string, kind: 'file' | 'directory'): number {
		const at = this.#path(name)
		return at === 0 ? -ENAMETOOLONG : result(unlinkatCall(dir, at, kind === 'directory' ? AT_REMOVEDIR : 0))
	}

	/** Acts on files as this user and no group but this: what it may not make, we may not make for it. */
	actAs(uid: number, gid: number): number {
		const setgroups = SYS_SETGROUPS[process.arch]
		if (setgroups === undefined) return -ENOSYS
		const dropped = result(call(setgroups, 0, 0, 0, 0, 0))
		// In a user namespace whose maker had no right to them, the groups are its maker's own.
		if (dropped < 0 && dropped !== -EPERM) return dropped
		setfsgidCall(gid)
		setfsuidCall(uid)
		return 0
	}

	/** Nothing may be called on it afterwards. */
	release(): void {
		unmap(this.#memory)
	}
}

/** Gives this thread a root and working directory of its own: what setns(2) wants before a mount namespace is joined. */
export function unshareFs(): number {
	return result(unshareCall(CLONE_FS))
}

/** Moves this thread into the mount namespace of an open /proc/PID/ns/mnt. 0, or a negative errno. */
export function joinMounts(namespaceFd: number): number {
	return result(setnsCall(namespaceFd, CLONE_NEWNS))
}
