/**
 * Kills the engine again and again under load, and finds out whether anybody noticed: no call failed, no line is missing, double or
 * out of order. The load is `fixtures/programs/kill-load.py`.
 */
import type { Service } from './service.ts'
import { startService } from './service.ts'
import { fixtureProgram, PYTHON, type Running, start, TOP, until } from './programs.ts'

export interface KillRun {
	readonly kills: number
	readonly pogs: number
	/** Between an engine's first answer and its end, in milliseconds: a random time up to this. */
	readonly lifeMs: number
	/** Containers whose syslog(2) calls are part of it, started by `pogctl run`. */
	readonly containers: number
	readonly say?: (text: string) => void
}

export interface KillOutcome {
	readonly kills: number
	/** Lines and operations of all loads. */
	readonly done: number
	readonly faults: readonly string[]
	/** The longest call of a 1 kHz writer around each kill, in milliseconds. */
	readonly pausesMs: readonly number[]
	readonly said: string
}

interface Load {
	readonly name: string
	readonly running: Running
}

interface Result {
	readonly done: number
	readonly pausesMs: number[]
	readonly faults: string[]
}

const ROLES = ['kw', 'lw', 'rw', 'cw', 'read-kmsg', 'poll-kmsg', 'read-proc', 'follow', 'app', 'conf']
const FEWER_ROLES = ['kw', 'lw', 'rw', 'cw', 'read-kmsg', 'read-proc', 'follow', 'app', 'rotate']
const CONF = '*.* /var/log/messages\nlocal7.* /var/log/other\n'
const RING_BYTES = 4 << 20
const SETTLED_MS = 1_500
const DRAINED_WITHIN_MS = 90_000

/** Runs it. The numbers are what was seen; nothing is thrown for a fault. */
export async function killRun({ kills, pogs, lifeMs, containers, say = () => {} }: KillRun): Promise<KillOutcome> {
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
		for (let kill = 1; kill <= kills; kill++) {
			// The keeper waits longer and longer for engines that die young: one in four settles.
			await sleep(50 + Math.random() * lifeMs + (kill % 4 === 0 ? SETTLED_MS : 0))
			const engine = await engineOf(service)
			process.kill(engine, 'SIGKILL')
			await until('another engine answers', async () => (await engineOf(service)) !== engine, 20_000)
			if (kill % 10 === 0) say(`${kill} of ${kills} kills`)
		}
		await sleep(500)
		for (const { running } of loads) running.child.stdin?.end()
		const results = await Promise.all(loads.map(resultOf))
		const prober = results.at(-1 - containers)
		return {
			kills,
			done: results.reduce((sum, { done }) => sum + done, 0),
			faults: results.flatMap(({ faults }) => faults),
			pausesMs: prober?.pausesMs ?? [],
			said: service.said(),
		}
	} finally {
		for (const { running } of loads) await running.stop('SIGKILL')
		await service.stop()
	}
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

/** The value that this share of the sorted values is not above. */
export function quantile(values: readonly number[], share: number): number {
	const sorted = [...values].sort((a, b) => a - b)
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
