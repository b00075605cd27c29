/**
 * `include PATTERN` of a container's syslog.conf: files that the container itself keeps below /var/log or /run/pog.
 *
 * Invariant: nothing outside the POG's store is read, whatever links the container made: the directory must be where its
 * name says, and only regular files in it count. (The container cannot change its tree meanwhile: this thread serves it.)
 */
import { closeSync, constants, openSync, readdirSync, readSync, realpathSync } from 'node:fs'

const MAX_FILES = 64
/** Of all files of one pattern together. */
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
		const names = readdirSync(expected, { withFileTypes: true })
			.filter(entry => entry.isFile() && matchesGlob(name, entry.name))
			.map(entry => entry.name)
			.sort()
		let room = MAX_BYTES
		return names.slice(0, MAX_FILES).map(file => {
			const text = readStart(`${expected}/${file}`, room)
			room -= text.length
			return { file: `${directory}/${file}`, text }
		})
	} catch {
		return []
	}
}

/** Up to `maxBytes` of a file, whatever size it claims: a sparse one costs its container nothing. */
function readStart(path: string, maxBytes: number): Buffer {
	// Never to wait for the other end of a FIFO, whatever it was a moment ago.
	const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
	try {
		const bytes = Buffer.alloc(maxBytes)
		let end = 0
		for (let got = -1; got !== 0 && end < maxBytes; end += got) got = readSync(fd, bytes, end, maxBytes - end, null)
		return Buffer.from(bytes.subarray(0, end))
	} finally {
		closeSync(fd)
	}
}

/** Whether a name matches a pattern of `*` and `?`. The work is bounded by the product of their lengths, for any pattern. */
export function matchesGlob(pattern: string, name: string): boolean {
	let at = 0
	let next = 0
	let star = -1
	let starAt = 0
	while (at < name.length) {
		if (pattern[next] === '*') {
			star = next++
			starAt = at
		} else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === name[at])) {
			next++
			at++
		} else if (star >= 0) {
			// The last star takes one character more; those before it never need to.
			next = star + 1
			at = ++starAt
		} else return false
	}
	while (pattern[next] === '*') next++
	return next === pattern.length
}
