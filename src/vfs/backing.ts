/**
 * What app files need of the POG's tmpfs: file system calls below one directory descriptor, with byte-string names.
 * `FileCalls` of `sys/files.ts` is the real one; the engine hands it in.
 */
export interface BackingStat {
	ino: number
	size: number
	blocks: number
	mode: number
	nlink: number
	uid: number
	gid: number
	blksize: number
	atimeUs: number
	mtimeUs: number
	ctimeUs: number
	rdevMajor: number
	rdevMinor: number
}

export interface BackingEntry {
	name: string
	ino: number
	type: number
}

/** Every call answers its result or a negative errno, and follows no symbolic link in the last part of a path. */
export interface BackingCalls {
	open(dir: number, path: string, flags: number, mode: number): number
	close(fd: number): number
	pread(fd: number, address: number, sizeBytes: number, offset: number): number
	pwrite(fd: number, address: number, sizeBytes: number, offset: number): number
	stat(dir: number, path: string, out: BackingStat): number
	mkdir(dir: number, path: string, mode: number): number
	mknod(dir: number, path: string, mode: number, rdev: number): number
	unlink(dir: number, path: string, flags: number): number
	rename(dir: number, from: string, to: string, flags: number): number
	symlink(target: string, dir: number, path: string): number
	readlink(dir: number, path: string): string | number
	link(dir: number, from: string, to: string): number
	chown(dir: number, path: string, uid: number, gid: number): number
	chmod(dir: number, path: string, mode: number): number
	utimens(dir: number, path: string, atimeUs: number, mtimeUs: number): number
	truncate(fd: number, sizeBytes: number): number
	allocate(fd: number, mode: number, offset: number, length: number): number
	list(fd: number): BackingEntry[] | number
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

export function newBackingStat(): BackingStat {
	return {
		ino: 0,
		size: 0,
		blocks: 0,
		mode: 0,
		nlink: 0,
		uid: 0,
		gid: 0,
		blksize: 4096,
		atimeUs: 0,
		mtimeUs: 0,
		ctimeUs: 0,
		rdevMajor: 0,
		rdevMinor: 0,
	}
}
