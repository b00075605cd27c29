/**
 * Figure 7: total throughput of 1 to 1,024 web servers in containers, with POGs and with one syslogd of the host.
 *
 * All containers of one kind share a network namespace, a port each, so that one client can ask them all in turn. Every request is a
 * line of system log. Both kinds run at the same time and are loaded in turns.
 */
import path from 'node:path'
import { build, isMissing } from '../../harness/build.ts'
import { processorSeconds, run, Server, until } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import { startSyslogPeer } from '../../harness/syslog-peers.ts'
import { Bundles, tmpfs } from '../bundles.ts'
import type { Cell, EvaluationCase, Finding, Point } from '../case.ts'
import { figure } from '../document.ts'
import { changePercent, inTurns, medianBounds, of } from '../paired.ts'
import { busyboxRoot } from '../roots.ts'

const COUNTS = [1, 4, 16, 64, 256, 1024] as const
const FIRST_PORT = 10_000
const WITHIN_PERCENT = 1
/** Short ones: what else the machine has to do changes over seconds. */
const TURNS = 31
/** Fewer than the 9 that busybox httpd lets wait: the rest would be asked to come again in a second. */
const CONNECTIONS = '8'
/** Starts at the same time: more only wait for each other in the kernel. */
const AT_ONCE = 2
const KINDS = ['POGs', 'one syslogd'] as const
type Kind = (typeof KINDS)[number]

/** Says each request on standard error, which logger sends on, a datagram each. */
const HTTPD = 'httpd -f -vv -p 127.0.0.1:$PORT -h /var/www 2>&1 | logger -t httpd'

/** A network namespace that lasts as long as its server. */
const newNetwork = async (): Promise<Server> => {
	const holder = new Server(['unshare', '-n', 'sh', '-c', 'ip link set lo up && exec sleep 100000'])
	await holder.ready(async () => {
		const { stdout } = await run(['nsenter', '-t', String(holder.pid), '-n', 'ip', '-o', 'addr', 'show', 'lo'])
		return stdout.includes('127.0.0.1') && !stdout.includes('state DOWN')
	})
	return holder
}

