/**
 * Figure 6b: throughput of httpd and MariaDB with system logging on, into a POG and to a syslogd of the host.
 *
 * The containers of all contestants run at the same time and are loaded in turns, so that nothing but where the lines go differs.
 */
import path from 'node:path'
import { isMissing } from '../../harness/build.ts'
import { processorSeconds } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import type { Summary } from '../../harness/statistics.ts'
import { startSyslogPeer, type SyslogPeer, type SyslogPeerName } from '../../harness/syslog-peers.ts'
import { Bundles } from '../bundles.ts'
import type { Cell, Evaluation, EvaluationCase, Finding } from '../case.ts'
import { figure } from '../document.ts'
import { changePercent, inTurns, medianBounds, of, quartiles } from '../paired.ts'
import { hostRoot } from '../roots.ts'
import {
	configureApache,
	installMariadb,
	lackingFor,
	type Logging,
	startApache,
	startMariadb,
	type Workload,
} from '../workloads.ts'

const PEERS = ['busybox', 'rsyslog'] as const satisfies readonly SyslogPeerName[]
const POGS = 'POG'
const NONE = 'no logging'

/** What the paper says of its own POGs against the unchanged kernel. */
const PAPER = { httpd: -0.56, mariadb: -0.74 } as const
type Name = keyof typeof PAPER
const UNITS = { httpd: 'requests/s', mariadb: 'queries/s' } as const

/** Short turns, and many: what else the machine has to do changes over seconds. */
const LOAD = 3_000
const TURNS = 121

const percent = (change: Summary): string => {
	const [low, high] = medianBounds(change).map(figure)
	return `${change.median > 0 ? '+' : ''}${figure(change.median)} % (95 % certain: ${low} to ${high})`
}

interface Place {
	readonly bundles: Bundles
	readonly root: string
	readonly scratch: string
}

const start: Record<Name, (place: Place, name: string, logging: Logging) => Promise<Workload>> = {
	httpd: ({ bundles, root }, name, logging) => startApache(bundles, name, root, logging),
	mariadb: async ({ bundles, root, scratch }, name, logging) =>
		startMariadb(bundles, name, root, await installMariadb(path.join(scratch, 'mysql')), logging),
}

const measure = async (
	{ quick, say }: Evaluation,
	place: Place,
	service: Service,
	name: Name,
	peers: readonly SyslogPeer[],
): Promise<{ rows: Cell[][]; findings: Finding[]; notes: string[] }> => {
	const contestants: { name: string; workload: Workload; receiver: readonly number[]; usPerLine: number[] }[] = []
	for (const [at, [label, logging, receiver]] of [
		[POGS, 'pogs', await service.processes()] as const,
		[NONE, 'none', []] as const,
		...peers.map(peer => [peer.name, { devLog: peer.socket }, [peer.pid]] as const),
	].entries()) {
		const workload = await start[name](place, `${name}-${at}`, logging)
		contestants.push({ name: label, workload, receiver, usPerLine: [] })
	}
	const count = quick ? 500 : LOAD
	say(`${name}: warming up`)
	for (const { workload } of contestants) await workload.load(count)
	say(`${name}: in turns`)
	const ours = contestants[0]?.workload.name ?? ''
	const before = (await service.show(place.bundles.id(ours))).accepted.devlog
	const turns = quick ? 2 : TURNS
	const results = await inTurns(
		contestants.map(each => ({
			name: each.name,
			measure: async () => {
				const started = processorSeconds(each.receiver)
				const rate = await each.workload.load(count)
				each.usPerLine.push(((processorSeconds(each.receiver) - started) / count) * 1e6)
				return rate
			},
		})),
		turns,
	)
	const arrived = (await service.show(place.bundles.id(ours))).accepted.devlog - before
	const pogs = of(results, POGS)
	const rows = contestants.map(each => {
		const rate = of(results, each.name)
		const change = each.name === POGS ? '-' : changePercent(pogs, rate)
		return [name, each.name, UNITS[name], rate, change, each.name === NONE ? '-' : quartiles(each.usPerLine)]
	})
	const findings = peers.map(peer => {
		const change = changePercent(pogs, of(results, peer.name))
		return {
			what: `${name} throughput, logging to a POG instead of ${peer.name}`,
			paper: `${PAPER[name]} %`,
			target: `at least ${PAPER[name]} %`,
			ours: percent(change),
			holds: change.median >= PAPER[name],
		}
	})
	const lines = `${figure(arrived)} lines of ${figure(count * turns)} ${name === 'httpd' ? 'requests' : 'queries'} arrived in the POG`
	for (const { workload } of contestants) await place.bundles.remove(workload.name)
	return { rows, findings, notes: [`${name}: ${lines}.`] }
}

export const throughput: EvaluationCase = {
	name: 'throughput',
	title: 'Throughput with system logging on (Fig. 6b)',
	about:
		'The same container four times: its lines go to its POG, nowhere, or to a syslogd of the host by a bound `/dev/log`. httpd: `ab -c 16`, an access line for every request through `logger`. MariaDB: `mariadb-slap` with 4 clients and a fixed mix of five queries, an audit line for each by syslog(3).',
	run: async evaluation => {
		const { scratch } = evaluation
		const rows: Cell[][] = []
		const findings: Finding[] = []
		const notes = ['Client, server and log receiver share the two CPUs, as they share a host; nothing is pinned.']
		const service = await Service.start(undefined)
		const bundles = new Bundles(scratch, service.runDir)
		const peers: SyslogPeer[] = []
		try {
			const root = hostRoot(path.join(scratch, 'root'))
			configureApache(root)
			for (const key of PEERS) {
				const peer = await startSyslogPeer(key, undefined)
				if (isMissing(peer)) notes.push(`${key}: ${peer.missing}.`)
				else peers.push(peer)
			}
			for (const name of ['httpd', 'mariadb'] as const) {
				const lacking = await lackingFor(name)
				if (lacking !== undefined) {
					notes.push(`${name}: not measured, ${lacking}.`)
					continue
				}
				const measured = await measure(evaluation, { bundles, root, scratch }, service, name, peers)
				rows.push(...measured.rows)
				findings.push(...measured.findings)
				notes.push(...measured.notes)
			}
			return {
				findings,
				tables: [
					{
						title: 'Throughput, and what changes when the same lines go to a POG instead',
						columns: [
							'workload',
							'lines go to',
							'unit',
							'throughput',
							'a POG instead, %',
							'receiver, us of CPU a line',
						],
						rows,
					},
				],
				figures: [],
				notes,
			}
		} finally {
			await bundles.stop()
			for (const peer of peers) await peer.stop()
			await service.stop()
		}
	},
}
