/**
 * `pogctl install ENGINE` and `pogctl uninstall ENGINE`: the configuration of a container engine, shown, backed up, written.
 *
 * Invariant: with `--dry-run` nothing is written; without it, either all files of an engine are as planned, or the first problem is told
 * and those after it are untouched.
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT, failHere, printJson, printLines } from './context.ts'
import type { Context } from './context.ts'
import { type EngineFile, ENGINES, type InstallContext } from './install-engines.ts'
import { applyChange, BACKUP_SUFFIX, describeChange, type FileChange, readIfThere } from './install-files.ts'

export interface InstallOptions {
	dryRun?: boolean
	/** Leave the engine's default runtime as it is. */
	optIn?: boolean
	/** Another root directory, as of an image. */
	root?: string
}

const MOUNT_DIR = fileURLToPath(new URL('../../../mount', import.meta.url))

/** Puts POGs into the engine's configuration. */
export function install(context: Context, engine: string, options: InstallOptions): Promise<number> {
	return change(context, engine, 'add', options)
}

/** Takes them out again. */
export function uninstall(context: Context, engine: string, options: InstallOptions): Promise<number> {
	return change(context, engine, 'remove', options)
}

async function change(
	context: Context,
	name: string,
	direction: 'add' | 'remove',
	{ dryRun = false, optIn = false, root = '/' }: InstallOptions,
): Promise<number> {
	const engine = Object.hasOwn(ENGINES, name) ? ENGINES[name] : undefined
	if (engine === undefined) {
		failHere(context, `Unknown engine "${name}", expected one of ${Object.keys(ENGINES).join(', ')}`)
		return EXIT.usage
	}
	const making: InstallContext = {
		mountDir: MOUNT_DIR,
		runDir: context.runDir,
		wrapper: !findProgram('runc') && findProgram('crun') ? 'pogs-crun' : 'pogs-runc',
		optIn,
		template: file => readFileSync(join(MOUNT_DIR, file), 'utf8'),
	}
	const changes: FileChange[] = []
	const notes: string[] = []
	for (const file of engine.files) {
		const path = join(root, file.path)
		const before = await readIfThere(path)
		if ('problem' in before) return failHere(context, before.problem)
		const edited = file[direction](before.text, making)
		if ('problem' in edited) return failHere(context, edited.problem)
		if (edited.note !== undefined) notes.push(edited.note)
		const after =
			direction === 'remove' ? ((await textBefore(file, path, before.text, making)) ?? edited.text) : edited.text
		if (after !== before.text) changes.push({ path, before: before.text, after })
	}
	if (!dryRun) {
		for (const each of changes) {
			const problem = await applyChange(each)
			if (problem !== undefined) return failHere(context, problem.problem)
		}
	}
	const next = changes.length === 0 ? [] : [`Next: ${engine.next}`]
	if (context.json) {
		await printJson(context, { engine: name, dryRun, changes, notes, next: engine.next })
		return EXIT.ok
	}
	await printLines(context, [
		...changes.flatMap(describeChange),
		...(changes.length === 0 ? [`${name}: nothing to change`] : []),
		...notes,
		...(dryRun
			? changes.map(each => `Not written (--dry-run): ${each.path}`)
			: changes.map(each => wrote(each, direction))),
		...next,
	])
	return EXIT.ok
}

/** The backup, when the file is still what we made of it: so its comments and blanks come back too. */
async function textBefore(
	file: EngineFile,
	path: string,
	now: string | undefined,
	making: InstallContext,
): Promise<string | undefined> {
	const backup = await readIfThere(path + BACKUP_SUFFIX)
	if ('problem' in backup || backup.text === undefined || now === undefined) return undefined
	const made = [true, false].map(optIn => file.add(backup.text, { ...making, optIn }))
	return made.some(edited => 'text' in edited && edited.text === now) ? backup.text : undefined
}

function wrote({ path, before, after }: FileChange, direction: 'add' | 'remove'): string {
	if (after === undefined) return `Removed ${path}`
	if (before === undefined || direction === 'remove') return `Wrote ${path}`
	return `Wrote ${path}; as it was: ${path}${BACKUP_SUFFIX}`
}

/** Is the program in PATH, or where root's programs are? */
export function findProgram(name: string, root = ''): string | undefined {
	const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
	return directories
		.map(directory => join(root, directory, name))
		.find(path => {
			try {
				accessSync(path, constants.X_OK)
				return true
			} catch {
				return false
			}
		})
}
