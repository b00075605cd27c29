/**
 * FUSE operations on a real POG against servers that do nothing.
 *
 * One client thread repeats one operation (bench/clients/fuse-ops.c). A write goes to the POG's /dev/kmsg, lands in its ring
 * and is routed: that all of them arrived is checked afterwards. Reads, stat and open are on a view.
 */
import path from 'node:path'
import { loadFuseNative } from '../../src/fuse/native-package.ts'
import type { PogInfo } from '../../src/pog/info.ts'
import { build, isMissing, type Missing } from '../harness/build.ts'
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
/** The same service through the other transport: shown beside, not raced. */
const THROUGH_NATIVE = 'POGs over fuse-native'

interface Server {
	readonly name: string
	target(onView: boolean): Target
	/** Writes that have to be accounted for; a server that does nothing counts none. */
	writes?: number
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

/** A service with one POG, through one of the transports; its writes are counted. */
class Contestant implements Server {
	readonly name: string
	readonly service: Service
	readonly #kmsg: Target
	readonly #view: Target
	writes = 0

	private constructor(name: string, service: Service, pog: PogInfo) {
		this.name = name
		this.service = service
		this.#kmsg = { directory: path.dirname(pog.paths.devKmsg), file: path.basename(pog.paths.devKmsg) }
		this.#view = { directory: pog.paths.varLog, file: 'messages' }
	}

	static async start(name: string, cpu: Cpu, more: readonly string[] = []): Promise<Contestant> {
		const service = await Service.start(cpu, more)
		try {
			return new Contestant(name, service, await service.create({ name: 'fuse', ringBytes: 1 << 20 }))
		} catch (error) {
			await service.stop()
			throw error
		}
	}

	target(onView: boolean): Target {
		return onView ? this.#view : this.#kmsg
	}

	/** A row that misses its target when records are missing. */
	async account(): Promise<Row[]> {
		const arrived = (await this.service.show('fuse')).accepted.kmsg
		if (arrived === this.writes) return []
		const note = `${this.name} LOST: ${this.writes} written, ${arrived} arrived`
		const ratio = this.writes - arrived
		return [{ group: 'fuse', what: 'records written', unit: '', note, target: { atMost: 0 }, ratio }]
	}
}

/** POGs through the package, or why not. */
const startThroughNative = async (cpu: Cpu): Promise<Contestant | Missing> => {
	const why = loadFuseNative()
	if (typeof why === 'string') return { missing: why }
	return Contestant.start(THROUGH_NATIVE, cpu, ['--transport', 'fuse-native'])
}

const measure = async (bench: Bench, program: string, servers: readonly Server[], placement: Place): Promise<Row[]> => {
	const rows: Row[] = []
	const seconds = bench.quick === true ? SECONDS / 10 : SECONDS
	for (const { operation, what, onView } of OPERATIONS) {
		bench.say(`${operation}, client and server ${placement.name}`)
		const contestants = []
		for (const server of servers) {
			const target = server.target(onView)
			const account = (done: number): void => {
				if (server.writes !== undefined && operation === 'write') server.writes += done
			}
			/* Warms the server up and finds how many operations fill the time. */
			let count = 500
			for (let rate = 0; ; count *= 2) {
				rate = await operate(program, operation, target, count, placement.client)
				account(count)
				if (count / rate >= seconds / 2) {
					count = Math.ceil(rate * seconds)
					break
				}
			}
			contestants.push({
				name: server.name,
				measure: async () => {
					account(count)
					return operate(program, operation, target, count, placement.client)
				},
			})
		}
		const results = await interleave(contestants, bench.repeats)
		const ours = results.get('POGs')
		if (ours === undefined) continue
		for (const [name, summary] of results) {
			if (name === 'POGs') continue
			const isNative = name.startsWith('fuse-native')
			const atLeast = name === THROUGH_NATIVE ? undefined : isNative ? (operation === 'write' ? 4 : undefined) : 1
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
		const contestants: Contestant[] = []
		const skip = ({ missing }: Missing): void => {
			rows.push({ group: 'fuse', what: 'FUSE operations', unit: 'op/s', note: missing })
		}
		try {
			contestants.push(await Contestant.start('POGs', bench.server))
			for (const peer of [await startLibfuse(bench.server), await startFuseNative(bench.server)]) {
				if (isMissing(peer)) skip(peer)
				else peers.push(peer)
			}
			const native = await startThroughNative(bench.server)
			if (isMissing(native)) skip(native)
			else contestants.push(native)
			const servers: Server[] = [...contestants, ...peers.map(peer => ({ name: peer.name, target: () => peer }))]
			for (const placement of bench.placements) rows.push(...(await measure(bench, program.path, servers, placement)))
			for (const contestant of contestants) rows.push(...(await contestant.account()))
			return rows
		} finally {
			for (const peer of peers) await peer.stop()
			for (const { service } of contestants) await service.stop()
		}
	},
}
