/**
 * `make soak MINUTES=60`: everything at once against a service of its own, and whether what it holds grows.
 *
 * Samples go to a CSV file every few seconds, the curve to an SVG file (OUT=docs/soak). KILL=1 kills the engine now and then as well: what
 * the keeper holds must stay flat then. Exits 1 when something grows beyond its bound, fails, or is left behind.
 */
import { spawn } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from '../../src/control/client.ts'
import { TOP, until } from '../helpers/running.ts'
import { heldBy, mountsBelow, processesOf } from './sampler.ts'
import { type Bound, type Sample, sparkline, svgOf, trendOf } from './trend.ts'
import { runWorkloads } from './workloads.ts'

const SAMPLE_MS = 5000
const KILL_MS = 45_000
const RESIDENTS = 5
const MAX_TOLD = 20

const minutes = Number(process.env['MINUTES'] ?? 60)
const kills = process.env['KILL'] === '1'
const out = process.env['OUT'] ?? '/tmp/pogs-soak'

/** POGs come and go all the time, so a few of each are in every sample; what grows is what stays. */
const BOUNDS: readonly Bound[] = [
	{ series: 'engine RSS', unit: 'MiB', gain: 12, part: 0.08 },
	{ series: 'engine anonymous', unit: 'MiB', gain: 12, part: 0.08 },
	{ series: 'engine fds', unit: '', gain: 6, part: 0.05 },
	{ series: 'engine threads', unit: '', gain: 1, part: 0 },
	{ series: 'keeper RSS', unit: 'MiB', gain: 4, part: 0.08 },
	{ series: 'keeper fds', unit: '', gain: 6, part: 0.05 },
	{ series: 'mounts', unit: '', gain: 3, part: 0.05 },
	{ series: 'tmpfs', unit: 'MiB', gain: 2, part: 0.1 },
	{ series: 'processes', unit: '', gain: 1, part: 0 },
]

