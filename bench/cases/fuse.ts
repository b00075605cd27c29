/**
 * FUSE operations on a real POG against servers that do nothing.
 *
 * One client thread repeats one operation (bench/clients/fuse-ops.c). A write goes to the POG's /dev/kmsg, lands in its ring
 * and is routed: that all of them arrived is checked afterwards. Reads, stat and open are on a view.
 */
import path from 'node:path'
import { build, isMissing } from '../harness/build.ts'
import { type Bench, type Case, type Place, targetAt } from '../harness/case.ts'
import { startFuseNative, startLibfuse, type Target } from '../harness/fuse-peers.ts'
import { type Cpu, run } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import { interleave } from '../harness/statistics.ts'
import type { Row } from '../harness/table.ts'

const OPERATIONS = [
	{ operation: 'write', what: 'write 100 bytes to /dev/kmsg', onView: false },
	{ operation: 'read', what: 'read 200 bytes of a view', onView: true },
	{ operation: 'stat', what: 'stat a view', onView: true },
	{ operation: 'open', what: 'open and close a view', onView: true },
] as const

const SECONDS = 0.25

interface Server {
	readonly name: string
	readonly target: (onView: boolean) => Target
}

/** Operations in a second, by a client on one CPU; also how many were done, for the accounts. */
const operate = async (
	program: string,
	operation: string,
	target: Target,
	count: number,
	client: Cpu,
): Promise<number> => {
	const { stdout } = await run([program, operation, target.directory, target.file, String(count)], client)
	return count / Number(stdout.split(' ')[0])
}

class Accounts {
	writes = 0
}

const measure = async (
	bench: Bench,
	program: string,
	servers: readonly Server[],
	accounts: Accounts,
	placement: Place,
): Promise<Row[]> => {
	const rows: Row[] = []
	for (const { operation, what, onView } of OPERATIONS) {
		bench.say(`${operation}, client and server ${placement.name}`)
		const contestants = []
		for (const { name, target } of servers) {
			/* Warms the server up and finds how many operations fill the time. */
			let count = 500
			for (let rate = 0; ; count *= 2) {
				rate = await operate(program, operation, target(onView), count, placement.client)
				if (name === 'POGs' && operation === 'write') accounts.writes += count
				if (count / rate >= SECONDS / 2) {
					count = Math.ceil(rate * SECONDS)
					break
				}
			}
			contestants.push({
				name,
				measure: async () => {
					if (name === 'POGs' && operation === 'write') accounts.writes += count
					return operate(program, operation, target(onView), count, placement.client)
				},
			})
		}
		const results = await interleave(contestants, bench.repeats)
		const ours = results.get('POGs')
		if (ours === undefined) continue
		for (const [name, summary] of results) {
			if (name === 'POGs') continue
			const isNative = name.startsWith('fuse-native')
			const atLeast = isNative ? (operation === 'write' ? 4 : undefined) : 1
			rows.push({
				group: 'fuse',
				what: `${what}, ${placement.name}`,
				unit: 'op/s',
				ours,
				peer: { name, summary },
				ratio: ours.median / summary.median,
				...(atLeast === undefined ? {} : targetAt(bench, placement, { atLeast })),
			})
		}
	}
	return rows
}

export const fuse: Case = {
	name: 'fuse',
	about: 'operations on a POG against null FUSE servers',
	run: async bench => {
		const program = await build('fuse-ops')
		if (isMissing(program)) return [{ group: 'fuse', what: 'FUSE operations', unit: 'op/s', note: program.missing }]
		const rows: Row[] = []
		const peers = []
		const service = await Service.start(bench.server)
		try {
			for (const peer of [await startLibfuse(bench.server), await startFuseNative(bench.server)]) {
				if (isMissing(peer)) rows.push({ group: 'fuse', what: 'FUSE operations', unit: 'op/s', note: peer.missing })
				else peers.push(peer)
			}
			const pog = await service.create({ name: 'fuse', ringBytes: 1 << 20 })
			const kmsg = { directory: path.dirname(pog.paths.devKmsg), file: path.basename(pog.paths.devKmsg) }
			const view = { directory: pog.paths.varLog, file: 'messages' }
			const servers: Server[] = [
				{ name: 'POGs', target: onView => (onView ? view : kmsg) },
				...peers.map(peer => ({ name: peer.name, target: () => peer })),
			]
			const accounts = new Accounts()
			for (const placement of bench.placements)
				rows.push(...(await measure(bench, program.path, servers, accounts, placement)))
			const arrived = (await service.show('fuse')).accepted.kmsg
			if (arrived !== accounts.writes)
				rows.push({
					group: 'fuse',
					what: 'records written',
					unit: '',
					note: `LOST: ${accounts.writes} written, ${arrived} arrived`,
					target: { atMost: 0 },
					ratio: accounts.writes - arrived,
				})
			return rows
		} finally {
			for (const peer of peers) await peer.stop()
			await service.stop()
		}
	},
}
