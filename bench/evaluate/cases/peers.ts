/**
 * Intake and read rates beside the syslog daemons, and file operations beside FUSE servers that do nothing: the rows of `make bench`,
 * and how fast each daemon's messages are read again.
 */
import path from 'node:path'
import { cat } from '../../cases/cat.ts'
import { devlog } from '../../cases/devlog.ts'
import { fuse } from '../../cases/fuse.ts'
import { build, isMissing } from '../../harness/build.ts'
import type { Bench } from '../../harness/case.ts'
import { run } from '../../harness/process.ts'
import { Service } from '../../harness/service.ts'
import { SYSLOG_PEERS, startSyslogPeer, type SyslogPeer } from '../../harness/syslog-peers.ts'
import { holds, type Row } from '../../harness/table.ts'
import type { Cell, Evaluation, EvaluationCase, Finding, Table } from '../case.ts'
import { figure } from '../document.ts'
import { inTurns, of } from '../paired.ts'

const READ_MESSAGES = 100_000
const OURS = 'a POG, cat of its view'

/** Time to print all messages of each receiver, every one filled with the same. */
const readRates = async ({ quick, cpus, say }: Evaluation): Promise<{ table: Table; notes: string[] }> => {
	const [send, runs] = [await build('devlog-send'), await build('time-runs')]
	if (isMissing(send) || isMissing(runs)) throw new Error('bench/install-packages.sh')
	const messages = quick ? 2000 : READ_MESSAGES
	const service = await Service.start(cpus.server)
	const peers: SyslogPeer[] = []
	const notes: string[] = []
	try {
		const pog = await service.create({ name: 'read', ringBytes: 16 << 20 })
		const all = [{ name: OURS, socket: pog.paths.devLog, command: ['cat', path.join(pog.paths.varLog, 'messages')] }]
		for (const key of SYSLOG_PEERS) {
			const peer = await startSyslogPeer(key, cpus.server)
			if (isMissing(peer)) notes.push(`${key}: not measured, ${peer.missing}.`)
			else {
				peers.push(peer)
				const [program = ''] = peer.read().filter(word => /(?:cat|logread|journalctl)$/.test(word))
				all.push({ name: `${peer.name}, ${program}`, socket: peer.socket, command: peer.read() })
			}
		}
		for (const { name, socket } of all) {
			say(`filling ${name}`)
			await run([send.path, socket, '1', String(messages)], cpus.client)
		}
		await new Promise(resolve => setTimeout(resolve, 1000))
		const rows: Cell[][] = []
		const contestants = []
		for (const { name, command } of all) {
			const there = (await run(command)).stdout.split('bench[').length - 1
			if (there < messages) notes.push(`${name}: ${there} of ${messages} messages were there to be read.`)
			const measure = async (): Promise<number> =>
				there / (Number((await run([runs.path, '1', ...command], cpus.client)).stdout) / 1e3)
			contestants.push({ name, measure })
		}
		say('reading')
		const results = await inTurns(contestants, quick ? 2 : 9)
		for (const { name } of contestants)
			rows.push([name, of(results, name), of(results, OURS).median / of(results, name).median])
		const columns = ['read from', 'messages/s', 'POGs are faster by']
		return {
			table: { title: `Reading ${messages.toLocaleString('en-US')} messages, process start included`, columns, rows },
			notes,
		}
	} finally {
		for (const peer of peers) await peer.stop()
		await service.stop()
	}
}

/** dmesg of as many records as the machine's own kernel log has: that one is only read. */
const kernelLog = async ({ quick, cpus }: Evaluation): Promise<Cell[] | string> => {
	const [fill, runs] = [await build('kmsg-fill'), await build('time-runs')]
	if (isMissing(fill) || isMissing(runs)) return 'dmesg: not measured, bench/install-packages.sh.'
	const native = await run(['dmesg']).catch((error: unknown) => String(error))
	if (typeof native === 'string') return `dmesg: not measured, ${native.slice(0, 120)}.`
	const records = native.stdout.trim().split('\n').length
	const service = await Service.start(cpus.server)
	try {
		const { paths } = await service.create({ name: 'dmesg', ringBytes: 1 << 20 })
		await run([fill.path, paths.devKmsg, String(records)])
		const timed = async (command: readonly string[]): Promise<number> =>
			records / (Number((await run([...command, runs.path, '1', 'dmesg'], cpus.client)).stdout) / 1e3)
		const bind = 'mount --make-rprivate / && mount --bind "$0" /dev/kmsg && exec "$@"'
		const results = await inTurns(
			[
				{ name: 'pog', measure: () => timed(['unshare', '-m', 'sh', '-c', bind, paths.devKmsg]) },
				{ name: 'native', measure: () => timed([]) },
			],
			quick ? 2 : 9,
		)
		const [ours, theirs] = [of(results, 'pog'), of(results, 'native')]
		return [`dmesg of ${records} records`, ours, theirs, ours.median / theirs.median]
	} finally {
		await service.stop()
	}
}

