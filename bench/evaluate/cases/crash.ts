/**
 * What becomes of those who read and log when the server behind their files is killed: lxcfs, rsyslogd, and pogshim.
 *
 * All clients run in a real container, an operation a millisecond, from before the SIGKILL to some seconds after it. lxcfs and
 * rsyslogd are started again at once, as a service manager would do; pogshim's keeper does that by itself. A POG's lines are counted
 * afterwards: each must be there, once.
 */
import { copyFileSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMissing } from '../../harness/build.ts'
import { run, Server } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import { startSyslogPeer, type SyslogPeer } from '../../harness/syslog-peers.ts'
import { Bundles, tmpfs } from '../bundles.ts'
import type { Cell, EvaluationCase, Finding } from '../case.ts'
import { errorsOf, type Operation, paced, type Paced, pacedProgram } from '../paced.ts'
import { HOST_USR, hostRoot } from '../roots.ts'

const INTERVAL_US = 1000
const PROGRAM = '/data/paced'

interface Client {
	readonly what: string
	readonly operation: Operation
	readonly path: string
	readonly tag?: string
}

const POG_CLIENTS: readonly Client[] = [
	{ what: 'open, read, close a view', operation: 'read', path: '/var/log/messages' },
	{ what: 'read a view that stays open', operation: 'hold', path: '/var/log/messages' },
	{ what: 'write to /dev/kmsg', operation: 'write', path: '/dev/kmsg', tag: 'kernel-line' },
	{ what: 'syslog(3) to /dev/log', operation: 'send', path: '/dev/log', tag: 'syslog-line' },
]

const LXCFS_CLIENTS: readonly Client[] = [
	{ what: 'open, read, close /proc/uptime', operation: 'read', path: '/proc/uptime' },
	{ what: 'read /proc/uptime that stays open', operation: 'hold', path: '/proc/uptime' },
]

const SYSLOG_CLIENTS: readonly Client[] = [{ what: 'syslog(3) to /dev/log', operation: 'send', path: '/dev/log' }]

/** Runs the clients in a container while something happens. */
const beside = async (
	pid: number,
	clients: readonly Client[],
	count: number,
	happens: () => Promise<void>,
): Promise<{ client: Client; result: Paced }[]> => {
	const inside = ['nsenter', '-t', String(pid), '-m', '-r', '-w', PROGRAM]
	const results = clients.map(async client => ({
		client,
		result: await paced(inside, client.operation, client.path, {
			count,
			intervalUs: INTERVAL_US,
			...(client.tag === undefined ? {} : { tag: client.tag }),
		}),
	}))
	await happens()
	return Promise.all(results)
}

const kill = (pid: number): void => void process.kill(pid, 'SIGKILL')

const row = (server: string, { client, result }: { client: Client; result: Paced }, after: string): Cell[] => [
	server,
	client.what,
	result.good,
	errorsOf(result),
	result.gapMs,
	after,
]

/** Of the lines with a tag and numbers below `count`: how many are not in a text, and how many more than once. */
const account = (text: string, tag: string, count: number): { missing: number; doubled: number } => {
	const times = new Map<string, number>()
	for (const [, number = ''] of text.matchAll(new RegExp(`${tag}: (\\d{6})`, 'g')))
		times.set(number, (times.get(number) ?? 0) + 1)
	const doubled = [...times.values()].filter(each => each > 1).length
	return { missing: count - times.size, doubled }
}

