/**
 * What app files need of the POG's tmpfs: file system calls below one directory descriptor, with byte-string names.
 * `FileCalls` of `sys/files.ts` is the real one; the engine hands it in.
 */
import type { DirectoryEntry, FileStat } from '../lib/file-stat.ts'

/** Every call answers its result or a negative errno, and follows no symbolic link in the last part of a path. */
export interface BackingCalls {
	open(dir: number, path: string, flags: number, mode: number): number
	close(fd: number): number
	pread(fd: number, address: number, sizeBytes: number, offset: number): number
	pwrite(fd: number, address: number, sizeBytes: number, offset: number): number
	stat(dir: number, path: string, out: FileStat): number
	mkdir(dir: number, path: string, mode: number): number
	mknod(dir: number, path: string, mode: number, rdev: number): number
	unlink(dir: number, path: string, flags: number): number
	rename(dir: number, from: string, to: string, flags: number): number
	symlink(target: string, dir: number, path: string): number
	readlink(dir: number, path: string): string | number
	link(dir: number, from: string, to: string): number
	chown(dir: number, path: string, uid: number, gid: number): number
	chmod(dir: number, path: string, mode: number): number
	utimens(dir: number, path: string, atimeUs: number | undefined, mtimeUs: number | undefined): number
	truncate(fd: number, sizeBytes: number): number
	allocate(fd: number, mode: number, offset: number, length: number): number
	lseek(fd: number, offset: number, whence: number): number
	list(fd: number): DirectoryEntry[] | number
	listSome(fd: number, sizeBytes: number): DirectoryEntry[] | null | number
	statfs(
		fd: number,
	): { bsize: number; blocks: number; bfree: number; bavail: number; files: number; ffree: number } | number
}

/** The backing tree of one POG: its calls, its root directory, and memory for what is read. */
export interface Backing {
	readonly calls: BackingCalls
	/** Descriptor of the directory that has `varlog/` and `runpog/`. */
	readonly root: number
	/** Scratch memory for reads, shared by all POGs of a shard. */
	readonly scratch: { readonly address: number; readonly bytes: Uint8Array; readonly buffer: ArrayBuffer }
}
