/**
 * The bundle of a container on disk: reads its config.json, and puts the edited one in its place.
 *
 * Source: OCI runtime specification 1.0.2, bundle.md. Invariant: the file is replaced as a whole or not at all, with the owner and mode
 * it had; one that is a link, or no regular file, is left alone. Synchronous, because this is on every container's start path: the file
 * is small and in memory, and the thread pool would cost ten times the time.
 */
import {
	accessSync,
	closeSync,
	constants,
	fchmodSync,
	fchownSync,
	fstatSync,
	lstatSync,
	openSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { ATTACH_POINTS } from './attachable.ts'
import { checkConfig, type OciConfig, type Parsed, parseConfigText, renderConfig } from './config.ts'
import { isBelow, normalDestination } from './place-mount.ts'

/** config.json of a container with a thousand mounts has about 200 KiB. */
const MAX_BYTES = 4 * 1024 * 1024

/** The configuration of the bundle in a directory. */
export function readBundle(bundle: string): Parsed<OciConfig> {
	const path = join(bundle, 'config.json')
	try {
		const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
		try {
			const status = fstatSync(file)
			if (!status.isFile()) return { problem: `Cannot read "${path}": it is no regular file` }
			if (status.size > MAX_BYTES) return { problem: `Cannot read "${path}": it has more than ${MAX_BYTES} bytes` }
			const parsed = parseConfigText(readFileSync(file, 'utf8'))
			return 'problem' in parsed ? parsed : checkConfig(parsed.value)
		} finally {
			closeSync(file)
		}
	} catch (error) {
		return { problem: `Cannot read "${path}": ${reasonOf(error)}` }
	}
}

/** Puts a configuration in place of the one that is there. */
export function writeBundle(bundle: string, config: OciConfig): { problem: string } | undefined {
	const path = join(bundle, 'config.json')
	// One name a bundle: what a crash left behind is overwritten by the next start, not added to.
	const fresh = join(bundle, '.config.json.pogs')
	try {
		const before = lstatSync(path)
		if (!before.isFile()) return { problem: `Cannot write "${path}": it is no regular file` }
		rmSync(fresh, { force: true })
		const file = openSync(fresh, 'wx', before.mode & 0o7777)
		try {
			writeFileSync(file, renderConfig(config))
			fchownSync(file, before.uid, before.gid)
			fchmodSync(file, before.mode & 0o7777)
		} finally {
			closeSync(file)
		}
		renameSync(fresh, path)
		return undefined
	} catch (error) {
		rmSync(fresh, { force: true })
		return { problem: `Cannot write "${path}": ${reasonOf(error)}` }
	}
}

/** The directory of the container's root file system. */
export function rootOf(bundle: string, config: OciConfig): string {
	return isAbsolute(config.root.path) ? config.root.path : join(bundle, config.root.path)
}

/**
 * The places of a POG that a runtime cannot make in there: those missing in a file system that is itself mounted read-only.
 * `root.readonly` does not matter, because a runtime makes it so afterwards.
 */
export function placesMissing(root: string, config: OciConfig): ReadonlySet<string> {
	const missing = new Set<string>()
	if (!isReadOnly(root)) return missing
	const mounts = (config.mounts ?? []).map(mount => normalDestination(mount.destination))
	for (const { target } of ATTACH_POINTS) {
		// Below a mount (a tmpfs on /run or /dev) the place is made there, or is there.
		if (mounts.some(mount => mount !== '/' && isBelow(target, mount))) continue
		if (!existsInside(root, target)) missing.add(target)
	}
	return missing
}

function isReadOnly(root: string): boolean {
	try {
		accessSync(root, constants.W_OK)
		return false
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === 'EROFS'
	}
}

/** Without following any link: an image's links are for its own root, not for the host's. */
function existsInside(root: string, target: string): boolean {
	let path = root
	for (const part of target.slice(1).split('/')) {
		path = join(path, part)
		const status = lstatSync(path, { throwIfNoEntry: false })
		if (status === undefined) return false
		// The runtime resolves it inside the root; where it leads, nobody knows better.
		if (status.isSymbolicLink()) return true
	}
	return true
}

function reasonOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error)
}
