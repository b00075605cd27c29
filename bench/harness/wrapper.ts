/**
 * The wrapper as an engine has it: mount/pogs-runc and nothing before it, with its settings in a file.
 *
 * A script that sets variables and then becomes pogs-runc would be one more shell at every call of the runtime, which no user has.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PROJECT } from './build.ts'

const SETTINGS = '/etc/pogs/runtime}"'

/** Writes the wrapper and its settings into a directory; the path of the program. */
export const installWrapper = (directory: string, runDir: string): string => {
	const settings = path.join(directory, 'runtime')
	writeFileSync(settings, `runtime = runc\nrun-dir = ${runDir}\n`)
	const text = readFileSync(path.join(PROJECT, 'mount/pogs-runc'), 'utf8')
	if (!text.includes(SETTINGS)) throw new Error('mount/pogs-runc names its settings in another way')
	const program = path.join(directory, 'pogs-runc')
	writeFileSync(program, text.replace(SETTINGS, `${settings}}"`), { mode: 0o755 })
	return program
}
