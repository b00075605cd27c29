/** An empty `FileStat` for `FileCalls.stat` to fill. */
import type { FileStat } from './files.ts'

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