const directory = mkdtempSync('/tmp/pogs-soak-')
const runDir = join(directory, 'run')
mkdirSync(join(directory, 'etc'))
writeFileSync(join(directory, 'etc/pogs.conf'), 'retain = 30s\nretain-count = 5\n')
const shim = spawn(
	process.execPath,
	[join(TOP, 'dist/bin/pogshim.js'), '--run-dir', runDir, '--etc-dir', join(directory, 'etc')],
	{ detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
)
const group = shim.pid ?? -1
const log = `${out}.log`
writeFileSync(log, '')
for (const stream of [shim.stdout, shim.stderr]) stream.on('data', (piece: Buffer) => appendFileSync(log, piece))
let ended = false
shim.once('close', () => (ended = true))

const over = new AbortController()
setMaxListeners(0, over.signal)
const failures: string[] = []
function failed(what: string): void {
	failures.push(what)
	if (failures.length <= MAX_TOLD) process.stdout.write(`failed: ${what.replaceAll('\n', ' ')}\n`)
}

const client = new Client(runDir)
await until(
	'pogshim answers',
	async () => existsSync(join(runDir, 'api.sock')) && 'value' in (await client.call('describe', {})),
	30_000,
)
const residents = []
for (let n = 0; n < RESIDENTS; n++) {
	const made = await client.call('create', { body: { name: `resident-${n}`, quotaBytes: 4 << 20 } })
	if ('failure' in made) throw new Error(made.failure.message)
	residents.push(made.value)
}

const begin = Date.now()
const samples: Sample[] = []
const columns = BOUNDS.map(({ series }) => series)
writeFileSync(`${out}.csv`, `seconds,${columns.join(',')},records\n`)

async function sample(): Promise<void> {
	const service = await client.call('describe', {})
	const list = await client.call('list', {})
	if ('failure' in service || 'failure' in list) {
		if (!kills) failed('a sample: the service does not answer')
		return
	}
	const [engine, keeper] = [heldBy(service.value.engine.pid), heldBy(group)]
	const { mounts, tmpfsMiB } = mountsBelow(directory)
	const values: Record<string, number> = {
		'engine RSS': engine.rssMiB,
		'engine anonymous': engine.anonymousMiB,
		'engine fds': engine.fds,
		'engine threads': engine.threads,
		'keeper RSS': keeper.rssMiB,
		'keeper fds': keeper.fds,
		mounts,
		tmpfs: tmpfsMiB,
		processes: processesOf(group),
	}
	const records = list.value.reduce((sum, pog) => sum + pog.ring.nextSeq, 0)
	const atSeconds = (Date.now() - begin) / 1000
	samples.push({ atSeconds, ...values })
	appendFileSync(
		`${out}.csv`,
		`${[atSeconds, ...Object.values(values), records].map(v => Math.round(v * 10) / 10).join(',')}\n`,
	)
	if (samples.length % 12 === 0) {
		const told = columns.map(series => `${series} ${Math.round(values[series] ?? 0)}`).join(', ')
		process.stdout.write(`${Math.round(atSeconds / 60)} min: ${told}; ${failures.length} failed\n`)
	}
}

const working = runWorkloads({
	runDir,
	client,
	residents,
	over: over.signal,
	failed: what => (kills ? undefined : failed(what)),
})
const end = begin + minutes * 60_000
let killedAt = begin
let killed = 0
while (Date.now() < end && !ended) {
	await delay(SAMPLE_MS)
	await sample()
	if (!kills || Date.now() - killedAt < KILL_MS) continue
	const service = await client.call('describe', {})
	if ('failure' in service) continue
	process.kill(service.value.engine.pid, 'SIGKILL')
	killedAt = Date.now()
	killed++
}
if (ended) failed('pogshim ended by itself')
over.abort()
const turns = await working

// A killed engine begins anew: its memory is no curve.
const bounds = BOUNDS.filter(
	({ series }) => !kills || (!series.startsWith('engine R') && !series.startsWith('engine a')),
)
const trends = bounds.map(bound => trendOf(samples, bound))
process.stdout.write(
	`\n${samples.length} samples in ${Math.round((Date.now() - begin) / 60_000)} minutes${kills ? `, the engine killed ${killed} times` : ''}\n`,
)
process.stdout.write(
	`turns: ${Object.entries(turns)
		.map(([name, n]) => `${name} ${n}`)
		.join(', ')}\n`,
)
for (const { series, unit, least, median, most, gained, allowed, grows } of trends) {
	const figures = [least, median, most].map(value => value.toFixed(0)).join(' / ')
	process.stdout.write(
		`${series.padEnd(18)}${sparkline(samples, series)}  ${figures} ${unit}, gained ${gained.toFixed(1)} of ${allowed.toFixed(1)} allowed${grows ? '  GROWS' : ''}\n`,
	)
}
writeFileSync(`${out}.svg`, svgOf(samples, trends))

if (!ended) process.kill(group, 'SIGTERM')
await until('pogshim ends', () => ended, 60_000).catch(() => failed('pogshim does not end on SIGTERM'))
await until('its processes end', () => processesOf(group) === 0, 10_000).catch(() => failed('processes are left'))
const left = mountsBelow(directory).mounts
if (left > 0) failed(`${left} mounts are left`)
else rmSync(directory, { recursive: true, force: true })
const errors = readFileSync(log, 'utf8')
	.split('\n')
	.filter(line => / error /.test(line))
for (const line of errors.slice(0, MAX_TOLD)) process.stdout.write(`said: ${line}\n`)
if (!kills && errors.length > 0) failed(`${errors.length} errors in its log`)
const growing = trends.filter(({ grows }) => grows).map(({ series }) => series)
process.stdout.write(
	growing.length + failures.length === 0
		? 'flat\n'
		: `${growing.join(', ') || 'nothing'} grows, ${failures.length} failed\n`,
)
process.exit(growing.length + failures.length === 0 ? 0 : 1)
