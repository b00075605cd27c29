#!/usr/bin/env node
/**
 * pogshim: the daemon. Serves private logs until SIGTERM or SIGINT, then gives back everything.
 *
 * It is a keeper with an engine as its child; under systemd, which keeps a copy of what the keeper has, as well.
 * Exit codes: 0 stopped as asked; 1 it could not start, or the data plane failed; 2 wrong usage.
 */
import { existsSync, realpathSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

const [, program = '', ...args] = process.argv
const { env } = process
/**
 * In MB. V8 lets it grow to three times 16: what the engine leaves behind while it makes a thousand POGs, 10 KB each, would stay
 * in memory for as long as they are idle. (The shard's thread has a bound of its own.)
 */
const YOUNG_GENERATION = '--max-semi-space-size=2'
/**
 * The heap is small. Threads that help to collect it cost more than they spare on a busy machine: a third of the processor's time of a
 * takeover, for which everybody waits.
 */
const ONE_COLLECTOR = '--single-threaded-gc'

if (args.includes('--engine') || args.includes('--check-state')) await import('./engine.ts')
else {
	const { keep } = await import('../keeper/keep.ts')
	const { stderrLog } = await import('../engine/log.ts')
	// Looked up anew each time: an upgrade may have put another version there.
	const command = (): string[] => {
		const path = existsSync(program) ? realpathSync(program) : program
		const engine = join(dirname(path), `engine${extname(path) || '.js'}`)
		return [process.execPath, ...process.execArgv, YOUNG_GENERATION, ONE_COLLECTOR, engine, '--engine', ...args]
	}
	process.exitCode = await keep({ command, log: stderrLog(), environment: { ...env, POGS_PROGRAM: program } })
	process.exit()
}
