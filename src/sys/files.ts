/**
 * File system calls relative to a directory descriptor, with names as byte strings (one character per byte).
 * Source: the section 2 pages openat, statx, renameat2, getdents64, utimensat of man-pages 6.03.
 *
 * No call follows a symbolic link in the last part of a path. The first parts are directories that only the caller
 * makes, so no path leads out. Every call answers its result or a negative errno. One object serves one thread: results
 * are read from its own scratch memory until its next call.
 */
import { ENAMETOOLONG } from '../lib/errno.ts'
import type { DirectoryEntry, FileStat } from '../lib/file-stat.ts'
import { bind, result } from './libc.ts'
import { allocate } from './memory.ts'

const openatCall = bind('int openat(int, int64_t, int, int)')
const statxCall = bind('int statx(int, int64_t, int, unsigned int, int64_t)')
const mkdiratCall = bind('int mkdirat(int, int64_t, int)')
const mknodatCall = bind('int mknodat(int, int64_t, int, int64_t)')
const unlinkatCall = bind('int unlinkat(int, int64_t, int)')
const renameat2Call = bind('int renameat2(int, int64_t, int, int64_t, unsigned int)')
const symlinkatCall = bind('int symlinkat(int64_t, int, int64_t)')
const readlinkatCall = bind('int64_t readlinkat(int, int64_t, int64_t, int64_t)')
const linkatCall = bind('int linkat(int, int64_t, int, int64_t, int)')
const fchownatCall = bind('int fchownat(int, int64_t, int64_t, int64_t, int)')
const fchmodatCall = bind('int fchmodat(int, int64_t, int, int)')
const fchmodCall = bind('int fchmod(int, int)')
const futimensCall = bind('int futimens(int, int64_t)')
const utimensatCall = bind('int utimensat(int, int64_t, int64_t, int)')
const ftruncateCall = bind('int ftruncate(int, int64_t)')
const fallocateCall = bind('int fallocate(int, int, int64_t, int64_t)')
const getdentsCall = bind('int64_t getdents64(int, int64_t, int64_t)')
const lseekCall = bind('int64_t lseek(int, int64_t, int)')
const fstatfsCall = bind('int fstatfs(int, int64_t)')

export const AT_EMPTY_PATH = 0x1000
const AT_SYMLINK_NOFOLLOW = 0x100
const STATX_BASIC_STATS = 0x7ff
const UTIME_OMIT = (1 << 30) - 2
const PATH_BYTES = 4096
const DIRENT_BYTES = 32 * 1024

export class FileCalls {
	readonly #memory = allocate(2 * PATH_BYTES + 4096 + DIRENT_BYTES)
	readonly #first = this.#memory.address
	readonly #second = this.#memory.address + PATH_BYTES
	readonly #struct = this.#memory.address + 2 * PATH_BYTES
	readonly #dirents = this.#memory.address + 2 * PATH_BYTES + 4096
	readonly #bytes = Buffer.from(this.#memory.buffer)
	readonly #view = new DataView(this.#memory.buffer)

