/**
 * How the costs grow: with the size of the ring, its records, the views, the readers and the POGs, each alone.
 *
 * Client and server share one CPU, so that no wake-up across CPUs hides the work. All points of a line are measured in turns. The
 * verdict is the slope between the ends of a line on logarithmic axes: 0 is flat, 1 is in proportion.
 */
import path from 'node:path'
import { build, isMissing } from '../../harness/build.ts'
import { run, Server } from '../../harness/process.ts'
import { residentKb, warmedUp } from '../../harness/resident.ts'
import { Service } from '../../harness/service.ts'
import { type Contestant, type Summary, summarise } from '../../harness/statistics.ts'
import type { Cell, Evaluation, EvaluationCase, Figure, Finding, Point, Series } from '../case.ts'
import { figure } from '../document.ts'
import { inTurns, of } from '../paired.ts'

const SMALLEST = 64 * 1024
const LARGEST = 64 * 1024 * 1024
const MESSAGE_BYTES = 200
/** A line that ends at most this much above its beginning is called flat: the spread of the measurement. */
const FLAT = 1.3

interface Line extends Series {
	readonly axis: string
	/** What the growth should be at most: a factor between the ends, or in words when it is no flat line. */
	readonly order: 'flat' | 'a logarithm' | 'in proportion'
}

type Op = 'write' | 'read' | 'seek'

class Bed {
	readonly #ops: string
	readonly #cpu: number | undefined
	readonly service: Service
	readonly send: string
	readonly quick: boolean
	readonly turns: number

	constructor(service: Service, ops: string, send: string, { quick, cpus }: Evaluation) {
		this.service = service
		this.#ops = ops
		this.send = send
		this.quick = quick
		this.#cpu = cpus.server
		this.turns = quick ? 2 : 7
	}

