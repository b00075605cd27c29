/**
 * `pogctl conf`: the configuration of a POG, read, set, edited and checked.
 *
 * `check` needs no service: it is the same parser. Invariant: an edited text is never lost; when it was not accepted, the file that
 * holds it is named.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Diagnostic } from '../../lib/diagnostic.ts'
import { countDiagnostics, EXIT, fail, failHere, hasErrors, printable } from './context.ts'
import { printDiagnostics, printJson, printLines } from './context.ts'
import type { Context } from './context.ts'
import { readInput } from './pogs.ts'

/** Prints the text as it is, so that `get` and `set` are each other's inverse. */
export async function getConf(context: Context, name: string): Promise<number> {
	const answer = await context.client.call('readConf', { params: { name } })
	if ('failure' in answer) return fail(context, answer.failure)
	const { text } = answer.value
	if (context.json) await printJson(context, answer.value)
	else if (context.terminal) await printLines(context, text.replace(/\n$/, '').split('\n'))
	else await context.out(text)
	return EXIT.ok
}

/** Sets the configuration from a file, or from stdin for `-`. Bad lines are skipped: they are reported, with exit code 1. */
export async function setConf(context: Context, name: string, file: string): Promise<number> {
	const input = await readInput(file)
	if ('problem' in input) return failHere(context, input.problem)
	return (await submit(context, name, input.text, file === '-' ? 'stdin' : file)).code
}

interface Submitted {
	/** In force, perhaps without its bad lines. */
	accepted: boolean
	code: number
}

async function submit(context: Context, name: string, text: string, shownAs: string): Promise<Submitted> {
	const answer = await context.client.call('writeConf', { params: { name }, body: { text } })
	if ('failure' in answer) return { accepted: false, code: fail(context, answer.failure) }
	const { diagnostics } = answer.value
	if (context.json) {
		await printJson(context, answer.value)
	} else {
		printDiagnostics(context, diagnostics)
		const problems = countDiagnostics(diagnostics)
		await printLines(context, [`${name}: ${shownAs} is in force${problems === '' ? '' : `, with ${problems}`}`])
	}
	return { accepted: true, code: hasErrors(diagnostics) ? EXIT.failed : EXIT.ok }
}

/** Back to the host's default. */
export async function resetConf(context: Context, name: string): Promise<number> {
	const answer = await context.client.call('resetConf', { params: { name } })
	if ('failure' in answer) return fail(context, answer.failure)
	if (context.json) await printJson(context, { reset: name })
	return EXIT.ok
}

/** Checks a file, or stdin for `-`, without a service; exit code 1 on errors. */
export async function checkConf(context: Context, file: string, options: { verbose?: boolean }): Promise<number> {
	const input = await readInput(file)
	if ('problem' in input) return failHere(context, input.problem)
	const { checkText } = await import('./check.ts')
	const checked = checkText(input.bytes, file === '-' ? 'stdin' : file)
	const { report, table, ...found } = checked
	if (context.json) await printJson(context, found)
	else await printLines(context, `${report}${options.verbose === true ? table : ''}`.trimEnd().split('\n'))
	return hasErrors(checked.diagnostics) ? EXIT.failed : EXIT.ok
}

/** Opens an editor on the text; sets it when it changed and has no errors, or when the user insists. */
export async function editConf(context: Context, name: string): Promise<number> {
	const answer = await context.client.call('readConf', { params: { name } })
	if ('failure' in answer) return fail(context, answer.failure)
	const directory = await mkdtemp(join(tmpdir(), 'pogctl-'))
	const file = join(directory, `${name}.syslog.conf`)
	await writeFile(file, answer.value.text, { mode: 0o600 })
	const { checkText } = await import('./check.ts')
	for (;;) {
		const editing = await runEditor(file)
		if (editing !== undefined) {
			await rm(directory, { recursive: true, force: true })
			return failHere(context, editing)
		}
		const text = await readFile(file, 'utf8')
		if (text === answer.value.text) {
			await rm(directory, { recursive: true, force: true })
			if (!context.json) await printLines(context, [`${name}: not changed`])
			return EXIT.ok
		}
		const { diagnostics } = checkText(text, file)
		const choice = hasErrors(diagnostics) ? await askAboutErrors(context, diagnostics) : 'set'
		if (choice === 'edit') continue
		if (choice === 'keep')
			return failHere(context, `Configuration of "${name}" not changed; the edited text is in ${file}`)
		const { accepted, code } = await submit(context, name, text, 'the edited text')
		if (accepted) await rm(directory, { recursive: true, force: true })
		else context.err(`The edited text is in ${printable(file)}\n`)
		return code
	}
}

/** Without a terminal nobody can answer: keep the file. */
async function askAboutErrors(context: Context, diagnostics: readonly Diagnostic[]): Promise<'edit' | 'set' | 'keep'> {
	if (context.json) fail(context, { status: 1, message: 'The edited text has errors', diagnostics })
	else printDiagnostics(context, diagnostics)
	if (!process.stdin.isTTY) return 'keep'
	const prompt = createInterface({ input: process.stdin, output: process.stderr })
	const reply = await prompt.question('Edit again (Y), set it without the bad lines (s), or give up (n)? ')
	prompt.close()
	const letter = reply.trim().toLowerCase().slice(0, 1)
	if (letter === 's') return 'set'
	return letter === '' || letter === 'y' || letter === 'e' ? 'edit' : 'keep'
}

/** Undefined when the editor ended well; else what went wrong. As git and crontab do, the variable may hold arguments. */
function runEditor(file: string): Promise<string | undefined> {
	const editor = process.env['VISUAL'] || process.env['EDITOR'] || 'vi'
	return new Promise(resolve => {
		const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, editor, file], { stdio: 'inherit' })
		child.once('error', error => resolve(`Cannot start the editor "${editor}": ${error.message}`))
		child.once('exit', (code, signal) => {
			resolve(code === 0 ? undefined : `The editor "${editor}" ended with ${signal ?? `code ${code}`}: nothing set`)
		})
	})
}
