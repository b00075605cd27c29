/**
 * What a POG adds to the start of a container: the same command by the same runtime, with pogs-runc and without, in turns.
 *
 * A start is a whole run of a program that ends at once, or `create` and `start`; the time is from fork to exit. Bundles, the runtime's
 * state and the run directory are in memory, where engines have theirs. Each start is 100 ms after the one before: moving a process
 * into a cgroup waits for the kernel's grace period, which starts in quick succession share, so that one that is held up a little
 * would be charged with all of it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Docker } from '../evaluate/docker.ts'
import { difference, inTurns, of } from '../evaluate/paired.ts'
import { busyboxRoot } from '../evaluate/roots.ts'
import { build, isMissing, PROJECT } from '../harness/build.ts'
import type { Bench, Case } from '../harness/case.ts'
import { run } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import type { Contestant } from '../harness/statistics.ts'
import type { Row } from '../harness/table.ts'
import { installWrapper } from '../harness/wrapper.ts'

const TARGET_MS = 5
const PAUSE_MS = 100
const TURNS_A_REPEAT = 7
const SCRATCH = '/dev/shm'

type Runtime = 'runc' | 'crun'

/** A runtime's command line, with POGs by the wrapper. */
export const runtimeCommand = (runtime: Runtime, runDir: string, pogs: boolean, state: string): string[] => {
	const program = pogs
		? ['env', `POGS_RUN_DIR=${runDir}`, `POGS_RUNTIME=${runtime}`, path.join(PROJECT, 'mount/pogs-runc')]
		: ['env', runtime]
	return [...program, '--root', state]
}

/** Writes a bundle that runs `args` in a root file system; its text, for bundles that are to be written anew. */
export const writeBundle = async (bundle: string, root: string, args: readonly string[]): Promise<string> => {
	mkdirSync(bundle, { recursive: true })
	await run(['sh', '-c', 'cd "$1" && exec runc spec', 'sh', bundle])
	const file = path.join(bundle, 'config.json')
	const config = JSON.parse(readFileSync(file, 'utf8')) as {
		root: object
		process: { args: readonly string[]; terminal: boolean; rlimits?: unknown }
	}
	config.root = { path: root, readonly: false }
	config.process.args = args
	config.process.terminal = false
	delete config.process.rlimits
	const text = JSON.stringify(config)
	writeFileSync(file, text)
	return text
}

const has = async (program: string): Promise<boolean> =>
	(await run(['sh', '-c', `command -v ${program}`]).catch(() => undefined)) !== undefined

class Starts {
	readonly #bench: Bench
	readonly #timer: string
	readonly #turns: number
	readonly rows: Row[] = []

	constructor(bench: Bench, timer: string) {
		this.#bench = bench
		this.#timer = timer
		this.#turns = bench.quick === true ? 3 : Math.max(25, bench.repeats * TURNS_A_REPEAT)
	}

