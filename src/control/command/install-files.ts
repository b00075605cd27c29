/**
 * Changes to files of the host that `pogctl install` makes: planned first, shown, then carried out, each with a backup beside it.
 *
 * Invariants: a file is replaced as a whole, by rename, with the owner and mode it had; a backup is what was there before our first
 * change and is never overwritten; nothing is written when any part of a plan cannot be made.
 */
import { chmod, chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** One file, before and after; undefined is no file. */
export interface FileChange {
	readonly path: string
	readonly before: string | undefined
	readonly after: string | undefined
}

export const BACKUP_SUFFIX = '.before-pogs'

/** The text of a file; undefined when there is none. */
export async function readIfThere(path: string): Promise<{ text: string | undefined } | { problem: string }> {
	try {
		return { text: await readFile(path, 'utf8') }
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException
		if (code === 'ENOENT' || code === 'ENOTDIR') return { text: undefined }
		return { problem: `Cannot read "${path}": ${reasonOf(error)}` }
	}
}

/** Carries out one change. An answer is what went wrong; the file is then as it was. */
export async function applyChange({ path, before, after }: FileChange): Promise<{ problem: string } | undefined> {
	const fresh = `${path}.pogs-new`
	try {
		if (after === undefined) {
			await rm(path, { force: true })
			await rm(path + BACKUP_SUFFIX, { force: true })
			return undefined
		}
		await mkdir(dirname(path), { recursive: true })
		const was = before === undefined ? undefined : await stat(path)
		if (before !== undefined) {
			await writeFile(path + BACKUP_SUFFIX, before, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
				if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
			})
		}
		await writeFile(fresh, after, { mode: 0o644 })
		if (was !== undefined) {
			await chown(fresh, was.uid, was.gid)
			await chmod(fresh, was.mode & 0o7777)
		}
		await rename(fresh, path)
		const backup = await readIfThere(path + BACKUP_SUFFIX)
		// Back where it was: nothing to go back to.
		if ('text' in backup && backup.text === after) await rm(path + BACKUP_SUFFIX)
		return undefined
	} catch (error) {
		await rm(fresh, { force: true }).catch(() => undefined)
		return { problem: `Cannot write "${path}": ${reasonOf(error)}` }
	}
}

/** The change as people read it: `--- PATH`, then the lines that go and come with one line around them. */
export function describeChange({ path, before, after }: FileChange): string[] {
	const old = linesOf(before)
	const fresh = linesOf(after)
	let head = 0
	while (head < old.length && head < fresh.length && old[head] === fresh[head]) head++
	let tail = 0
	const most = Math.min(old.length, fresh.length) - head
	while (tail < most && old.at(-1 - tail) === fresh.at(-1 - tail)) tail++
	const around = (line: string | undefined): string[] => (line === undefined ? [] : [` ${line}`])
	return [
		`--- ${before === undefined ? '/dev/null' : path}`,
		`+++ ${after === undefined ? '/dev/null' : path}`,
		`@@ line ${head + 1} @@`,
		...around(old[head - 1]),
		...old.slice(head, old.length - tail).map(line => `-${line}`),
		...fresh.slice(head, fresh.length - tail).map(line => `+${line}`),
		...around(old[old.length - tail]),
	]
}

function linesOf(text: string | undefined): string[] {
	if (text === undefined || text === '') return []
	return text.replace(/\n$/, '').split('\n')
}

function reasonOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error)
}
