/**
 * Figures 4 and 5: analysing the logs of 1 to 16 containers, from one shared log and from POGs: how long, and how much is found.
 *
 * Each container is made to log events that are known: numbered requests or queries of four kinds. Then its log is retrieved and
 * parsed by Drain. An event is right when its line is there and its group holds mostly lines of the same kind. The shared log is a
 * ring in memory of the size of the kernel's; each POG has a ring of that size. Lines carry their container's name as the program,
 * which is how a shared log can be searched at all.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMissing } from '../../harness/build.ts'
import { run } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import { type Summary, summarise } from '../../harness/statistics.ts'
import { startSyslogPeer, type SyslogPeer } from '../../harness/syslog-peers.ts'
import { Bundles } from '../bundles.ts'
import type { Cell, Evaluation, EvaluationCase, Figure, Finding, Point } from '../case.ts'
import { figure } from '../document.ts'
import { Drain } from '../drain.ts'
import { changePercent, inTurns, of } from '../paired.ts'
import { hostRoot } from '../roots.ts'
import {
	configureApache,
	installMariadb,
	lackingFor,
	type Logging,
	mariadb,
	startApache,
	startMariadb,
	type Workload,
} from '../workloads.ts'

const COUNTS = [1, 2, 4, 8, 16] as const
const RING_KB = 128
const EVENTS = 700
const NAMES = ['httpd', 'mariadb'] as const
type Name = (typeof NAMES)[number]

/** One kind of event for each: how it is caused, by its id. */
const KINDS: Record<Name, readonly ((id: string) => string)[]> = {
	httpd: [
		id => `url = "http://127.0.0.1/index.html?id=${id}"\nnext`,
		id => `url = "http://127.0.0.1/missing?id=${id}"\nnext`,
		id => `head\nurl = "http://127.0.0.1/index.html?id=${id}"\nnext`,
		id => `data = "x"\nurl = "http://127.0.0.1/index.html?id=${id}"\nnext`,
	],
	mariadb: [
		id => `SELECT n FROM mix.item WHERE name = '${id}';`,
		id => `INSERT INTO mix.item (name, n) VALUES ('${id}', 7);`,
		id => `UPDATE mix.item SET n = n + 1 WHERE name = '${id}';`,
		id => `DELETE FROM mix.item WHERE name = '${id}';`,
	],
}

/** Event n of a round, in every container: its kind follows from its number. */
const idOf = (round: string, at: number): string => `ev${round}x${String(at).padStart(5, '0')}`
const kindOf = (at: number): number => at % KINDS.httpd.length

interface Analysis {
	readonly right: number
	readonly ms: number
}

