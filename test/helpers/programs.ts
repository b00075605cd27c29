/**
 * Real programs for tests: those of `running.ts`, and which tests need which.
 *
 * A suite that wants a program which this machine lacks is skipped by `needs`, with the reason in its title, and counted by
 * ava.
 */
import test, { type ExecutionContext } from 'ava'
import { find } from './running.ts'
import { beyondTransport } from './transport.ts'

// Most suites want both, from one place.
export {
	TOP,
	fixtureProgram,
	start,
	run,
	output,
	until,
	CACHE,
	find,
	PYTHON,
	type Ended,
	type ProgramOptions,
	type Running,
} from './running.ts'

type Body = (t: ExecutionContext) => void | Promise<void>

/** `needs('rsyslogd')('title', async t => ...)`: a serial test, or a skipped one that says what is missing. */
export function needs(...programs: readonly string[]): (title: string, body: Body) => void {
	const missing = programs.filter(name => !find(name))
	if (missing.length === 0) {
		return (title, body) => {
			const beyond = beyondTransport(title)
			if (beyond === undefined) test.serial(title, body)
			else test.serial.skip(`${title} (not through fuse-native: ${beyond})`, body)
		}
	}
	return (title, body) => test.serial.skip(`${title} (needs ${missing.join(', ')}; try test/install-packages.sh)`, body)
}
