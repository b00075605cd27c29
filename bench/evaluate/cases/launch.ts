/**
 * Figure 6a: what a POG adds to the start of a container, and to its memory.
 *
 * The starts are those of `make bench` (cases/start.ts). Memory is what the service grows by for each container that runs, and the container's own cgroup.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { memory } from '../../cases/memory.ts'
import { start } from '../../cases/start.ts'
import type { Bench } from '../../harness/case.ts'
import { residentKb, warmedUp } from '../../harness/resident.ts'
import { Service } from '../../harness/service.ts'
import { type Summary, summarise } from '../../harness/statistics.ts'
import { Bundles } from '../bundles.ts'
import type { Cell, Evaluation, EvaluationCase, Finding, Outcome } from '../case.ts'
import { figure } from '../document.ts'
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

/** What the containers' cgroups hold, and the service for each of them, in KB. */
const inContainers = async (
	evaluation: Evaluation,
	bundles: Bundles,
	service: Service,
	root: string,
): Promise<Cell[][]> => {
	const count = evaluation.quick ? 4 : 64
	/* What the first ones leave behind is the service's warming up. */
	for (let at = 0; at < count / 4; at++)
		await bundles.start({ name: `first-${at}`, root, args: ['/bin/sleep', '1000'], pogs: true })
	await bundles.stop()
	await warmedUp(service)
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
		'The whole run of a command that ends at once, from the call of the runtime to its exit, with a POG (through `pogs-runc`) and without, in turns; then containers that stay, for memory.',
	run: async evaluation => {
		const { scratch, quick, say } = evaluation
		const bench: Bench = { repeats: 1, server: undefined, placements: [], say }
		const findings: Finding[] = []
		const notes: string[] = []
		const starts: Cell[][] = []
		const service = await Service.start(undefined, [], 'retain-count = 0\n')
		const bundles = new Bundles(scratch, service.runDir)
		try {
			const root = await busyboxRoot(path.join(scratch, 'root'))
			for (const { what, ours: added, peer, note } of await start.run({ ...bench, repeats: quick ? 1 : 5, quick })) {
				if (added === undefined || peer === undefined) {
					notes.push(`${what}: not measured, ${note}.`)
					continue
				}
				const percent = (added.median / peer.summary.median) * 100
				starts.push([what.replace(': added by a POG', ''), peer.summary, added, percent])
				if (/^(?:runc|docker) run/.test(what))
					findings.push({
						what,
						paper: what.startsWith('docker') ? '+1.1 %' : '-',
						target: `at most ${TARGET_MS} ms`,
						ours: `${ms(added)}, ${figure(percent)} %`,
						holds: added.median <= TARGET_MS,
					})
			}
			say('memory')
			const kept = await inContainers(evaluation, bundles, service, root)
			const idle = quick ? [] : await memory.run(bench)
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
						columns: ['run', 'without', 'added by a POG', 'change, %'],
						rows: starts,
					},
					{ title: 'Memory, KB', columns: ['what', 'without', 'with POGs'], rows: kept },
				],
				figures: [],
				notes,
			} satisfies Outcome
		} finally {
			await bundles.stop()
			await service.stop()
		}
	},
}
