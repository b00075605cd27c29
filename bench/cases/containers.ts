/**
 * 1,024 containers at once, started eight at a time: each writes to its own log and reads it, and must find nothing of another. With
 * POGs and without, by crun and by runc.
 *
 * Source of truth: /proc/PID/status of the service and of the containers, /proc/meminfo. What a container wrote is read from the host,
 * out of its own `/tmp` on the shared root: its number, then all lines of its log that are anybody's.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { busyboxRoot } from '../evaluate/roots.ts'
import type { Bench, Case } from '../harness/case.ts'
import { run, until } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import { summarise } from '../harness/statistics.ts'
import type { Row } from '../harness/table.ts'
import { runtimeCommand, writeBundle } from './start.ts'

const CONTAINERS = Number(process.env['POGS_BENCH_CONTAINERS'] ?? 1024)
/** `POGS_BENCH_RUNTIMES=crun` for that one alone. */
const RUNTIMES = (['crun', 'runc'] as const).filter(name =>
	(process.env['POGS_BENCH_RUNTIMES'] ?? 'crun,runc').split(',').includes(name),
)
const AT_ONCE = 8
const RING = '64k'
const SCRATCH = '/dev/shm'

/** Says who it is in its log, leaves what it reads there for us, and stays. */
const PROGRAM = `logger -t canary "canary-$ME-"
n=0
until grep -q canary /var/log/messages || [ $n -gt 100 ]; do n=$((n + 1)); sleep 0.1; done
grep -h canary- /var/log/* >/out/$ME.part; mv /out/$ME.part /out/$ME
exec sleep 100000`

const memoryKb = (text: string, field: string): number =>
	Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0)

const meminfo = (): { available: number; slab: number } => {
	const text = readFileSync('/proc/meminfo', 'latin1')
	return { available: memoryKb(text, 'MemAvailable'), slab: memoryKb(text, 'Slab') }
}

/** Bytes that the memory cgroup of a process is charged. */
const charged = (pid: number): number => {
	const line = readFileSync(`/proc/${pid}/cgroup`, 'latin1')
		.split('\n')
		.find(each => /:memory:|^0::/.test(each))
	const place = line?.split(':')[2] ?? ''
	for (const file of [`/sys/fs/cgroup/memory${place}/memory.usage_in_bytes`, `/sys/fs/cgroup${place}/memory.current`])
		if (existsSync(file)) return Number(readFileSync(file, 'latin1'))
	return Number.NaN
}

interface Outcome {
	readonly seconds: number
	readonly endSeconds: number
	/** What is no longer available, KB for each. */
	readonly usedKb: number
	/** What the memory cgroup of one is charged, its ring included. */
	readonly chargedKb: number
	readonly serviceKb: number
	readonly descriptors: number
}

class Crowd {
	readonly #scratch: string
	readonly #service: Service
	readonly #root: string
	readonly #runtime: 'runc' | 'crun'
	readonly #pogs: boolean

	constructor(scratch: string, service: Service, root: string, runtime: 'runc' | 'crun', pogs: boolean) {
		this.#scratch = path.join(scratch, `${runtime}-${pogs}`)
		this.#service = service
		this.#root = root
		this.#runtime = runtime
		this.#pogs = pogs
		mkdirSync(path.join(this.#scratch, 'out'), { recursive: true })
	}

	get #command(): string[] {
		return runtimeCommand(this.#runtime, this.#service.runDir, this.#pogs, path.join(this.#scratch, 'state'))
	}

	#id(at: number): string {
		return `c${process.pid}-${this.#runtime}-${at}`
	}

	async #each(act: (at: number) => Promise<void>): Promise<void> {
		let next = 0
		const worker = async (): Promise<void> => {
			for (let at = next++; at < CONTAINERS; at = next++) await act(at)
		}
		await Promise.all(Array.from({ length: AT_ONCE }, worker))
	}

