/**
 * The image's own /var/log as the lower layer of a POG's: copied once, before the POG is served.
 *
 * Source: OCI image specification, layers; symlink(7), fifo(7). The image is anybody's: no link of it is followed, nothing of
 * it is opened but directories and regular files, and entries, bytes, depth and time are bounded. What is left out is told.
 * Invariant: the image is only read, so writes of the container never reach it.
 */
import { opendirSync } from 'node:fs'
import { E2BIG, ENOENT, errnoName } from '../lib/errno.ts'
import type { Memory } from '../lib/memory.ts'
import { newFileStat } from '../lib/file-stat.ts'
import { FileCalls } from '../sys/files.ts'
import { close, O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_RDONLY, openPath, pread, pwrite } from '../sys/io.ts'
import { allocate, unmap } from '../sys/memory.ts'
import {
	NamespaceCalls,
	O_NOFOLLOW,
	O_PATH,
	RESOLVE_IN_ROOT,
	RESOLVE_NO_MAGICLINKS,
	RESOLVE_NO_SYMLINKS,
} from '../sys/namespaces.ts'
import { type IdMap, type Owner, SAME_IDS, shiftedId } from './id-map.ts'

export interface LowerLimits {
	/** Of all files together; what a file has in holes does not count. */
	readonly bytes: number
	/** Of one file. */
	readonly fileBytes: number
	readonly entries: number
	readonly depth: number
	readonly timeMs: number
}

export const LOWER_LIMITS: LowerLimits = {
	bytes: 4 * 1024 * 1024,
	fileBytes: 1024 * 1024,
	entries: 4096,
	depth: 16,
	timeMs: 250,
}

export interface LowerJob {
	/** The container's root file system, as the host sees it. */
	readonly rootfs: string
	/** Descriptor of the POG's store, and the name of the directory there that takes the tree. */
	readonly store: number
	readonly into?: string
	/** How the container's ids are seen on the host; without, they are the same. */
	readonly uids?: IdMap
	readonly gids?: IdMap
	/** Who owns what belongs to nobody in the container. */
	readonly owner?: Owner
	readonly limits?: Partial<LowerLimits>
}

export interface LowerCopy {
	readonly entries: number
	readonly bytes: number
	/** What the container will miss: its path below /var/log (bytes as latin1) and why. At most 100 are named. */
	readonly left: { readonly path: string; readonly reason: string }[]
	/** How many were looked at and left out. */
	readonly leftEntries: number
}

const FOLLOW_NOTHING = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS
const O_WRONLY_NEW = 0o301
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
const S_IFIFO = 0o010000
const PIECE_BYTES = 64 * 1024
const MAX_TOLD = 100

/** Its memory is never given back, so there is one for all copies; they run one at a time. */
const files = new FileCalls()

/** Copies the tree. An image without a /var/log, or one that is a link, has no lower layer: nothing is copied. */
export function copyLowerVarLog(job: LowerJob): LowerCopy {
	const copy = new LowerCopier(job)
	copy.run()
	return copy
}

class LowerCopier implements LowerCopy {
	entries = 0
	bytes = 0
	leftEntries = 0
	readonly left: { path: string; reason: string }[] = []
	readonly #job: LowerJob
	readonly #limits: LowerLimits
	readonly #deadlineMs: number
	readonly #files = files
	readonly #stat = newFileStat()
	readonly #owner: Owner
	/** Where a file with several names was copied to. */
	readonly #linked = new Map<number, string>()
	#piece: Memory | undefined
	#full = false

	constructor(job: LowerJob) {
		this.#job = job
		this.#limits = { ...LOWER_LIMITS, ...job.limits }
		this.#deadlineMs = performance.now() + this.#limits.timeMs
		this.#owner = job.owner ?? { uid: 0, gid: 0 }
	}

	run(): void {
		const { rootfs, store, into = 'varlog' } = this.#job
		const root = openPath(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC)
		if (root < 0) return this.#leave('', `the root file system cannot be opened: ${errnoName(root)}`)
		const flags = O_DIRECTORY | O_CLOEXEC
		const calls = new NamespaceCalls()
		const top = calls.openBelow(root, 'var/log', flags, FOLLOW_NOTHING)
		calls.release()
		close(root)
		if (top < 0) {
			if (top !== -ENOENT) this.#leave('', `the image's /var/log cannot be opened: ${errnoName(top)}`)
			return
		}
		this.#files.mkdir(store, into, 0o755)
		this.#directory(top, into, '', 0)
		if (this.#piece !== undefined) unmap(this.#piece)
	}

	#leave(path: string, reason: string): void {
		this.leftEntries++
		if (this.left.length < MAX_TOLD) this.left.push({ path, reason })
	}

