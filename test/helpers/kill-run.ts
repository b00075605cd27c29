/**
 * Kills the engine again and again under load, and finds out whether anybody noticed: no call failed, no line is missing, double or
 * out of order. The load is `fixtures/programs/kill-load.py`.
 */
import type { Service } from './service.ts'
import { startService } from './service.ts'
import { startLoad } from './start-load.ts'
import { fixtureProgram, PYTHON, type Running, start, TOP, until } from './programs.ts'

export interface KillRun {
	readonly kills: number
	readonly pogs: number
	/** Between an engine's first answer and its end, in milliseconds: a random time up to this. */
	readonly lifeMs: number
	/** Containers whose syslog(2) calls are part of it, started by `pogctl run`. */
	readonly containers: number
	/** The runtime that containers are started with one after the other; none when left out. */
	readonly starts?: string | undefined
	readonly say?: (text: string) => void
}

export interface KillOutcome {
	readonly kills: number
	/** Lines and operations of all loads. */
	readonly done: number
	readonly faults: readonly string[]
	/** Containers that were started, each with a log of its own. */
	readonly started: number
	/** For each kill: the longest call of a 1 kHz writer that was under way then or followed until the next, in milliseconds. */
	readonly pausesMs: readonly number[]
	/** Its longest call in each of some windows before the first kill. */
	readonly calmMs: readonly number[]
	/** Of these, those after an engine that had served for two seconds, and those after one that had just begun. */
	readonly settledMs: readonly number[]
	readonly quickMs: readonly number[]
	/** Where the time went, in milliseconds after the engine's death was noticed; by phase, one for each engine that took over. */
	readonly phasesMs: Readonly<Record<string, readonly number[]>>
	readonly said: string
}

interface Load {
	readonly name: string
	readonly running: Running
}

interface Result {
	readonly done: number
	/** Calls that took long: when each began (CLOCK_MONOTONIC) and what it took. */
	readonly pausesMs: readonly (readonly [number, number])[]
	readonly faults: string[]
}

const ROLES = ['kw', 'lw', 'rw', 'cw', 'read-kmsg', 'poll-kmsg', 'read-proc', 'follow', 'app', 'conf']
const FEWER_ROLES = ['kw', 'lw', 'rw', 'cw', 'read-kmsg', 'read-proc', 'follow', 'app', 'rotate']
const CONF = '*.* /var/log/messages\nlocal7.* /var/log/other\n'
const RING_BYTES = 4 << 20
const SETTLED_MS = 2_000
const CALM_WINDOWS = 10
const CALM_MS = 1_000
const TOLD_FROM_MS = 20
const PROMISED_MS = 300
const DRAINED_WITHIN_MS = 90_000

/** Runs it. The numbers are what was seen; nothing is thrown for a fault. */
export async function killRun({
	kills,
	pogs,
	lifeMs,
	containers,
	starts,
	say = () => {},
}: KillRun): Promise<KillOutcome> {
	const service = await startService()
	const loads: Load[] = []
	try {
		for (let n = 0; n < pogs; n++) {
			const pog = await service.create(`load${n}`, { conf: CONF, ringBytes: RING_BYTES })
			const mount = pog.paths.varLog.replace(/\/var\/log$/, '')
			for (const role of n % 2 === 0 ? ROLES : FEWER_ROLES)
				loads.push(load(role, `${pog.name} ${role}`, mount, pog.paths.devLog))
		}
		const probed = await service.create('probe', { conf: CONF, ringBytes: RING_BYTES })
		const mount = probed.paths.varLog.replace(/\/var\/log$/, '')
		loads.push(load('kp', 'probe', mount, probed.paths.devLog))
		for (let n = 0; n < containers; n++) loads.push(contained(service, `box${n}`))
		await Promise.all(
			loads.map(({ running, name }) => running.printed(`${name} is ready`, out => out.includes('ready'), 60_000)),
		)
		const starting = starts === undefined ? undefined : startLoad(service, starts)
		const calmFromMs: number[] = []
		for (let window = 0; window <= CALM_WINDOWS; window++) {
			calmFromMs.push(monotonicMs())
			if (window < CALM_WINDOWS) await sleep(CALM_MS)
		}
		const killedAtMs: number[] = []
		for (let kill = 1; kill <= kills; kill++) {
			// Every other one is killed while the next one is still loading.
			await sleep(50 + Math.random() * lifeMs + (kill % 2 === 0 ? SETTLED_MS : 0))
			const engine = await engineOf(service)
			killedAtMs.push(monotonicMs())
			process.kill(engine, 'SIGKILL')
			await until('another engine answers', async () => (await engineOf(service)) !== engine, 20_000)
			if (kill % 10 === 0) say(`${kill} of ${kills} kills`)
		}
		await sleep(500)
		const started = (await starting?.end()) ?? { done: 0, faults: [] }
		for (const { running } of loads) running.child.stdin?.end()
		const results = await Promise.all(loads.map(resultOf))
		const prober = results.at(-1 - containers)
		const calls = prober?.pausesMs ?? []
		const pausesMs = pauseOfEach(killedAtMs, calls)
		return {
			kills,
			done: results.reduce((sum, { done }) => sum + done, 0),
			faults: [...results.flatMap(({ faults }) => faults), ...started.faults],
			started: started.done,
			pausesMs,
			calmMs: pauseOfEach(calmFromMs, calls).slice(0, CALM_WINDOWS),
			settledMs: pausesMs.filter((_, i) => i % 2 === 1),
			quickMs: pausesMs.filter((_, i) => i % 2 === 0),
			phasesMs: phasesIn(service.said()),
			said: service.said(),
		}
	} finally {
		for (const { running } of loads) await running.stop('SIGKILL')
		await service.stop()
	}
}

