/**
 * Figure 6a: what a POG adds to the start of a container, and to its memory.
 *
 * A start is the time of a whole `runc run` or `docker run` of a command that ends at once, process start and removal included, as a
 * user waits for it. Memory is what the service grows by for each container that runs, and the container's own cgroup.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { build, isMissing } from '../../harness/build.ts'
import { memory } from '../../cases/memory.ts'
import { run } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import { type Contestant, type Summary, summarise } from '../../harness/statistics.ts'
import { Bundles } from '../bundles.ts'
import type { Cell, Evaluation, EvaluationCase, Finding, Outcome } from '../case.ts'
import { Docker } from '../docker.ts'
import { figure } from '../document.ts'
import { changePercent, difference, inTurns, of } from '../paired.ts'
import { residentKb } from '../resident.ts'
import { busyboxRoot } from '../roots.ts'

const TARGET_MS = 5
const TARGET_KB = 40

const ms = (value: Summary): string => `${figure(value.median)} ms (${figure(value.min)} to ${figure(value.max)})`

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

const compare = async (
	name: string,
	turns: number,
	measure: (pogs: boolean) => Promise<number>,
): Promise<{ row: Cell[]; added: Summary; percent: Summary }> => {
	const contestants: Contestant[] = [false, true].map(pogs => ({ name: String(pogs), measure: () => measure(pogs) }))
	for (const each of contestants) await each.measure()
	const results = await inTurns(contestants, turns)
	const [without, withPogs] = [of(results, 'false'), of(results, 'true')]
	const [added, percent] = [difference(withPogs, without), changePercent(withPogs, without)]
	return { row: [name, without, withPogs, added, percent], added, percent }
}

/** What the containers' cgroups hold, and the service for each of them, in KB. */
const inContainers = async (
	evaluation: Evaluation,
	bundles: Bundles,
	service: Service,
	root: string,
): Promise<Cell[][]> => {
	const count = evaluation.quick ? 4 : 64
	const before = await residentKb(service)
	const cgroups: Record<'with' | 'without', number[]> = { with: [], without: [] }
	for (let at = 0; at < count; at++)
		for (const pogs of [true, false]) {
			const { pid } = await bundles.start({ name: `idle-${at}-${pogs}`, root, args: ['/bin/sleep', '1000'], pogs })
			cgroups[pogs ? 'with' : 'without'].push(charged(pid) / 1e3)
		}
	const grown = (await residentKb(service)) - before
	await bundles.stop()
	return [
		[`service, resident, each of ${count} running containers`, 0, grown / count],
		[
			`cgroup of a container (its ring of 256 KiB is charged to it)`,
			summarise(cgroups.without),
			summarise(cgroups.with),
		],
	]
}

export const launch: EvaluationCase = {
	name: 'launch',
	title: 'Start and memory of a container (Fig. 6a)',
	about:
		'`runc run` and `docker run` of a command that ends at once, with a POG (through `pogs-runc`) and without, in turns; then containers that stay, for memory.',
	run: async evaluation => {
		const runs = await build('time-runs')
		if (isMissing(runs)) throw new Error(runs.missing)
		const { scratch, quick, say } = evaluation
		const findings: Finding[] = []
		const notes: string[] = []
		const starts: Cell[][] = []
		const service = await Service.start(undefined, [], 'retain-count = 0\n')
		const bundles = new Bundles(scratch, service.runDir)
		let docker: Docker | undefined
		try {
			const root = await busyboxRoot(path.join(scratch, 'root'))
			const timed = async (command: readonly string[]): Promise<number> =>
				Number((await run([runs.path, '1', ...command])).stdout)
			const add = async (name: string, turns: number, paper: string, measure: (pogs: boolean) => Promise<number>) => {
				say(name)
				const { row, added, percent } = await compare(name, turns, measure)
				starts.push(row)
				findings.push({
					what: `${name}: added to a start`,
					paper,
					target: `at most ${TARGET_MS} ms`,
					ours: `${ms(added)}, ${percent.median > 0 ? '+' : ''}${figure(percent.median)} %`,
					holds: added.median <= TARGET_MS,
				})
			}
			await add('runc run', quick ? 3 : 101, '-', async pogs => {
				/* A bundle is prepared once in its life, as engines do it. */
				const name = `true-${pogs}`
				await bundles.prepare({ name, root, args: ['/bin/true'], pogs })
				return timed(bundles.command(name, pogs))
			})
			const found = await Docker.start(scratch, service.runDir, root)
			if (isMissing(found)) notes.push(`docker run: not measured, ${found.missing}.`)
			else {
				docker = found
				await add('docker run', quick ? 2 : 41, '+1.1 %', pogs => timed(found.runs(pogs, ['--rm'], ['/bin/true'])))
			}
			say('memory')
			const kept = await inContainers(evaluation, bundles, service, root)
			const idle = quick ? [] : await memory.run({ repeats: 1, server: undefined, placements: [], say })
			for (const { what, unit, ours } of idle) if (unit === 'KB') kept.push([`service: ${what}`, 0, ours ?? '-'])
			const each = idle.find(({ what, unit }) => unit === 'KB' && what.startsWith('resident'))?.ours
			if (each !== undefined)
				findings.push({
					what: 'memory for a container',
					paper: '+0.04 MB',
					target: `at most ${TARGET_KB} KB`,
					ours: `${figure(each.median)} KB in the service (ring aside)`,
					holds: each.median <= TARGET_KB,
				})
			return {
				findings,
				tables: [
					{
						title: 'Time of a whole run, ms',
						columns: ['run', 'without', 'with a POG', 'added', 'change, %'],
						rows: starts,
					},
					{ title: 'Memory, KB', columns: ['what', 'without', 'with POGs'], rows: kept },
				],
				figures: [],
				notes,
			} satisfies Outcome
		} finally {
			await docker?.stop()
			await bundles.stop()
			await service.stop()
		}
	},
}
