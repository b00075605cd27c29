/** What a file and a directory's entry are to the system calls, in plain numbers. Source: statx(2), getdents64(2). */

/** Times in microseconds of CLOCK_REALTIME. */
export interface FileStat {
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

export interface DirectoryEntry {
	name: string
	ino: number
	/** DT_* of dirent.h. */
	type: number
	/** Where lseek(2) leads behind it. */
	next: number
}

/** An empty one, to be filled. */
export function newFileStat(): FileStat {
	return {
		ino: 0,
		size: 0,
		blocks: 0,
		mode: 0,
		nlink: 0,
		uid: 0,
		gid: 0,
		blksize: 0,
		atimeUs: 0,
		mtimeUs: 0,
		ctimeUs: 0,
		rdevMajor: 0,
		rdevMinor: 0,
	}
}