export const crash: EvaluationCase = {
	name: 'crash',
	title: 'A crash under load: lxcfs, rsyslogd, pogshim',
	about:
		'SIGKILL for the server while programs in a container read its files and log through it, each a thousand times a second; lxcfs and rsyslogd are started again at once in the same place. Gap: the longest time without an operation that went well.',
	run: async ({ quick, scratch, say }) => {
		const rows: Cell[][] = []
		const findings: Finding[] = []
		const notes: string[] = []
		const seconds = quick ? 2 : 6
		const count = (seconds * 1e6) / INTERVAL_US
		const servers: Server[] = []
		const peers: SyslogPeer[] = []
		const service = await Service.start(undefined)
		const bundles = new Bundles(scratch, service.runDir)
		try {
			const root = hostRoot(path.join(scratch, 'root'))
			copyFileSync(await pacedProgram(), path.join(root, PROGRAM))
			const common = { root, args: ['sleep', '1000'], mounts: [HOST_USR, tmpfs('/tmp', 'mode=1777')] }

			const lxcfs = path.join(scratch, 'lxcfs')
			mkdirSync(lxcfs)
			const startLxcfs = async (): Promise<Server> => {
				const server = new Server(['lxcfs', '-f', '-p', path.join(scratch, 'lxcfs.pid'), lxcfs])
				servers.push(server)
				await server.ready(() =>
					run(['timeout', '1', 'cat', path.join(lxcfs, 'proc/uptime')]).then(
						() => true,
						() => false,
					),
				)
				return server
			}
			say('lxcfs')
			const first = await startLxcfs().catch((error: unknown) => String(error).slice(0, 200))
			if (typeof first === 'string') notes.push(`lxcfs: not measured, ${first}.`)
			else {
				const uptime = { destination: '/proc/uptime', source: path.join(lxcfs, 'proc/uptime'), options: ['bind'] }
				const { pid } = await bundles.start({
					...common,
					name: 'lxcfs',
					pogs: false,
					mounts: [...common.mounts, uptime],
				})
				const results = await beside(pid, LXCFS_CLIENTS, count, async () => {
					await sleep(700)
					kill(first.pid)
					await sleep(100)
					await run(['umount', '-l', lxcfs])
					await startLxcfs()
				})
				const again = await run(['nsenter', '-t', String(pid), '-m', '-r', 'cat', '/proc/uptime']).then(
					() => 'read',
					(error: unknown) => /Transport endpoint[^\n]*/.exec(String(error))?.[0] ?? 'fails',
				)
				for (const each of results)
					rows.push(row('lxcfs, started again', each, again === 'read' ? 'works' : `broken: ${again}`))
				findings.push({
					what: 'readers of lxcfs after its crash',
					paper: '-',
					target: '-',
					ours: `${results.map(({ result }) => errorsOf(result)).join('; ')}, until the container is started again`,
				})
				await bundles.remove('lxcfs')
			}

			say('rsyslogd')
			const peer = await startSyslogPeer('rsyslog', undefined)
			if (isMissing(peer)) notes.push(`rsyslogd: not measured, ${peer.missing}.`)
			else {
				peers.push(peer)
				const { pid } = await bundles.start({ ...common, name: 'rsyslog', pogs: false, devLog: peer.socket })
				const results = await beside(pid, SYSLOG_CLIENTS, count, async () => {
					await sleep(700)
					kill(peer.pid)
					await sleep(100)
					await peer.again()
				})
				for (const each of results)
					rows.push(
						row(
							'rsyslogd, started again',
							each,
							each.result.errors['ECONNREFUSED'] ? 'broken: the bound socket is the old one' : 'works',
						),
					)
				await bundles.remove('rsyslog')
			}

			say('pogshim')
			const { pid } = await bundles.start({
				...common,
				name: 'pogs',
				pogs: true,
				annotations: { 'pogs.ring': '16m' },
			})
			const kills = quick ? 1 : 3
			const results = await beside(pid, POG_CLIENTS, count, async () => {
				for (let time = 0; time < kills; time++) {
					await sleep(700)
					kill(await service.engine())
					if (time < kills - 1) await sleep(700)
				}
			})
			await sleep(500)
			const inside = ['nsenter', '-t', String(pid), '-m', '-r', 'timeout', '10', 'cat', '/var/log/messages']
			const text = await run(inside).then(
				({ stdout }) => stdout,
				(error: unknown) => String(error),
			)
			const fates = results.map(each => {
				const { tag } = each.client
				if (tag === undefined)
					return text.startsWith('Error') ? `broken: ${/Transport[^\n]*/.exec(text)?.[0] ?? 'cannot be read'}` : 'works'
				const { missing, doubled } = account(text, tag, count)
				return `${missing} of ${count} lines missing, ${doubled} doubled`
			})
			for (const [at, each] of results.entries())
				rows.push(row(`pogshim, killed ${kills === 1 ? 'once' : `${kills} times`}`, each, fates[at] ?? ''))
			const errors = results.reduce((sum, { result }) => sum + result.failed, 0)
			const whole =
				errors === 0 &&
				fates.every(fate => fate === 'works' || (fate.startsWith('0 of') && fate.endsWith(' 0 doubled')))
			findings.push({
				what: `readers and writers of a POG while pogshim is killed ${kills} times`,
				paper: '-',
				target: 'no error, each line once',
				ours: `${errors} errors in ${count * results.length} operations, longest pause ${Math.round(Math.max(...results.map(({ result }) => result.gapMs)))} ms, ${fates.slice(2).join('; ')}`,
				holds: whole,
			})
			return {
				findings,
				tables: [
					{
						title: 'What programs in a container saw',
						columns: ['server', 'operation', 'went well', 'errors', 'gap, ms', 'afterwards'],
						rows,
					},
				],
				figures: [],
				notes,
			}
		} finally {
			await bundles.stop()
			for (const server of servers) await server.stop()
			for (const peer of peers) await peer.stop()
			await service.stop()
		}
	},
}