	async #prepare(): Promise<void> {
		// Without a POG there is no log to write to or to read: only to stay is the same.
		const program = this.#pogs ? PROGRAM : ': >/out/$ME; exec sleep 100000'
		const text = await writeBundle(path.join(this.#scratch, 'template'), this.#root, ['/bin/sh', '-c', program])
		for (let at = 0; at < CONTAINERS; at++) {
			const config = JSON.parse(text) as {
				process: { env: string[] }
				mounts: object[]
				annotations?: object
			}
			config.process.env.push(`ME=${at}`)
			config.mounts.push({
				destination: '/out',
				type: 'bind',
				source: path.join(this.#scratch, 'out'),
				options: ['bind'],
			})
			config.annotations = { 'pogs.ring': RING }
			const bundle = path.join(this.#scratch, `${at}`)
			mkdirSync(bundle)
			writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config))
		}
	}

	async run(): Promise<Outcome> {
		await this.#prepare()
		const before = { ...meminfo(), service: await this.#serviceKb() }
		const begun = performance.now()
		/* Containers outlive who started them: a run that is broken off takes them along. */
		let broken = false
		const breakOff = (): void => {
			broken = true
		}
		process.once('SIGTERM', breakOff).once('SIGINT', breakOff)
		try {
			await this.#each(async at => {
				if (broken) throw new Error('broken off')
				const bundle = path.join(this.#scratch, `${at}`)
				const words = ['run', '--detach', '--pid-file', `${bundle}/pid`, '--bundle', bundle, this.#id(at)]
				await run(['sh', '-c', 'exec "$@" </dev/null >/dev/null 2>"$0"', `${bundle}/said`, ...this.#command, ...words])
			})
			const out = path.join(this.#scratch, 'out')
			const done = (): number => readdirSync(out).filter(name => /^\d+$/.test(name)).length
			await until('every container has read its log', () => done() === CONTAINERS, 120_000, 100)
			const seconds = (performance.now() - begun) / 1000
			if (this.#pogs) {
				for (let at = 0; at < CONTAINERS; at++) {
					const lines = readFileSync(path.join(out, `${at}`), 'utf8')
						.trim()
						.split('\n')
					const own = lines.filter(line => line.endsWith(`canary-${at}-`))
					if (own.length === 0 || own.length !== lines.length)
						throw new Error(`container ${at} reads ${lines.join('; ')}`)
				}
			}
			const after = { ...meminfo(), service: await this.#serviceKb() }
			const chargedKb = this.#chargedKb()
			const descriptors = readdirSync(`/proc/${await this.#service.engine()}/fd`).length
			const ending = performance.now()
			await this.#end()
			return {
				seconds,
				endSeconds: (performance.now() - ending) / 1000,
				chargedKb,
				usedKb: (before.available - after.available) / CONTAINERS,
				serviceKb: (after.service - before.service) / CONTAINERS,
				descriptors,
			}
		} catch (error) {
			await this.#end()
			throw error
		} finally {
			process.off('SIGTERM', breakOff).off('SIGINT', breakOff)
		}
	}

	/** The median of the first ones. */
	#chargedKb(): number {
		const pids = Array.from({ length: Math.min(CONTAINERS, 101) }, (_, at) =>
			Number(readFileSync(path.join(this.#scratch, `${at}/pid`), 'latin1')),
		)
		return summarise(pids.map(charged)).median / 1024
	}

	async #end(): Promise<void> {
		await this.#each(async at => {
			await run([...this.#command, 'delete', '--force', this.#id(at)]).catch(() => undefined)
		})
	}

	async #serviceKb(): Promise<number> {
		let total = 0
		for (const pid of await this.#service.processes()) {
			const text = readFileSync(`/proc/${pid}/status`, 'latin1')
			total += memoryKb(text, 'RssAnon') + memoryKb(text, 'RssFile')
		}
		return total
	}
}

const rowsOf = (runtime: string, without: Outcome, withPogs: Outcome): Row[] => {
	const row = (what: string, unit: string, ours: number, peer: number, note?: string): Row => ({
		group: 'containers',
		what: `${CONTAINERS} of ${runtime}: ${what}`,
		unit,
		ours: summarise([ours]),
		peer: { name: 'without', summary: summarise([peer]) },
		ratio: ours / peer,
		...(note === undefined ? {} : { note }),
	})
	return [
		row(
			'until each has its log',
			's',
			withPogs.seconds,
			without.seconds,
			`${AT_ONCE} at a time; each reads its own line only`,
		),
		row('ended', 's', withPogs.endSeconds, without.endSeconds),
		row('charged to each', 'KB', withPogs.chargedKb * 1.024, without.chargedKb * 1.024, `its ring of ${RING} is in it`),
		row('memory, each', 'KB', withPogs.usedKb * 1.024, without.usedKb * 1.024, 'what the whole machine has less'),
		{
			group: 'containers',
			what: `${CONTAINERS} of ${runtime}: service, each`,
			unit: 'KB',
			ours: summarise([withPogs.serviceKb * 1.024]),
			note: `resident, rings aside; ${withPogs.descriptors} descriptors in all`,
		},
	]
}

export const containers: Case = {
	name: 'containers',
	about: `${CONTAINERS} containers at once, each with its own log, and without`,
	run: async (bench: Bench) => {
		const scratch = mkdtempSync(path.join(SCRATCH, 'pogs-containers-'))
		const rows: Row[] = []
		try {
			const root = await busyboxRoot(path.join(scratch, 'root'))
			for (const runtime of RUNTIMES) {
				if ((await run(['sh', '-c', `command -v ${runtime}`]).catch(() => undefined)) === undefined) {
					rows.push({ group: 'containers', what: runtime, unit: 's', note: `no ${runtime} here` })
					continue
				}
				const outcomes: Outcome[] = []
				for (const pogs of [false, true]) {
					bench.say(`${CONTAINERS} of ${runtime} ${pogs ? 'with POGs' : 'without'}`)
					const service = await Service.start(undefined, [], 'retain-count = 0\n')
					try {
						const outcome = await new Crowd(scratch, service, root, runtime, pogs).run()
						bench.say(
							JSON.stringify(outcome, (_, value: unknown) =>
								typeof value === 'number' ? Number(value.toFixed(1)) : value,
							),
						)
						outcomes.push(outcome)
					} finally {
						await service.stop()
					}
				}
				const [without, withPogs] = outcomes
				if (without !== undefined && withPogs !== undefined) rows.push(...rowsOf(runtime, without, withPogs))
			}
			return rows
		} finally {
			rmSync(scratch, { recursive: true, force: true })
		}
	},
}
