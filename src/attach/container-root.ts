/**
 * Finds and makes places in a running container, by descriptors below its root, from outside of its namespace.
 *
 * Source: openat2(2), RESOLVE_IN_ROOT; user_namespaces(7). The container may rename and replace anything at any moment:
 * what was found stays found, since it is a descriptor, and it is always below the root. Invariant: what is missing is made
 * with the rights of the container's own root user, so a link into what it may not write leads nowhere.
 */
import { readlinkSync } from 'node:fs'
import { EEXIST, ELOOP, ENOENT, errnoName } from '../lib/errno.ts'
import { close, O_CLOEXEC, O_DIRECTORY } from '../sys/io.ts'
import {
	type NamespaceCalls,
	O_PATH,
	RESOLVE_IN_ROOT,
	RESOLVE_NO_MAGICLINKS,
	RESOLVE_NO_SYMLINKS,
} from '../sys/namespaces.ts'
import type { Owner } from './id-map.ts'

const FOLLOW = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
const FOLLOW_NOTHING = FOLLOW | RESOLVE_NO_SYMLINKS
const PLACE = O_PATH | O_CLOEXEC
const S_IFMT = 0o170000
const S_IFREG = 0o100000

/** A place and its name in its directory, neither of them a link. */
export interface Found {
	readonly parent: number
	readonly name: string
	readonly fd: number
}

/** Why a place was not found, or not made. */
export interface NotFound {
	readonly text: string
	readonly errno: number
}

export class ContainerRoot {
	readonly calls: NamespaceCalls
	readonly #root: number
	readonly #owner: Owner
	readonly #open: number[] = []

	/** `root`: an O_PATH descriptor of the container's root; `owner`: who is root there. */
	constructor(calls: NamespaceCalls, root: number, owner: Owner) {
		this.calls = calls
		this.#root = root
		this.#owner = owner
	}

	/** Closes every descriptor that was found, and gives the calls' memory back. */
	close(): void {
		for (const fd of this.#open) close(fd)
		this.calls.release()
	}

	#at(dir: number, path: string, flags: number, resolve: number): number {
		const fd = this.calls.openBelow(dir, path, PLACE | flags, resolve)
		if (fd >= 0) this.#open.push(fd)
		return fd
	}

	/** Looks again at a place whose mounts changed. */
	again(place: { parent: number; name: string }): number {
		return this.#at(place.parent, place.name, 0, FOLLOW_NOTHING)
	}

	/** The place at a path; a missing one is made, with its directories, when `make` says what. */
	find(path: string, make?: 'file' | 'directory'): Found | NotFound {
		const { directory, name } = splitPath(path)
		const parent = this.#directory(directory, make !== undefined)
		const verb = make === undefined ? 'find' : 'make'
		if (parent < 0) return { errno: parent, text: `Cannot ${verb} ${directory} in the container: ${errnoName(parent)}` }
		let fd = this.again({ parent, name })
		if (fd === -ENOENT && make !== undefined) {
			const made = this.#make(parent, name, make)
			if (made < 0) return { errno: made, text: `Cannot make ${path} in the container: ${errnoName(made)}` }
			fd = this.again({ parent, name })
		}
		if (fd === -ELOOP) return this.#follow(path)
		return fd < 0 ? { errno: fd, text: `Cannot find ${path} in the container: ${errnoName(fd)}` } : { parent, name, fd }
	}

	#directory(path: string, make: boolean): number {
		const whole = this.#at(this.#root, path, O_DIRECTORY, FOLLOW)
		if (whole !== -ENOENT || !make || path === '/') return whole
		const { directory, name } = splitPath(path)
		const parent = this.#directory(directory, true)
		if (parent < 0) return parent
		const made = this.#make(parent, name, 'directory')
		return made < 0 ? made : this.#at(parent, name, O_DIRECTORY, FOLLOW_NOTHING)
	}

	#make(parent: number, name: string, kind: 'file' | 'directory'): number {
		const made = this.#asOwner(() => this.calls.make(parent, name, kind))
		return made === -EEXIST ? 0 : made
	}

	/** The end of a link, found a second time without following anything. */
	#follow(path: string): Found | NotFound {
		const fd = this.#at(this.#root, path, 0, FOLLOW)
		const found = fd < 0 ? fd : this.#named(fd)
		if (typeof found !== 'number') return found
		return { errno: found, text: `Cannot follow the link ${path} in the container: ${errnoName(found)}` }
	}

	#named(fd: number): Found | number {
		const root = readlinkSync(`/proc/self/fd/${this.#root}`, 'latin1')
		const whole = readlinkSync(`/proc/self/fd/${fd}`, 'latin1')
		const { directory, name } = splitPath(
			root !== '/' && whole.startsWith(`${root}/`) ? whole.slice(root.length) : whole,
		)
		const parent = this.#at(this.#root, directory, O_DIRECTORY, FOLLOW_NOTHING)
		if (parent < 0) return parent
		const again = this.again({ parent, name })
		return again < 0 ? again : { parent, name, fd: again }
	}

	/** Removes a directory or file that was made for a mount, unless somebody put something there. */
	unmake(place: { parent: number; name: string }, kind: 'file' | 'directory'): void {
		const fd = kind === 'file' ? this.again(place) : -1
		const standing = fd < 0 ? undefined : this.calls.standing(fd)
		const empty = typeof standing === 'object' && standing.sizeBytes === 0 && (standing.mode & S_IFMT) === S_IFREG
		if (kind === 'directory' || empty) this.#asOwner(() => this.calls.remove(place.parent, place.name, kind))
	}

	#asOwner(act: () => number): number {
		const { uid, gid } = this.#owner
		const [ownUid, ownGid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
		if (uid === ownUid && gid === ownGid) return act()
		const acting = this.calls.actAs(uid, gid)
		const answer = acting < 0 ? acting : act()
		this.calls.actAs(ownUid, ownGid)
		return answer
	}
}

function splitPath(path: string): { directory: string; name: string } {
	const at = path.lastIndexOf('/')
	return { directory: path.slice(0, at) || '/', name: path.slice(at + 1) }
}