	/** A POG whose view has `records` lines; microseconds of one operation on it, as a function. */
	async pog(
		name: string,
		ringBytes: number,
		records: number,
		views = 1,
	): Promise<{ view: string; cost: (op: Op) => Promise<number> }> {
		const conf = Array.from({ length: views }, (_, at) => `*.*\t/var/log/view${at}\n`).join('')
		const { paths } = await this.service.create({ name, ringBytes, conf })
		if (records > 0) await run([this.send, paths.devLog, '1', String(records), String(MESSAGE_BYTES)])
		const kmsg = [path.dirname(paths.devKmsg), path.basename(paths.devKmsg)]
		const count = this.quick ? 500 : 10_000
		return {
			view: path.join(paths.varLog, 'view0'),
			cost: async op => {
				const place = op === 'write' ? kmsg : [paths.varLog, 'view0']
				const { stdout } = await run([this.#ops, op, ...place, String(count)], this.#cpu)
				return (Number(stdout.split(' ')[0]) / count) * 1e6
			},
		}
	}

	/** All points of a line in turns, the first turn not counted. */
	async line(points: readonly { x: number; measure: () => Promise<number> }[]): Promise<Point[]> {
		const contestants: Contestant[] = points.map(({ x, measure }) => ({ name: String(x), measure }))
		for (const each of contestants) await each.measure()
		const results = await inTurns(contestants, this.turns)
		return points.map(({ x }) => ({ x, y: of(results, String(x)) }))
	}
}

const powers = (from: number, to: number, by: number): number[] => {
	const all = []
	for (let at = from; at <= to; at *= by) all.push(at)
	return all
}

const bySize = async (bed: Bed, say: Evaluation['say']): Promise<Line[]> => {
	const sizes = bed.quick ? [SMALLEST, 1 << 20] : powers(SMALLEST, LARGEST, 4)
	const made = []
	for (const size of sizes) {
		say(`a full ring of ${size >> 10} KiB`)
		made.push({ size, ...(await bed.pog(`size-${size}`, size, Math.ceil((size / MESSAGE_BYTES) * 1.1))) })
	}
	const lines: Line[] = []
	for (const [op, name] of [
		['write', 'append a record'],
		['read', 'read the beginning'],
		['seek', 'read anywhere'],
	] as const)
		lines.push({
			axis: 'ring, bytes',
			name,
			order: op === 'seek' ? 'a logarithm' : 'flat',
			points: await bed.line(made.map(({ size, cost }) => ({ x: size, measure: () => cost(op) }))),
		})
	const start = async (size: number): Promise<number> => {
		const name = `start-${size}-${Math.random().toString(36).slice(2)}`
		const begun = performance.now()
		await bed.service.create({ name, ringBytes: size })
		const took = (performance.now() - begun) * 1e3
		await bed.service.remove(name)
		return took
	}
	lines.push({
		axis: 'ring, bytes',
		name: 'create a POG',
		order: 'in proportion',
		points: await bed.line(sizes.map(size => ({ x: size, measure: () => start(size) }))),
	})
	return lines
}

const byRecords = async (bed: Bed): Promise<Line[]> => {
	const made = []
	for (const records of bed.quick ? [100, 1000] : powers(256, 262_144, 4))
		made.push({ records, ...(await bed.pog(`records-${records}`, LARGEST, records)) })
	const lines: Line[] = []
	for (const [op, name] of [
		['write', 'append a record'],
		['seek', 'read anywhere'],
	] as const)
		lines.push({
			axis: 'records',
			name,
			order: op === 'seek' ? 'a logarithm' : 'flat',
			points: await bed.line(made.map(({ records, cost }) => ({ x: records, measure: () => cost(op) }))),
		})
	return lines
}

const byViews = async (bed: Bed): Promise<Line[]> => {
	const made = []
	for (const views of bed.quick ? [1, 4] : [1, 4, 16, 30])
		made.push({ views, ...(await bed.pog(`views-${views}`, SMALLEST, 0, views)) })
	return [
		{
			axis: 'views',
			name: 'append a record',
			order: 'flat',
			points: await bed.line(made.map(({ views, cost }) => ({ x: views, measure: () => cost('write') }))),
		},
	]
}

const byReaders = async (bed: Bed, client: number | undefined): Promise<Line[]> => {
	const readers: Server[] = []
	try {
		const made = []
		for (const count of bed.quick ? [1, 4] : [1, 2, 4, 8, 16]) {
			const pog = await bed.pog(`readers-${count}`, SMALLEST, 0)
			for (let at = 0; at < count; at++) readers.push(new Server(['tail', '-n0', '-f', pog.view], client))
			made.push({ count, ...pog })
		}
		return [
			{
				axis: 'readers',
				name: 'append a record',
				order: 'flat',
				points: await bed.line(made.map(({ count, cost }) => ({ x: count, measure: () => cost('write') }))),
			},
		]
	} finally {
		for (const reader of readers) await reader.stop()
	}
}

/** POGs come one by one here: a line's points follow each other in time, and its cost is that of the newest POG. */
const byPogs = async (bed: Bed, crowd: Bed, say: Evaluation['say']): Promise<Line[]> => {
	const append: Point[] = []
	const create: Point[] = []
	const memory: Point[] = []
	let there = 0
	let before = { pogs: 0, kb: Number.NaN }
	await warmedUp(crowd.service)
	for (const pogs of bed.quick ? [1, 8] : powers(1, 1024, 4)) {
		say(`${pogs} POGs`)
		const took: number[] = []
		let newest: Awaited<ReturnType<Bed['pog']>> | undefined
		for (; there < pogs; there++) {
			const begun = performance.now()
			newest = await crowd.pog(`pog-${there}`, SMALLEST, 0)
			took.push((performance.now() - begun) * 1e3)
		}
		const costs: number[] = []
		for (let turn = 0; turn <= bed.turns; turn++) costs.push((await newest?.cost('write')) ?? Number.NaN)
		append.push({ x: pogs, y: summarise(costs.slice(1)) })
		create.push({ x: pogs, y: summarise(took.slice(-16)) })
		/* What the first adds is the service's warming up. */
		const kb = await residentKb(crowd.service)
		if (before.pogs > 0) memory.push({ x: pogs, y: summarise([(kb - before.kb) / (pogs - before.pogs)]) })
		before = { pogs, kb }
	}
	return [
		{ axis: 'POGs', name: 'append a record', order: 'flat', points: append },
		{ axis: 'POGs', name: 'create a POG', order: 'flat', points: create },
		{ axis: 'POGs, KB', name: 'memory for each', order: 'flat', points: memory },
	]
}

const ends = ({ points }: Line): { first: Summary; last: Summary; factor: number } => {
	const [first, last] = [points[0]?.y ?? summarise([Number.NaN]), points.at(-1)?.y ?? summarise([Number.NaN])]
	return { first, last, factor: last.median / first.median }
}

const AXES = [
	{ name: 'growth-ring', title: 'Costs against the size of a full ring', axis: 'ring, bytes', y: 'us' },
	{ name: 'growth-records', title: 'Costs against the records in a ring of 64 MiB', axis: 'records', y: 'us' },
	{ name: 'growth-pogs', title: 'Costs against the POGs of a service', axis: 'POGs', y: 'us' },
] as const

export const growth: EvaluationCase = {
	name: 'growth',
	title: 'Growth',
	about:
		'One operation repeated by one client on the CPU of the server: a 100-byte write to `/dev/kmsg`, a read of 200 bytes at the beginning of a view or anywhere in it; and POGs created by the API. Memory is what all processes of the service have resident, ring pages aside.',
	run: async evaluation => {
		const [ops, send] = [await build('fuse-ops'), await build('devlog-send')]
		if (isMissing(ops) || isMissing(send)) throw new Error('bench/install-packages.sh')
		const { cpus, say } = evaluation
		const service = await Service.start(cpus.server)
		const crowded = await Service.start(cpus.server)
		try {
			const bed = new Bed(service, ops.path, send.path, evaluation)
			const lines: Line[] = [...(await bySize(bed, say))]
			say('records')
			lines.push(...(await byRecords(bed)))
			say('views and readers')
			lines.push(...(await byViews(bed)), ...(await byReaders(bed, cpus.client)))
			lines.push(...(await byPogs(bed, new Bed(crowded, ops.path, send.path, evaluation), say)))
			const rows: Cell[][] = lines.map(line => {
				const { first, last, factor } = ends(line)
				const range = `${figure(line.points[0]?.x ?? 0)} to ${figure(line.points.at(-1)?.x ?? 0)}`
				return [line.name, line.axis, range, first, last, `${figure(factor)}x`, line.order]
			})
			const flat = lines.filter(({ order }) => order === 'flat')
			const worst = flat.reduce((a, b) => (ends(b).factor > ends(a).factor ? b : a))
			const finding: Finding = {
				what: 'growth with ring, records, views, readers, POGs',
				paper: '-',
				target: 'flat, or the stated order',
				ours: `of ${flat.length} lines that should be flat the steepest is "${worst.name}" by ${worst.axis}: ${figure(ends(worst).factor)}x`,
				holds: ends(worst).factor <= FLAT,
			}
			return {
				findings: [finding],
				tables: [
					{
						title: 'Cost at both ends, us (memory: KB)',
						columns: ['operation', 'against', 'from, to', 'at the first', 'at the last', 'factor', 'should be'],
						rows,
					},
				],
				figures: AXES.map(
					({ name, title, axis, y }): Figure => ({
						name,
						title,
						x: { label: axis, scale: 'log', bytes: axis === 'ring, bytes' },
						y: { label: y, scale: 'log' },
						series: lines.filter(line => line.axis === axis).map(line => ({ name: line.name, points: line.points })),
					}),
				),
				notes: [
					'Creating a POG of a larger ring costs the pages that are reserved for it at once (so that a full host is noticed then, not later).',
				],
			}
		} finally {
			await service.stop()
			await crowded.stop()
		}
	},
}