const tableOf = (title: string, rows: readonly Row[]): Table => ({
	title,
	columns: ['measurement', 'unit', 'POGs', 'against', 'its figure', 'ratio', 'target'],
	rows: rows
		.filter(({ ours }) => ours !== undefined)
		.map(row => {
			const { what, unit, ours, peer, ratio, target } = row
			const bound =
				target === undefined ? '' : 'atLeast' in target ? `at least ${target.atLeast}x` : `at most ${target.atMost}x`
			const met = holds(row)
			return [
				what,
				unit,
				ours ?? '-',
				peer?.name ?? '-',
				peer?.summary ?? '-',
				ratio === undefined ? '-' : `${figure(ratio)}x`,
				`${bound}${met === undefined ? '' : met ? ', met' : ', missed'}`,
			]
		}),
})

/** The verdict of the rows that have a target, in one line. */
const findingOf = (what: string, rows: readonly Row[]): Finding[] => {
	const judged = rows.filter(row => holds(row) !== undefined && row.ratio !== undefined)
	const worst = [...judged].sort((a, b) => missBy(b) - missBy(a))[0]
	if (worst === undefined) return []
	const kept = judged.filter(row => holds(row) === true).length
	return [
		{
			what,
			paper: '-',
			target: 'as in the table',
			ours: `${kept} of ${judged.length} targets met; the closest: ${worst.what} against ${worst.peer?.name}, ${figure(worst.ratio ?? 0)}x`,
			holds: kept === judged.length,
		},
	]
}

/** How far from its target a row is: above 1 it is missed. */
const missBy = ({ ratio = 0, target }: Row): number =>
	target === undefined ? 0 : 'atLeast' in target ? target.atLeast / ratio : ratio / target.atMost

export const peers: EvaluationCase = {
	name: 'peers',
	title: 'Beside syslog daemons and FUSE servers',
	about:
		'Intake of `/dev/log` (100-byte messages until the last is stored) and reading it again; and file operations on a POG, which parses, routes and keeps, beside servers in C (libfuse 3) and JavaScript (fuse-native) that do nothing. As in `make bench` (bench/README.md says how it is kept fair): `apart` is client and server on two CPUs, `together` on one.',
	run: async evaluation => {
		const { quick, cpus, say } = evaluation
		const bench: Bench = {
			repeats: quick ? 1 : 3,
			quick,
			server: cpus.server,
			placements:
				cpus.client === cpus.server
					? [{ name: 'together', client: cpus.server }]
					: [
							{ name: 'apart', client: cpus.client },
							{ name: 'together', client: cpus.server },
						],
			say,
		}
		const intake = await devlog.run(bench)
		const operations = await fuse.run(bench)
		const sequential = quick ? [] : await cat.run(bench)
		const { table, notes } = await readRates(evaluation)
		const kernel = await kernelLog(evaluation)
		const dmesg: Table[] =
			typeof kernel === 'string'
				? []
				: [
						{
							title: "dmesg, records/s, beside the machine's own kernel log",
							columns: ['what', 'from a POG', 'from the kernel', 'ratio'],
							rows: [kernel],
							note: 'Every record is a read(2) of its own, because /dev/kmsg says so: in a POG it is a request to a process. `dmesg -S`, one system call, is not.',
						},
					]
		if (typeof kernel === 'string') notes.push(kernel)
		const lacking = [...intake, ...operations, ...sequential].flatMap(({ ours, note }) =>
			ours === undefined && note !== undefined ? [`Not measured: ${note}.`] : [],
		)
		return {
			findings: [
				...findingOf('/dev/log intake beside syslog daemons', intake),
				...findingOf('file operations beside null FUSE servers', operations),
			],
			tables: [tableOf('Intake', intake), table, ...dmesg, tableOf('File operations', [...operations, ...sequential])],
			figures: [],
			notes: [...notes, ...new Set(lacking)],
		}
	},
}
