/**
 * `include PATTERN` of a container's syslog.conf: files that the container itself keeps below /var/log or /run/pog.
 *
 * Invariants: nothing outside the POG's store is read, whatever links the container made: the directory must be where its
 * name says, and only regular files in it count. (The container's tree changes between two steps only, and a directory that is
 * being read stays the one that was opened.) A step looks at some hundred names, or reads one file.
 */
import { closeSync, constants, type Dir, fstatSync, openSync, opendirSync, readSync, realpathSync } from 'node:fs'
import type { Steps } from '../lib/steps.ts'

const MAX_FILES = 64
/** Of all files of one pattern together: more than a configuration may have. */
const MAX_BYTES = 256 << 10
const NAMES_AT_ONCE = 128

/** Where the container's directories lie in the store. */
const PLACES: readonly [prefix: string, store: string][] = [
	['/var/log', 'varlog'],
	['/run/pog', 'runpog'],
]

/** The matching files, by name. `*` and `?` in the last part of the pattern only. */
export function* readIncludes(storePath: string, pattern: string): Steps<{ file: string; text: Buffer }[]> {
	const slash = pattern.lastIndexOf('/')
	const directory = pattern.slice(0, slash)
	const name = pattern.slice(slash + 1)
	const place = PLACES.find(([prefix]) => directory === prefix || directory.startsWith(`${prefix}/`))
	if (place === undefined || name === '' || directory.split('/').includes('..')) return []
	const [prefix, store] = place
	const found: { file: string; text: Buffer }[] = []
	try {
		const expected = `${realpathSync(storePath)}/${store}${directory.slice(prefix.length)}`
		let room = MAX_BYTES
		for (const file of yield* matchingNames(expected, name)) {
			// What it leads to now: the container may have put a link in its place meanwhile.
			if (realpathSync(expected) !== expected) return []
			const text = readStart(`${expected}/${file}`, room)
			if (text === null) continue
			room -= text.length
			found.push({ file: `${directory}/${file}`, text })
			yield
		}
		return found
	} catch {
		return found
	}
}

/** The first names in the alphabet that match, of regular files. */
function* matchingNames(directory: string, pattern: string): Steps<string[]> {
	if (realpathSync(directory) !== directory) return []
	const names: string[] = []
	const open: Dir = opendirSync(directory, { bufferSize: NAMES_AT_ONCE })
	try {
		for (let seen = 1; ; seen++) {
			const entry = open.readSync()
			if (entry === null) return names
			if (entry.isFile() && matchesGlob(pattern, entry.name)) insert(names, entry.name)
			if (seen % NAMES_AT_ONCE === 0) yield
		}
	} finally {
		open.closeSync()
	}
}

/** Into its place in the order, as long as it is among the first. */
function insert(names: string[], name: string): void {
	let at = names.length
	while (at > 0 && name < (names[at - 1] as string)) at--
	names.splice(at, 0, name)
	if (names.length > MAX_FILES) names.pop()
}

/** Up to `maxBytes` of a file, whatever size it claims: a sparse one costs its container nothing. Null when it is none any more. */
function readStart(path: string, maxBytes: number): Buffer | null {
	// Never to wait for the other end of a FIFO, whatever it was a moment ago.
	const fd = openOrNot(path)
	if (fd === null) return null
	try {
		if (!fstatSync(fd).isFile()) return null
		const bytes = Buffer.alloc(maxBytes)
		let end = 0
		for (let got = -1; got !== 0 && end < maxBytes; end += got) got = readSync(fd, bytes, end, maxBytes - end, null)
		return Buffer.from(bytes.subarray(0, end))
	} finally {
		closeSync(fd)
	}
}

function openOrNot(path: string): number | null {
	try {
		return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
	} catch {
		// Removed or renamed since it was listed.
		return null
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
