/**
 * The frame of pogctl's command line (commander): what every command has, its options of all levels, its exit code.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { Client } from '../control/client.ts'
import type { Understood } from '../control/command/arguments.ts'
import { EXIT } from '../control/command/context.ts'
import type { Context } from '../control/command/context.ts'

const DEFAULT_RUN_DIR = '/run/pogs'

/** What the process ends with. */
export const exit: { code: number } = { code: EXIT.ok }

/** Makes a parser of ours one of commander's. */
export function taking<T>(parse: (text: string) => Understood<T>): (text: string) => T {
	return text => {
		const understood = parse(text)
		if ('value' in understood) return understood.value
		throw new InvalidArgumentError(understood.expected)
	}
}

interface GlobalOptions {
	runDir?: string
	json?: boolean
}

/** The options of all levels: `pogctl --json ls` and `pogctl ls --json` are the same. */
export function contextOf(command: Command, color = true): Context {
	const levels: GlobalOptions[] = []
	for (let level: Command | null = command; level !== null; level = level.parent)
		levels.push(level.opts<GlobalOptions>())
	const json = levels.some(options => options.json === true)
	const named = levels.find(options => options.runDir !== undefined)?.runDir
	const runDir = named ?? (process.env['POGS_RUN_DIR'] || DEFAULT_RUN_DIR)
	const terminal = process.stdout.isTTY
	const colour = color && terminal && !json && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
	return { runDir, json, terminal, colour, client: new Client(runDir), out: writeOut, err: writeErr }
}

/** At the reader's pace: a slow pager must not make us hold the log. */
function writeOut(text: string): Promise<void> {
	if (text === '' || process.stdout.write(text)) return Promise.resolve()
	return new Promise(resolve => process.stdout.once('drain', resolve))
}

export function writeErr(text: string): void {
	process.stderr.write(text)
}

export function examples(...lines: string[]): string {
	return `\nExamples:\n${lines.map(line => `  $ ${line}\n`).join('')}`
}

/** A leaf or group with the options that every level has. */
export function withGlobals(command: Command): Command {
	return command
		.option('--run-dir <dir>', `run directory of the service (POGS_RUN_DIR, default ${DEFAULT_RUN_DIR})`)
		.option('--json', 'output for machines: JSON on stdout, errors as JSON on stderr')
}

export function leaf(parent: Command, usage: string, summary: string, ...lines: string[]): Command {
	return withGlobals(parent.command(usage))
		.description(summary)
		.addHelpText('after', examples(...lines))
}

/** An option that may be given several times. */
export function collecting<T>(parse: (text: string) => Understood<T>): (text: string, before?: T[]) => T[] {
	return (text, before = []) => [...before, taking(parse)(text)]
}
