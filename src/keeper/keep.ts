/** Starts a keeper in this process, with the signals that end it, and cleans up after keepers that were killed. */
import { accessSync, constants, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { LEAVE_SIGNAL } from '../lib/leave-signal.ts'
import { takeUpbringing } from '../sys/upbringing.ts'
import { hurry } from './hurry.ts'
import { Keeper, type KeeperOptions } from './keeper.ts'

/** Long enough for a machine that is busy beyond reason; a hang is noticed all the same. */
const WATCHDOG_US = 20_000_000
/** As systemd's own manager. */
const OOM_SCORE_ADJ = '-900'
const DIRECTORY = /^pogs-keeper-(\d+)-\w+$/

export interface KeepOptions {
	readonly command: KeeperOptions['command']
	readonly log: KeeperOptions['log']
	readonly environment: NodeJS.ProcessEnv
}

/** Keeps an engine until the end; the exit code. */
export async function keep({ command, log, environment }: KeepOptions): Promise<number> {
	// One thread waits for messages; more would only be memory.
	process.env['UV_THREADPOOL_SIZE'] = '1'
	const directory = writable('/run') ? '/run' : tmpdir()
	removeStale(directory)
	// What systemd says to the unit's main process is for us; the engine hears from us.
	const { inherited, notifySocket, watchdogUs } = takeUpbringing(environment, process.pid)
	const keeper = new Keeper({
		command,
		directory,
		watchdogUs: watchdogUs > 0 ? watchdogUs : WATCHDOG_US,
		log,
		notifySocket: notifySocket ?? undefined,
		aliveEveryUs: watchdogUs,
		inherited,
		environment,
	})
	protectFromOom()
	hurry()
	for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => keeper.stop(signal))
	process.on(LEAVE_SIGNAL, () => keeper.leave())
	return keeper.run()
}

function writable(directory: string): boolean {
	try {
		accessSync(directory, constants.W_OK)
		return true
	} catch {
		return false
	}
}

/** Needs CAP_SYS_RESOURCE; without it the keeper is as likely a victim as others of its size. */
function protectFromOom(): void {
	try {
		writeFileSync('/proc/self/oom_score_adj', OOM_SCORE_ADJ)
	} catch {}
}

/** Directories of keepers that are no more. */
function removeStale(directory: string): void {
	for (const name of readdirSync(directory)) {
		const pid = DIRECTORY.exec(name)?.[1]
		if (pid === undefined || isAlive(pid)) continue
		try {
			rmSync(`${directory}/${name}`, { recursive: true, force: true })
		} catch {
			// Somebody else's.
		}
	}
}

function isAlive(pid: string): boolean {
	try {
		readFileSync(`/proc/${pid}/stat`)
		return true
	} catch {
		return false
	}
}