/** As Python's time.monotonic(). */
function monotonicMs(): number {
	return Number(process.hrtime.bigint()) / 1e6
}

/** Calls shorter than what the prober tells count as 20 ms. */
function pauseOfEach(killedAtMs: readonly number[], calls: Result['pausesMs']): number[] {
	return killedAtMs.map((at, i) => {
		const until = killedAtMs[i + 1] ?? Number.POSITIVE_INFINITY
		const concerned = calls.filter(([began, took]) => began < until && began + took > at)
		return Math.max(TOLD_FROM_MS, ...concerned.map(([, took]) => took))
	})
}

/** From the line that each engine says when it has taken over. */
function phasesIn(said: string): Record<string, number[]> {
	const phases: Record<string, number[]> = {}
	for (const [line] of said.matchAll(/took over .*/g)) {
		for (const [, name = '', ms] of line.matchAll(/(\w+)-ms=([\d.]+)/g)) (phases[name] ??= []).push(Number(ms))
	}
	return phases
}

function load(role: string, name: string, mount: string, devLog: string): Load {
	return { name, running: start(PYTHON, [fixtureProgram('kill-load.py'), role, mount, devLog]) }
}

/** The load that makes system calls: in a container, where /dev/kmsg is the POG's. */
function contained({ runDir }: Service, name: string): Load {
	const program = [PYTHON, fixtureProgram('kill-load.py'), 'syslog', '/', '/dev/log']
	const pogctl = [`${TOP}dist/bin/pogctl.js`, '--run-dir', runDir, 'run', '--name', name, '--', ...program]
	return { name, running: start(process.execPath, pogctl) }
}

async function resultOf({ name, running }: Load): Promise<Result> {
	const { stdout, stderr, timedOut } = await running.ended(DRAINED_WITHIN_MS)
	const line = stdout.split('\n').find(text => text.startsWith('{'))
	if (line === undefined) {
		const why = timedOut ? 'hangs' : 'ended without a result'
		return { done: 0, pausesMs: [], faults: [`${name} ${why}: ${stderr.slice(-300)}`] }
	}
	const result = JSON.parse(line) as Result
	return { ...result, faults: result.faults.map(fault => `${name}: ${fault}`) }
}

async function engineOf(service: Service): Promise<number> {
	const described = await service.describe().catch(() => undefined)
	return described?.engine.pid ?? (await sleep(10), engineOf(service))
}

function sleep(ms: number): Promise<void> {
	return new Promise(resolve => setTimeout(resolve, ms))
}

/** A line: the median, the slow ones, the slowest. */
export function distribution(what: string, ms: readonly number[]): string {
	const [p50, p90, p99] = [0.5, 0.9, 0.99].map(share => quantile(ms, share))
	const within = ms.filter(each => each <= PROMISED_MS).length
	return `${what} (${ms.length}): median ${p50} ms, p90 ${p90}, p99 ${p99}, max ${Math.max(0, ...ms)}; ${within} within ${PROMISED_MS} ms`
}

/** The value that this share of the sorted values is not above. */
function quantile(values: readonly number[], share: number): number {
	const sorted = [...values].sort((a, b) => a - b)
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