export const scale: EvaluationCase = {
	name: 'scale',
	title: 'From 1 to 1,024 web servers (Fig. 7)',
	about:
		'busybox `httpd` in runc containers, each request a line of its log through `logger`: into a POG each, or all into one `busybox syslogd -C` of the host. One client with 8 connections asks all servers in turn, a connection for each request.',
	run: async ({ quick, scratch, say }) => {
		const program = await build('http-load')
		if (isMissing(program)) throw new Error(program.missing)
		const service = await Service.start(undefined)
		const bundles = new Bundles(scratch, service.runDir)
		const peer = await startSyslogPeer('busybox', undefined)
		const networks: Partial<Record<Kind, Server>> = {}
		try {
			if (isMissing(peer)) throw new Error(peer.missing)
			const root = await busyboxRoot(path.join(scratch, 'root'))
			for (const kind of KINDS) networks[kind] = await newNetwork()
			let running = 0
			const grow = async (count: number): Promise<void> => {
				const wanted: { kind: Kind; at: number }[] = []
				for (; running < count; running++) for (const kind of KINDS) wanted.push({ kind, at: running })
				const worker = async (): Promise<void> => {
					for (let next = wanted.shift(); next !== undefined; next = wanted.shift())
						await bundles.start({
							name: `${next.kind === 'POGs' ? 'p' : 's'}${next.at}`,
							root,
							args: ['/bin/sh', '-c', HTTPD],
							env: [`PORT=${FIRST_PORT + next.at}`],
							mounts: [tmpfs('/tmp')],
							network: `/proc/${networks[next.kind]?.pid}/ns/net`,
							pogs: next.kind === 'POGs',
							...(next.kind === 'POGs' ? {} : { devLog: peer.socket }),
							annotations: { 'pogs.ring': '64k' },
						})
				}
				await Promise.all(Array.from({ length: AT_ONCE }, worker))
			}
			const load = async (kind: Kind, servers: number, requests: number): Promise<number> => {
				const command = [program.path, String(FIRST_PORT), String(servers), CONNECTIONS, String(requests)]
				const { stdout } = await run(['nsenter', '-t', String(networks[kind]?.pid), '-n', ...command])
				const [seconds = 0, good = 0, bad = 0] = stdout.split(' ').map(Number)
				return bad > 0 ? 0 : good / seconds
			}
			const loadWhole = async (kind: Kind, servers: number, requests: number): Promise<number> => {
				const rate = await load(kind, servers, requests)
				if (rate === 0) throw new Error(`${kind}, ${servers} servers: some requests failed`)
				return rate
			}
			const rows: Cell[][] = []
			const points: Record<Kind, Point[]> = { POGs: [], 'one syslogd': [] }
			const changes: { servers: number; change: ReturnType<typeof changePercent> }[] = []
			for (const servers of quick ? [1, 4, 8] : COUNTS) {
				const before = Date.now()
				await grow(servers)
				say(`${servers} servers each, started in ${((Date.now() - before) / 1000).toFixed(1)} s`)
				const requests = quick ? 400 : Math.max(2000, servers * 2)
				/* Warms them up, and waits for those that only start. */
				for (const kind of KINDS)
					await until(
						'all servers answer',
						async () => (await load(kind, servers, Math.max(servers * 2, 2000))) > 0,
						60_000,
					)
				const receivers: Record<Kind, readonly number[]> = {
					POGs: await service.processes(),
					'one syslogd': [peer.pid],
				}
				/* Of all turns: one is some ticks of the clock that counts it. */
				const seconds: Record<Kind, number> = { POGs: 0, 'one syslogd': 0 }
				const contestants = KINDS.map(name => ({
					name,
					measure: async () => {
						const started = processorSeconds(receivers[name])
						const rate = await loadWhole(name, servers, requests)
						seconds[name] += processorSeconds(receivers[name]) - started
						return rate
					},
				}))
				const results = await inTurns(contestants, quick ? 2 : TURNS)
				const [ours, theirs] = [of(results, 'POGs'), of(results, 'one syslogd')]
				const change = changePercent(ours, theirs)
				for (const kind of KINDS) points[kind].push({ x: servers, y: of(results, kind) })
				changes.push({ servers, change })
				const costs = KINDS.map(kind => (seconds[kind] / ours.values.length / requests) * 1e6)
				rows.push([servers, ours, theirs, change, medianBounds(change).map(figure).join(' to '), ...costs])
			}
			const overall = changes.map(({ change }) => change.median).sort((a, b) => a - b)
			const worst = overall[0] ?? Number.NaN
			const finding: Finding = {
				what: `throughput of 1 to ${running.toLocaleString('en-US')} web servers with POGs`,
				paper: 'same trend, no visible loss',
				target: `within ${WITHIN_PERCENT} %`,
				ours: `${figure(overall[0] ?? 0)} % to ${figure(overall.at(-1) ?? 0)} %, by the number of servers`,
				holds: worst >= -WITHIN_PERCENT,
			}
			return {
				findings: [finding],
				tables: [
					{
						title: 'Requests answered in a second, all servers together',
						columns: [
							'servers',
							'with POGs',
							'one syslogd',
							'change, %',
							'95 % certain, %',
							'service, us of CPU a line',
							'syslogd, us of CPU a line',
						],
						rows,
					},
				],
				figures: [
					{
						name: 'scale',
						title: 'Total throughput of web servers, a log line for each request',
						x: { label: 'containers', scale: 'log' },
						y: { label: 'requests a second', scale: 'linear' },
						series: KINDS.map(name => ({
							name: name === 'POGs' ? 'a POG each' : 'one syslogd for all',
							points: points[name],
						})),
					},
				],
				notes: [
					'Rings of 64 KiB. Client, servers, loggers and receivers share the two CPUs; nothing is pinned.',
					'What bounds it: the more POGs log at once, the more a line costs the service, because each finds the memory of its POG cold in the caches; the memory of a syslogd is the same for all.',
				],
			}
		} finally {
			await bundles.stop()
			for (const network of Object.values(networks)) await network.stop()
			if (!isMissing(peer)) await peer.stop()
			await service.stop()
		}
	},
}