/** What comes behind the program's name, cut into words at what separates them in URLs, quotes and lists. */
const contentOf = (line: string): string => line.slice(line.indexOf(': ') + 2).replace(/[\\/?=",'()[\]]+/g, ' ')

/** Retrieves by a command and parses; `mine`: the container's name, for a log with the lines of others. */
const analyse = async (command: readonly string[], round: string): Promise<Analysis> => {
	const started = performance.now()
	const { stdout } = await run(command)
	const drain = new Drain({ similarity: 0.9 })
	const found = new Map<number, number>()
	const event = new RegExp(`ev${round}x(\\d{5})`)
	const kinds: number[][] = []
	for (const line of stdout.split('\n')) {
		if (line === '') continue
		const { id } = drain.add(contentOf(line))
		const number = event.exec(line)?.[1]
		if (number === undefined) continue
		const at = Number(number)
		found.set(at, id)
		const votes = (kinds[id] ??= KINDS.httpd.map(() => 0))
		votes[kindOf(at)] = (votes[kindOf(at)] ?? 0) + 1
	}
	let right = 0
	for (const [at, id] of found) {
		const votes = kinds[id] ?? []
		if (votes[kindOf(at)] === Math.max(...votes)) right++
	}
	return { right, ms: performance.now() - started }
}

interface Member {
	readonly workload: Workload & { readonly socket?: string }
	readonly cause: (round: string, events: number) => Promise<unknown>
}

interface Place {
	readonly service: Service
	readonly bundles: Bundles
	readonly root: string
	readonly scratch: string
}

const begin = async (
	{ bundles, root, scratch }: Place,
	workload: Name,
	name: string,
	logging: Logging,
): Promise<Member> => {
	const annotations = { 'pogs.ring': `${RING_KB}k` }
	const statements = (round: string, events: number): string =>
		Array.from({ length: events }, (_, at) => KINDS[workload][kindOf(at)]?.(idOf(round, at))).join('\n')
	if (workload === 'mariadb') {
		const template = await installMariadb(path.join(scratch, 'mysql'))
		const server = await startMariadb(bundles, name, root, template, logging, annotations)
		return { workload: server, cause: (round, events) => mariadb(server.socket, statements(round, events)) }
	}
	const server = await startApache(bundles, name, root, logging, annotations)
	return {
		workload: server,
		cause: async (round, events) => {
			const file = path.join(scratch, `${name}.curl`)
			/* Each "next" begins another request with options of its own; there is none behind the last. */
			const requests = statements(round, events).replace(/\nnext$/, '')
			writeFileSync(file, requests.replaceAll('url =', 'silent\noutput = "/dev/null"\nurl ='))
			await run(['nsenter', '-t', String(server.pid), '-n', 'curl', '--config', file])
		},
	}
}

interface Measured {
	readonly rows: Cell[][]
	readonly ms: Record<string, Point[]>
	readonly accuracy: Record<string, Point[]>
	readonly findings: Finding[]
}

const POGS = 'POGs'
const SHARED = `one log of ${RING_KB} KiB`
const SCALED = `one log of ${RING_KB} KiB for each container`
const WAYS = [POGS, SHARED, SCALED] as const

const measure = async (
	{ quick, say }: Evaluation,
	place: Place,
	workload: Name,
	peer: SyslogPeer,
): Promise<Measured> => {
	const { service, bundles, scratch } = place
	const result: Measured = { rows: [], ms: {}, accuracy: {}, findings: [] }
	const members: Record<'pogs' | 'shared', Member[]> = { pogs: [], shared: [] }
	const events = quick ? 40 : EVENTS
	for (const count of quick ? [1, 2] : COUNTS) {
		while (members.pogs.length < count) {
			const at = members.pogs.length
			members.pogs.push(await begin(place, workload, `${workload}-p${at}`, 'pogs'))
			members.shared.push(await begin(place, workload, `${workload}-s${at}`, { devLog: peer.socket }))
		}
		say(`${workload}: ${count} containers each`)
		const round = `${workload.charAt(0)}${count}`
		const idsOf = (side: 'pogs' | 'shared'): string[] => members[side].map(({ workload: { name } }) => bundles.id(name))
		for (const id of idsOf('pogs')) await service.clear(id)
		for (const side of ['pogs', 'shared'] as const) {
			/* All of them at once: a shared log gets their lines mixed. */
			await Promise.all(members[side].map(({ cause }) => cause(round, events)))
			await sleep(500)
		}
		const views = []
		for (const id of idsOf('pogs')) views.push(path.join((await service.show(id)).paths.varLog, 'messages'))
		const scaled = await startSyslogPeer('busybox', undefined, RING_KB * count)
		if (isMissing(scaled)) throw new Error(scaled.missing)
		try {
			for (const [at, view] of views.entries()) {
				const file = path.join(scratch, 'replay')
				const content = 's/^[A-Z][a-z][a-z] [ 0-9]* [0-9:]* [^ ]* [^:]*: //'
				await run([
					'sh',
					'-c',
					`sed '${content}' "$0" >"$1" && exec logger -d -u "$2" -t "$3" -p local2.info -f "$1"`,
					view,
					file,
					scaled.socket,
					idsOf('shared')[at] ?? '',
				])
			}
			await sleep(200)
			const searched = (log: SyslogPeer, id: string): string[] => [
				'sh',
				'-c',
				'"$@" | grep -F "$0"',
				`${id}: `,
				...log.read(),
			]
			const commands: Record<(typeof WAYS)[number], string[][]> = {
				[POGS]: views.map(view => ['cat', view]),
				[SHARED]: idsOf('shared').map(id => searched(peer, id)),
				[SCALED]: idsOf('shared').map(id => searched(scaled, id)),
			}
			const right: Record<string, number> = {}
			const analyseAll = async (way: (typeof WAYS)[number]): Promise<number> => {
				let total = 0
				right[way] = 0
				for (const command of commands[way]) {
					const { right: found, ms } = await analyse(command, round).catch(() => ({ right: 0, ms: 0 }))
					total += ms
					right[way] += found
				}
				return total / count
			}
			for (const way of WAYS) await analyseAll(way)
			const times = await inTurns(
				WAYS.map(name => ({ name, measure: () => analyseAll(name) })),
				quick ? 2 : 15,
			)
			const accuracy = (way: string): Summary => summarise([((right[way] ?? 0) / (count * events)) * 100])
			const perEvent = (way: string): Cell => {
				const found = right[way] ?? 0
				return found === 0 ? '-' : ((of(times, way).median * count) / found) * 1000
			}
			for (const way of WAYS) {
				;(result.ms[way] ??= []).push({ x: count, y: of(times, way) })
				;(result.accuracy[way] ??= []).push({ x: count, y: accuracy(way) })
				result.rows.push([workload, count, way, accuracy(way), of(times, way), perEvent(way)])
			}
			if (count === 1) {
				const change = changePercent(of(times, POGS), of(times, SHARED))
				result.findings.push({
					what: `${workload}: time to analyse one container's log`,
					paper: '-32 %',
					target: 'less than from the shared log',
					ours: `${figure(change.median)} % (${figure(change.min)} to ${figure(change.max)})`,
					holds: change.median < 0,
				})
			} else if (count === (quick ? 2 : COUNTS.at(-1))) {
				const percent = (way: string): string => `${figure(accuracy(way).median)} %`
				result.findings.push({
					what: `${workload}: events found, ${count} containers`,
					paper: 'natively falling with the number of containers',
					target: '100 %',
					ours: `${percent(POGS)}; shared log: ${percent(SHARED)}`,
					holds: accuracy(POGS).median >= 99.9,
				})
			}
		} finally {
			await scaled.stop()
		}
	}
	for (const {
		workload: { name },
	} of [...members.pogs, ...members.shared])
		await bundles.remove(name)
	return result
}

export const analysis: EvaluationCase = {
	name: 'analysis',
	title: 'Log analysis (Fig. 4 and 5)',
	about: `${EVENTS} numbered events in each container: requests to Apache httpd (200, 404, HEAD, POST) or queries to MariaDB (four statements), all containers at once. Then each container's log is retrieved and parsed with Drain: from its POG (\`cat\`), or from a log that all share (\`busybox syslogd -C\`; \`logread | grep\`).`,
	run: async evaluation => {
		const { scratch } = evaluation
		const rows: Cell[][] = []
		const figures: Figure[] = []
		const findings: Finding[] = []
		const notes = [
			`"${SCALED}" is what it takes to lose nothing with a shared log; its lines are those of the POGs, replayed. Then every container's analyst reads all lines of all containers.`,
			'Time: retrieval (processes started included) and parsing, mean of one container; a log that has lost most of its lines is parsed quickly, hence the time for each right event.',
		]
		const service = await Service.start(undefined)
		const bundles = new Bundles(scratch, service.runDir)
		const peers: SyslogPeer[] = []
		try {
			const root = hostRoot(path.join(scratch, 'root'))
			configureApache(root)
			for (const workload of NAMES) {
				const peer = await startSyslogPeer('busybox', undefined, RING_KB)
				const lacking = isMissing(peer) ? peer.missing : await lackingFor(workload)
				if (!isMissing(peer)) peers.push(peer)
				if (lacking !== undefined || isMissing(peer)) {
					notes.push(`${workload}: not measured, ${lacking}.`)
					continue
				}
				const measured = await measure(evaluation, { service, bundles, root, scratch }, workload, peer)
				rows.push(...measured.rows)
				findings.push(...measured.findings)
				const draw = (kind: 'ms' | 'accuracy', title: string, label: string): Figure => ({
					name: `analysis-${workload}-${kind}`,
					title: `${workload}: ${title}`,
					x: { label: 'containers', scale: 'log' },
					y: { label, scale: 'linear' },
					series: WAYS.map(name => ({ name, points: measured[kind][name] ?? [] })),
				})
				figures.push(
					draw('ms', "time to retrieve and parse one container's log", 'ms'),
					draw('accuracy', 'right events found', '% of those that happened'),
				)
			}
			return {
				findings,
				tables: [
					{
						title: 'What is found, and how long it takes',
						columns: [
							'workload',
							'containers',
							'log',
							'right events, %',
							'time for one container, ms',
							'us for a right event',
						],
						rows,
					},
				],
				figures,
				notes,
			}
		} finally {
			await bundles.stop()
			for (const peer of peers) await peer.stop()
			await service.stop()
		}
	},
}
