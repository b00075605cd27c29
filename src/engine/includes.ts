/**
 * `include PATTERN` of a container's syslog.conf: files that the container itself keeps below /var/log or /run/pog.
 *
 * Invariant: nothing outside the POG's store is read, whatever links the container made: the directory must be where its
 * name says, and only regular files in it count. (The container cannot change its tree meanwhile: this thread serves it.)
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs'

const MAX_FILES = 64
const MAX_BYTES = 1 << 20

/** Where the container's directories lie in the store. */
const PLACES: readonly [prefix: string, store: string][] = [
	['/var/log', 'varlog'],
	['/run/pog', 'runpog'],
]

/** The matching files, by name. `*` and `?` in the last part of the pattern only. */
export function readIncludes(storePath: string, pattern: string): { file: string; text: Buffer }[] {
	const slash = pattern.lastIndexOf('/')
	const directory = pattern.slice(0, slash)
	const name = pattern.slice(slash + 1)
	const place = PLACES.find(([prefix]) => directory === prefix || directory.startsWith(`${prefix}/`))
	if (place === undefined || name === '' || directory.split('/').includes('..')) return []
	const [prefix, store] = place
	try {
		const expected = `${realpathSync(storePath)}/${store}${directory.slice(prefix.length)}`
		if (realpathSync(expected) !== expected) return []
		const wanted = globExpression(name)
		return readdirSync(expected, { withFileTypes: true })
			.filter(entry => entry.isFile() && wanted.test(entry.name))
			.map(entry => entry.name)
			.sort()
			.slice(0, MAX_FILES)
			.map(file => ({ file: `${directory}/${file}`, text: readFileSync(`${expected}/${file}`).subarray(0, MAX_BYTES) }))
	} catch {
		return []
	}
}

function globExpression(glob: string): RegExp {
	const escaped = glob.replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
	// Stars in a row match what one does, and would only make the matching slow.
	return new RegExp(`^${escaped.replace(/\*+/g, '.*').replaceAll('?', '.')}$`)
}
