/**
 * The bundle of a container on disk: reads its config.json, and puts the edited one in its place.
 *
 * Source: OCI runtime specification 1.0.2, bundle.md. Invariant: the file is replaced as a whole or not at all, with the owner and mode
 * it had; one that is a link, or no regular file, is left alone.
 */
import { constants } from 'node:fs'
import { access, lstat, open, rename, rm } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { ATTACH_POINTS } from './attachable.ts'
import { checkConfig, type OciConfig, type Parsed, parseConfigText, renderConfig } from './config.ts'
import { isBelow, normalDestination } from './place-mount.ts'

/** config.json of a container with a thousand mounts has about 200 KiB. */
const MAX_BYTES = 4 * 1024 * 1024

/** The configuration of the bundle in a directory. */
export async function readBundle(bundle: string): Promise<Parsed<OciConfig>> {
	const path = join(bundle, 'config.json')
	try {
		const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
		try {
			const status = await file.stat()
			if (!status.isFile()) return { problem: `Cannot read "${path}": it is no regular file` }
			if (status.size > MAX_BYTES) return { problem: `Cannot read "${path}": it has more than ${MAX_BYTES} bytes` }
			const parsed = parseConfigText(await file.readFile('utf8'))
			return 'problem' in parsed ? parsed : checkConfig(parsed.value)
		} finally {
			await file.close()
		}
	} catch (error) {
		return { problem: `Cannot read "${path}": ${reasonOf(error)}` }
	}
}

/** Puts a configuration in place of the one that is there. */
export async function writeBundle(bundle: string, config: OciConfig): Promise<{ problem: string } | undefined> {
	const path = join(bundle, 'config.json')
	// One name a bundle: what a crash left behind is overwritten by the next start, not added to.
	const fresh = join(bundle, '.config.json.pogs')
	try {
		const before = await lstat(path)
		if (!before.isFile()) return { problem: `Cannot write "${path}": it is no regular file` }
		await rm(fresh, { force: true })
		const file = await open(fresh, 'wx', before.mode & 0o7777)
		try {
			await file.writeFile(renderConfig(config))
			await file.chown(before.uid, before.gid)
			await file.chmod(before.mode & 0o7777)
		} finally {
			await file.close()
		}
		await rename(fresh, path)
		return undefined
	} catch (error) {
		await rm(fresh, { force: true }).catch(() => undefined)
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
export async function placesMissing(root: string, config: OciConfig): Promise<ReadonlySet<string>> {
	const writable = await access(root, constants.W_OK).then(
		() => true,
		(error: unknown) => (error as NodeJS.ErrnoException).code !== 'EROFS',
	)
	const missing = new Set<string>()
	if (writable) return missing
	const mounts = (config.mounts ?? []).map(mount => normalDestination(mount.destination))
	for (const { target } of ATTACH_POINTS) {
		// Below a mount (a tmpfs on /run or /dev) the place is made there, or is there.
		if (mounts.some(mount => mount !== '/' && isBelow(target, mount))) continue
		if (!(await existsInside(root, target))) missing.add(target)
	}
	return missing
}

/** Without following any link: an image's links are for its own root, not for the host's. */
async function existsInside(root: string, target: string): Promise<boolean> {
	let path = root
	for (const part of target.slice(1).split('/')) {
		path = join(path, part)
		const status = await lstat(path).catch(() => undefined)
		if (status === undefined) return false
		// The runtime resolves it inside the root; where it leads, nobody knows better.
		if (status.isSymbolicLink()) return true
	}
	return true
}

function reasonOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error)
}