	/** Copies what is in an open directory of the image to `to` in the store; closes it. */
	#directory(from: number, to: string, path: string, depth: number): void {
		try {
			// Read piece by piece: a directory may have more names than we have memory for.
			const names = opendirSync(`/proc/self/fd/${from}`, { encoding: 'latin1' as BufferEncoding, bufferSize: 256 })
			for (let next = names.readSync(); next !== null && !this.#full; next = names.readSync()) {
				this.#entry(from, next.name, `${to}/${next.name}`, path === '' ? next.name : `${path}/${next.name}`, depth)
			}
			names.closeSync()
		} catch (error) {
			this.#leave(path, (error as NodeJS.ErrnoException).code ?? 'it cannot be read')
		}
		// Its times last: every entry made in it has changed them.
		this.#files.stat(from, '', this.#stat)
		this.#dress(to)
		close(from)
	}

	#entry(dir: number, name: string, to: string, path: string, depth: number): void {
		if (this.entries >= this.#limits.entries || performance.now() > this.#deadlineMs) {
			this.#full = true
			const why = this.entries >= this.#limits.entries ? 'there are too many entries' : 'it took too long'
			return this.#leave(path, `${why}; nothing after it was copied`)
		}
		// What was looked at is what is opened, whoever renames meanwhile; an O_PATH descriptor opens nothing.
		const fd = this.#files.open(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
		if (fd < 0) return this.#leave(path, errnoName(fd))
		const stat = this.#stat
		const answer = this.#files.stat(fd, '', stat)
		const refused = answer < 0 ? errnoName(answer) : this.#byKind(fd, stat.mode & S_IFMT, to, path, depth)
		if (refused === undefined) this.entries++
		else this.#leave(path, refused)
		close(fd)
	}

	/** Copies one entry by what it is; why not, or undefined. */
	#byKind(fd: number, kind: number, to: string, path: string, depth: number): string | undefined {
		switch (kind) {
			case S_IFDIR:
				return this.#subdirectory(fd, to, path, depth)
			case S_IFREG:
				return this.#file(fd, to)
			case S_IFLNK:
				return this.#link(fd, to)
			case S_IFIFO:
				return this.#made(this.#files.mknod(this.#job.store, to, S_IFIFO | 0o600, 0), to)
			default:
				return 'it is a device or a socket'
		}
	}

	#subdirectory(fd: number, to: string, path: string, depth: number): string | undefined {
		if (depth >= this.#limits.depth) return 'it is too deep'
		const made = this.#files.mkdir(this.#job.store, to, 0o700)
		if (made < 0) return errnoName(made)
		const from = openPath(`/proc/self/fd/${fd}`, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
		if (from < 0) return errnoName(from)
		this.#directory(from, to, path, depth + 1)
		return undefined
	}

	#link(fd: number, to: string): string | undefined {
		const target = this.#files.readlink(fd, '')
		if (typeof target === 'number') return errnoName(target)
		return this.#made(this.#files.symlink(target, this.#job.store, to), to)
	}

	#file(fd: number, to: string): string | undefined {
		const { store } = this.#job
		const { ino, nlink, size } = this.#stat
		const first = nlink > 1 ? this.#linked.get(ino) : undefined
		if (first !== undefined) return this.#reason(this.#files.link(store, first, to))
		if (size > this.#limits.fileBytes) return `it is longer than ${this.#limits.fileBytes} bytes`
		if (this.bytes >= this.#limits.bytes && size > 0) return 'the files before it take all the room'
		const from = openPath(`/proc/self/fd/${fd}`, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
		if (from < 0) return errnoName(from)
		const into = this.#files.open(store, to, O_WRONLY_NEW | O_CLOEXEC, 0o600)
		const copied = into < 0 ? into : this.#content(from, into, size)
		close(from)
		if (into >= 0) close(into)
		if (copied < 0) {
			this.#files.unlink(store, to, 0)
			return copied === -E2BIG ? 'the files before it leave too little room' : errnoName(copied)
		}
		this.bytes += copied
		if (nlink > 1) this.#linked.set(ino, to)
		return this.#made(0, to)
	}

	/** Copies `size` bytes, holes as holes. Bytes written, or a negative errno. */
	#content(from: number, into: number, size: number): number {
		const piece = (this.#piece ??= allocate(PIECE_BYTES))
		let written = 0
		for (let at = 0; at < size; ) {
			const bytes = pread(from, piece.address, Math.min(PIECE_BYTES, size - at), at)
			if (bytes < 0) return bytes
			if (bytes === 0) break
			if (piece.bytes.subarray(0, bytes).some(byte => byte !== 0)) {
				if (this.bytes + written + bytes > this.#limits.bytes) return -E2BIG
				const put = pwrite(into, piece.address, bytes, at)
				if (put < bytes) return put < 0 ? put : -E2BIG
				written += bytes
			}
			at += bytes
		}
		const sized = this.#files.truncate(into, size)
		return sized < 0 ? sized : written
	}

	/** Finishes what was made: why it was not, or undefined. */
	#made(answer: number, to: string): string | undefined {
		if (answer === 0) this.#dress(to)
		return this.#reason(answer)
	}

	#reason(answer: number): string | undefined {
		return answer < 0 ? errnoName(answer) : undefined
	}

	/** Owner, mode and times of the last stat. The mode after the owner, which clears bits of it. */
	#dress(to: string): void {
		const { store, uids = SAME_IDS, gids = SAME_IDS } = this.#job
		const { uid, gid, mode, atimeUs, mtimeUs } = this.#stat
		this.#files.chown(store, to, shiftedId(uids, uid, this.#owner.uid), shiftedId(gids, gid, this.#owner.gid))
		if ((mode & S_IFMT) !== S_IFLNK) this.#files.chmod(store, to, mode & 0o7777)
		this.#files.utimens(store, to, atimeUs, mtimeUs)
	}
}
