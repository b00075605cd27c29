/**
 * Another version takes over from this one: is it able to, and the handing over at a boundary between requests.
 *
 * Invariant: this engine goes on as if nothing had been asked unless the other one has said that it can read what this one
 * keeps; and it ends only when what it has begun is answered.
 */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from '../control/api.ts'
import type { Failure, Outcome, UpgradeReport } from '../control/service.ts'
import { readVersion } from '../lib/version.ts'
import type { Log } from './log.ts'
import { foreignFormat, STATE_FORMAT } from './saved-pogs.ts'

const ANSWER_WITHIN_MS = 20_000
/** The one who asked for the upgrade hears of it first. */
const ANSWER_FIRST_MS = 50
/** Commands of runtimes that are under way. */
const FINISH_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 5

export interface Handover {
	readonly runDir: string
	/** What is started next, as a path that is looked up then. */
	readonly program: string
	/** Somebody keeps the descriptors meanwhile. */
	readonly kept: boolean
	readonly log: Log
	/** Stops the data plane between two requests, and gives nothing back. */
	readonly suspend: () => Promise<unknown>
	/** Commands of runtimes that are being carried out. */
	readonly commands: () => number
	readonly api: () => Api | undefined
	/** Ends the process; the keeper starts the next one. */
	readonly end: () => void
}

/** Asks the version that is installed now, answers, and hands over. */
export async function upgrade(handover: Handover): Promise<Outcome<UpgradeReport>> {
	const { kept, program, runDir, log } = handover
	if (!kept) return failure('Nobody would keep the mounts meanwhile: restart pogshim instead')
	const next = await askNext(program, runDir)
	if ('problem' in next) return failure(next.problem)
	setTimeout(() => void handOver(handover), ANSWER_FIRST_MS)
	const report = { from: readVersion(), to: next.version, pid: process.pid }
	log('info', 'another version takes over', report)
	return { value: report }
}

async function handOver({ api, commands, suspend, end }: Handover): Promise<void> {
	await api()?.drain()
	const until = performance.now() + FINISH_WITHIN_MS
	while (commands() > 0 && performance.now() < until) await sleep(LOOK_EVERY_MS)
	await suspend()
	end()
}

/** The version of the program, once it has looked at what is kept in the run directory; or why it could not go on with that. */
function askNext(program: string, runDir: string): Promise<{ version: string } | { problem: string }> {
	const args = [...process.execArgv, program, '--engine', '--check-state', '--run-dir', runDir]
	return new Promise(resolve => {
		execFile(process.execPath, args, { timeout: ANSWER_WITHIN_MS }, (error, said, complaints) => {
			const version = /^pogshim (\S+) can take over/m.exec(said)?.[1]
			if (error === null && version !== undefined) return resolve({ version })
			const why = complaints.trim() || said.trim() || (error?.message ?? 'it says nothing')
			resolve({ problem: `${program} does not take over: ${why}; the running version goes on` })
		})
	})
}

/** Whether this version can go on with what is kept in a run directory: a line that says so, or what stands against it. */
export function checkState(runDir: string): { value: string } | { problem: string } {
	const foreign = foreignFormat(runDir)
	if (foreign === undefined)
		return { value: `pogshim ${readVersion()} can take over ${runDir} (format ${STATE_FORMAT})` }
	return {
		problem: `pogshim ${readVersion()} reads format ${STATE_FORMAT}, but ${runDir} is kept in format ${foreign}: stop pogshim and start it again (logs end, containers run on)`,
	}
}

function failure(message: string): Failure {
	return { failure: { status: 422, message } }
}