	/** Puts a path into scratch memory; its address, or 0 when it is too long. */
	#path(path: string, address: number): number {
		if (path.length >= PATH_BYTES) return 0
		const at = address - this.#memory.address
		this.#bytes.write(path, at, 'latin1')
		this.#bytes[at + path.length] = 0
		return address
	}

	open(dir: number, path: string, flags: number, mode: number): number {
		const at = this.#path(path, this.#first)
		return at === 0 ? -ENAMETOOLONG : result(openatCall(dir, at, flags, mode))
	}

	/** An empty path with `AT_EMPTY_PATH` asks about the descriptor itself. */
	stat(dir: number, path: string, out: FileStat): number {
		const at = this.#path(path, this.#first)
		if (at === 0) return -ENAMETOOLONG
		const flags = AT_SYMLINK_NOFOLLOW | (path === '' ? AT_EMPTY_PATH : 0)
		const answer = result(statxCall(dir, at, flags, STATX_BASIC_STATS, this.#struct))
		if (answer < 0) return answer
		const v = this.#view
		const base = 2 * PATH_BYTES
		out.blksize = v.getUint32(base + 4, true)
		out.nlink = v.getUint32(base + 16, true)
		out.uid = v.getUint32(base + 20, true)
		out.gid = v.getUint32(base + 24, true)
		out.mode = v.getUint16(base + 28, true)
		out.ino = this.#u64(base + 32)
		out.size = this.#u64(base + 40)
		out.blocks = this.#u64(base + 48)
		out.atimeUs = this.#timeUs(base + 64)
		out.ctimeUs = this.#timeUs(base + 96)
		out.mtimeUs = this.#timeUs(base + 112)
		out.rdevMajor = v.getUint32(base + 128, true)
		out.rdevMinor = v.getUint32(base + 132, true)
		return 0
	}

	#u64(at: number): number {
		return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32
	}

	#timeUs(at: number): number {
		const seconds = this.#view.getUint32(at, true) + this.#view.getInt32(at + 4, true) * 2 ** 32
		return seconds * 1e6 + Math.trunc(this.#view.getUint32(at + 8, true) / 1e3)
	}

	mkdir(dir: number, path: string, mode: number): number {
		const at = this.#path(path, this.#first)
		return at === 0 ? -ENAMETOOLONG : result(mkdiratCall(dir, at, mode))
	}

	mknod(dir: number, path: string, mode: number, rdev: number): number {
		const at = this.#path(path, this.#first)
		return at === 0 ? -ENAMETOOLONG : result(mknodatCall(dir, at, mode, rdev))
	}

	unlink(dir: number, path: string, flags: number): number {
		const at = this.#path(path, this.#first)
		return at === 0 ? -ENAMETOOLONG : result(unlinkatCall(dir, at, flags))
	}

	rename(dir: number, from: string, to: string, flags: number): number {
		const a = this.#path(from, this.#first)
		const b = this.#path(to, this.#second)
		return a === 0 || b === 0 ? -ENAMETOOLONG : result(renameat2Call(dir, a, dir, b, flags))
	}

	symlink(target: string, dir: number, path: string): number {
		const a = this.#path(target, this.#first)
		const b = this.#path(path, this.#second)
		return a === 0 || b === 0 ? -ENAMETOOLONG : result(symlinkatCall(a, dir, b))
	}

	/** The target's bytes, or a negative errno. */
	readlink(dir: number, path: string): string | number {
		const at = this.#path(path, this.#first)
		if (at === 0) return -ENAMETOOLONG
		const bytes = result(readlinkatCall(dir, at, this.#struct, 4096))
		return bytes < 0 ? bytes : this.#bytes.toString('latin1', 2 * PATH_BYTES, 2 * PATH_BYTES + bytes)
	}

	link(dir: number, from: string, to: string): number {
		const a = this.#path(from, this.#first)
		const b = this.#path(to, this.#second)
		return a === 0 || b === 0 ? -ENAMETOOLONG : result(linkatCall(dir, a, dir, b, 0))
	}

	/** `uid` or `gid` of -1 stay as they are. An empty path means the descriptor itself, here and below. */
	chown(dir: number, path: string, uid: number, gid: number): number {
		const at = this.#path(path, this.#first)
		const flags = AT_SYMLINK_NOFOLLOW | (path === '' ? AT_EMPTY_PATH : 0)
		return at === 0 ? -ENAMETOOLONG : result(fchownatCall(dir, at, uid, gid, flags))
	}

	chmod(dir: number, path: string, mode: number): number {
		if (path === '') return result(fchmodCall(dir, mode))
		const at = this.#path(path, this.#first)
		return at === 0 ? -ENAMETOOLONG : result(fchmodatCall(dir, at, mode, 0))
	}

	/** Microseconds, also before 1970; undefined leaves that time as it is. */
	utimens(dir: number, path: string, atimeUs: number | undefined, mtimeUs: number | undefined): number {
		const at = this.#path(path, this.#first)
		if (at === 0) return -ENAMETOOLONG
		this.#putTime(2 * PATH_BYTES, atimeUs)
		this.#putTime(2 * PATH_BYTES + 16, mtimeUs)
		if (path === '') return result(futimensCall(dir, this.#struct))
		return result(utimensatCall(dir, at, this.#struct, AT_SYMLINK_NOFOLLOW))
	}

	#putTime(at: number, timeUs: number | undefined): void {
		const seconds = Math.floor((timeUs ?? 0) / 1e6)
		this.#view.setUint32(at, seconds, true)
		this.#view.setInt32(at + 4, Math.floor(seconds / 2 ** 32), true)
		const nanoseconds = timeUs === undefined ? UTIME_OMIT : Math.round(timeUs - seconds * 1e6) * 1e3
		this.#view.setUint32(at + 8, nanoseconds, true)
		this.#view.setUint32(at + 12, 0, true)
	}

	truncate(fd: number, sizeBytes: number): number {
		return result(ftruncateCall(fd, sizeBytes))
	}

	allocate(fd: number, mode: number, offset: number, length: number): number {
		return result(fallocateCall(fd, mode, offset, length))
	}

	/** lseek(2): where it leads. */
	lseek(fd: number, offset: number, whence: number): number {
		return result(lseekCall(fd, offset, whence))
	}

	/** All entries of an open directory but `.` and `..`, from its beginning; or a negative errno. */
	list(fd: number): DirectoryEntry[] | number {
		const rewound = result(lseekCall(fd, 0, 0))
		if (rewound < 0) return rewound
		const entries: DirectoryEntry[] = []
		for (;;) {
			const more = this.listSome(fd, DIRENT_BYTES)
			if (typeof more === 'number') return more
			if (more === null) return entries
			entries.push(...more)
		}
	}

	/** The next entries of an open directory but `.` and `..`, as many as have room in some bytes; null at its end, or a negative errno. */
	listSome(fd: number, sizeBytes: number): DirectoryEntry[] | null | number {
		const bytes = result(getdentsCall(fd, this.#dirents, Math.min(sizeBytes, DIRENT_BYTES)))
		if (bytes <= 0) return bytes === 0 ? null : bytes
		const entries: DirectoryEntry[] = []
		const base = this.#dirents - this.#memory.address
		for (let at = base; at < base + bytes; ) {
			const length = this.#view.getUint16(at + 16, true)
			const end = this.#bytes.indexOf(0, at + 19)
			const name = this.#bytes.toString('latin1', at + 19, end)
			if (name !== '.' && name !== '..')
				entries.push({ name, ino: this.#u64(at), type: this.#bytes[at + 18] ?? 0, next: this.#u64(at + 8) })
			at += length
		}
		return entries
	}

	/** Blocks and inodes of the file system a descriptor is on: struct statfs of x86-64 and arm64. */
	statfs(
		fd: number,
	): { bsize: number; blocks: number; bfree: number; bavail: number; files: number; ffree: number } | number {
		const answer = result(fstatfsCall(fd, this.#struct))
		if (answer < 0) return answer
		const base = 2 * PATH_BYTES
		const field = (n: number): number => this.#u64(base + n * 8)
		return { bsize: field(1), blocks: field(2), bfree: field(3), bavail: field(4), files: field(5), ffree: field(6) }
	}
}

/** fallocate(2) of a file, from its beginning if nothing else is said. 0, or a negative errno. */
export function allocateFile(fd: number, sizeBytes: number, offset = 0): number {
	return result(fallocateCall(fd, 0, offset, sizeBytes))
}