	/** Milliseconds of one command. */
	async timed(command: readonly string[]): Promise<number> {
		await sleep(PAUSE_MS)
		return Number((await run([this.#timer, '1', ...command])).stdout)
	}

	async compare(what: string, measure: (pogs: boolean) => Promise<number>): Promise<void> {
		this.#bench.say(what)
		const contestants: Contestant[] = [false, true].map(pogs => ({ name: String(pogs), measure: () => measure(pogs) }))
		for (const pogs of [false, true]) await measure(pogs)
		const results = await inTurns(contestants, this.#turns)
		const [without, withPogs] = [of(results, 'false'), of(results, 'true')]
		const added = difference(withPogs, without)
		this.rows.push({
			group: 'start',
			what: `${what}: added by a POG`,
			unit: 'ms',
			ours: added,
			peer: { name: 'a start without', summary: without },
			target: { atMost: TARGET_MS },
			note: `median and quartiles of ${this.#turns} pairs; ${without.median.toFixed(1)} ms without, ${withPogs.median.toFixed(1)} with: ${(withPogs.median / without.median).toFixed(2)}x`,
		})
	}

	skip(what: string, note: string): void {
		this.rows.push({ group: 'start', what, unit: 'ms', note })
	}
}

const byRuntime = async (starts: Starts, scratch: string, root: string, runDir: string): Promise<void> => {
	let serial = 0
	for (const runtime of ['runc', 'crun'] as const) {
		if (!(await has(runtime)) || !(await has('runc'))) {
			starts.skip(`${runtime} run`, `no ${runtime} here: test/runtimes/install-packages.sh gets it`)
			continue
		}
		const bundle = path.join(scratch, runtime)
		const text = await writeBundle(bundle, root, ['/bin/true'])
		const fresh = (): void => writeFileSync(path.join(bundle, 'config.json'), text)
		const commandOf = (pogs: boolean): string[] => runtimeCommand(runtime, runDir, pogs, path.join(scratch, 'state'))
		await starts.compare(`${runtime} run`, pogs => {
			fresh()
			return starts.timed([...commandOf(pogs), 'run', '--bundle', bundle, `s${++serial}`])
		})
		await starts.compare(`${runtime} create + start`, async pogs => {
			fresh()
			const [command, id] = [commandOf(pogs), `s${++serial}`]
			/* Its outputs must not be the pipes of who waits for it. */
			const both = '"$@" create --bundle "$0" "$ID" </dev/null >/dev/null 2>&1 && "$@" start "$ID"'
			const took = await starts.timed(['env', `ID=${id}`, 'sh', '-c', both, bundle, ...command])
			await run([...command, 'delete', '--force', id])
			return took
		})
	}
}

const byPodman = async (starts: Starts, scratch: string, root: string, runDir: string): Promise<void> => {
	if (!(await has('podman')))
		return starts.skip('podman run', 'no podman here: test/runtimes/install-packages.sh gets it')
	const conf = path.join(scratch, 'containers.conf')
	writeFileSync(
		conf,
		'[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
	)
	const wrapper = installWrapper(scratch, runDir)
	const places = ['--root', path.join(scratch, 'podman'), '--runroot', path.join(scratch, 'podman-run')]
	const podman = (pogs: boolean): string[] => [
		'env',
		`CONTAINERS_CONF=${conf}`,
		'podman',
		...places,
		'--runtime',
		pogs ? wrapper : 'runc',
	]
	try {
		await run(['sh', '-c', 'tar -C "$0" -c . | "$@"', root, ...podman(false), 'import', '-', 'pogs-start'])
		await starts.compare('podman run', pogs =>
			starts.timed([...podman(pogs), 'run', '--rm', '--network', 'none', 'pogs-start', '/bin/true']),
		)
	} catch (error) {
		starts.skip('podman run', `podman does not run here: ${String(error).slice(0, 160)}`)
	} finally {
		await run([...podman(false), 'rm', '-f', '-a']).catch(() => undefined)
		await run([...podman(false), 'rmi', '-f', '-a']).catch(() => undefined)
		await run(['umount', '-l', path.join(scratch, 'podman/overlay')]).catch(() => undefined)
	}
}

export const start: Case = {
	name: 'start',
	about: 'what a POG adds to the start of a container: runc, crun, Docker, Podman',
	run: async bench => {
		const timer = await build('time-runs')
		if (isMissing(timer)) return [{ group: 'start', what: 'start', unit: 'ms', note: timer.missing }]
		const scratch = mkdtempSync(path.join(SCRATCH, 'pogs-start-'))
		const starts = new Starts(bench, timer.path)
		const service = await Service.start(undefined)
		let docker: Docker | undefined
		try {
			const root = await busyboxRoot(path.join(scratch, 'root'))
			await byRuntime(starts, scratch, root, service.runDir)
			const found = await Docker.start(scratch, service.runDir, root)
			if (isMissing(found)) starts.skip('docker run', found.missing)
			else {
				docker = found
				await starts.compare('docker run', pogs => starts.timed(found.runs(pogs, ['--rm'], ['/bin/true'])))
			}
			await byPodman(starts, scratch, root, service.runDir)
			return starts.rows
		} finally {
			await docker?.stop()
			await service.stop()
			rmSync(scratch, { recursive: true, force: true })
		}
	},
}
