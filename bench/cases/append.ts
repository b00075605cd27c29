/**
 * That the cost of an append does not grow: with the views a record is routed to, with readers, with POGs.
 *
 * The cost is the time of a 100-byte write to /dev/kmsg with client and server on one CPU, where no wake-up between CPUs
 * hides it. Readers are `tail -f` at the end of a view, on the other CPU if there is one.
 */
import path from 'node:path'
import { build, isMissing } from '../harness/build.ts'
import type { Bench, Case } from '../harness/case.ts'
import { run, Server } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import { interleave } from '../harness/statistics.ts'
import type { Row } from '../harness/table.ts'

const WRITES = 20_000
/** Growth that is still called none: the spread of the measurement itself. */
const TOLERANCE = 1.15

const viewsConf = (views: number): string =>
	Array.from({ length: views }, (_, index) => `*.*\t/var/log/view${index}\n`).join('')

/** Microseconds a write. */
const cost = async (program: string, devKmsg: string, client: Bench['server']): Promise<number> => {
	const place = [path.dirname(devKmsg), path.basename(devKmsg)]
	const { stdout } = await run([program, 'write', ...place, String(WRITES)], client)
	return (Number(stdout.split(' ')[0]) / WRITES) * 1e6
}

const compare = async (
	bench: Bench,
	program: string,
	what: string,
	few: { name: string; devKmsg: string },
	many: { name: string; devKmsg: string },
): Promise<Row[]> => {
	bench.say(what)
	for (const { devKmsg } of [few, many]) await cost(program, devKmsg, bench.server)
	const results = await interleave(
		[few, many].map(({ name, devKmsg }) => ({ name, measure: () => cost(program, devKmsg, bench.server) })),
		bench.repeats,
	)
	const [least, most] = [results.get(few.name), results.get(many.name)]
	if (least === undefined || most === undefined) return []
	return [
		{
			group: 'append',
			what: `append with ${many.name}`,
			unit: 'us',
			ours: most,
			peer: { name: few.name, summary: least },
			ratio: most.median / least.median,
			target: { atMost: TOLERANCE },
		},
	]
}

const VIEWS = 32
const READERS = 8
const POGS = 1024
const SMALLEST_RING = 64 * 1024

export const append: Case = {
	name: 'append',
	about: 'cost of an append with many views, readers and POGs',
	run: async bench => {
		const program = await build('fuse-ops')
		if (isMissing(program)) return [{ group: 'append', what: 'append', unit: 'us', note: program.missing }]
		const rows: Row[] = []
		const readers: Server[] = []
		const service = await Service.start(bench.server)
		/* POGs with rings of the smallest size; two services, so that "one POG" stays one while the other has many. */
		const crowded = await Service.start(bench.server)
		try {
			const pogOf = async (name: string, conf: string): Promise<string> =>
				(await service.create({ name, ringBytes: SMALLEST_RING, conf })).paths.devKmsg
			const one = { name: '1 view', devKmsg: await pogOf('one', viewsConf(1)) }
			const many = { name: `${VIEWS} views`, devKmsg: await pogOf('many', viewsConf(VIEWS)) }
			const rules = (await service.show('many')).conf.rules
			const views = await compare(bench, program.path, 'views', one, many)
			rows.push(...views.map(row => (rules === VIEWS ? row : { ...row, note: `only ${rules} views were accepted` })))

			const read = await service.create({ name: 'read', ringBytes: SMALLEST_RING, conf: viewsConf(1) })
			const view = path.join(read.paths.varLog, 'view0')
			for (let count = 0; count < READERS; count++)
				readers.push(new Server(['tail', '-n0', '-f', view], bench.placements[0]?.client))
			const alone = { ...one, name: 'no reader' }
			const crowd = { name: `${READERS} readers`, devKmsg: read.paths.devKmsg }
			rows.push(...(await compare(bench, program.path, 'readers', alone, crowd)))
			for (const reader of readers.splice(0)) await reader.stop()

			bench.say(`${POGS} POGs`)
			for (let count = 0; count < POGS; count++)
				await crowded.create({ name: `pog${count}`, ringBytes: SMALLEST_RING, conf: viewsConf(1) })
			const last = await crowded.show(`pog${POGS - 1}`)
			const among = { name: `${POGS} POGs`, devKmsg: last.paths.devKmsg }
			rows.push(...(await compare(bench, program.path, 'POGs', { ...one, name: 'few POGs' }, among)))
			return rows
		} finally {
			for (const reader of readers) await reader.stop()
			await service.stop()
			await crowded.stop()
		}
	},
}
