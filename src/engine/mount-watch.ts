/**
 * Tells when a mount is no longer in the mount table: for a transport that does not learn of it from its connection.
 *
 * Source: proc_pid_mountinfo(5): a change of the table is an exceptional condition of the open file. Invariant: the mounts
 * themselves are never touched, because their server may be the caller.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { parseMountinfo } from '../attach/mountinfo.ts'
import { Epoll, EPOLLPRI } from '../sys/epoll.ts'
import { close, O_CLOEXEC, O_RDONLY, openPath } from '../sys/io.ts'

const TABLE = '/proc/self/mountinfo'

export class MountWatch {
	readonly #epoll = new Epoll(1)
	readonly #fd: number
	readonly #watched = new Map<string, () => void>()

	constructor() {
		this.#fd = openPath(TABLE, O_RDONLY | O_CLOEXEC)
		const watched = this.#fd < 0 ? this.#fd : this.#epoll.add(this.#fd, EPOLLPRI, 0)
		if (watched < 0) throw new Error(`Cannot watch ${TABLE}: errno ${-watched}`)
	}

	/** A mount point as the table shows it, one character a byte: to be asked only before something is mounted there. */
	resolve(mountPoint: string): string {
		return realpathSync(mountPoint, 'latin1')
	}

	/** Calls `onGone` once when nothing is mounted there any more. */
	add(mountPoint: string, onGone: () => void): void {
		this.#watched.set(mountPoint, onGone)
	}

	remove(mountPoint: string): void {
		this.#watched.delete(mountPoint)
	}

	/** Looks whether the table has changed, and tells. */
	look(): void {
		if (this.#watched.size === 0 || this.#epoll.wait(0) <= 0) return
		const mounted = new Set(parseMountinfo(readFileSync(TABLE, 'latin1')).map(mount => mount.point))
		for (const [mountPoint, onGone] of this.#watched) {
			if (mounted.has(mountPoint)) continue
			this.#watched.delete(mountPoint)
			onGone()
		}
	}

	close(): void {
		this.#epoll.close()
		close(this.#fd)
	}
}
