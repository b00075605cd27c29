/**
 * Puts a mount into the ordered list of an OCI configuration.
 *
 * Source: OCI runtime specification 1.0.2, config.md, "Mounts": the runtime mounts in listed order. Invariant: a mount comes after
 * every mount on a directory above it (a later tmpfs on /run would hide /run/pog), and where that allows before those below it.
 */
import { posix } from 'node:path'
import type { OciMount } from './config.ts'

/** A destination as the runtimes understand it: absolute, without `.`, `..`, doubled or closing slashes. */
export function normalDestination(destination: string): string {
	const path = posix.normalize(`/${destination}`)
	return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

/** Is `path` strictly below `directory`? Both normal. */
export function isBelow(path: string, directory: string): boolean {
	return path.startsWith(directory === '/' ? '/' : `${directory}/`) && path !== directory
}

/** The list with `mount` in its place; mounts with the same destination are gone. */
export function placeMount(mounts: readonly OciMount[], mount: OciMount): OciMount[] {
	const target = normalDestination(mount.destination)
	const others = mounts.filter(other => normalDestination(other.destination) !== target)
	const above = others.findLastIndex(other => isBelow(target, normalDestination(other.destination)))
	const below = others.findIndex(
		(other, index) => index > above && isBelow(normalDestination(other.destination), target),
	)
	return others.toSpliced(below === -1 ? others.length : below, 0, mount)
}
