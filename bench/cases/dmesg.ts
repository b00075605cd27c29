/**
 * dmesg(1) of 4,000 records from a POG against the same program on the real kernel log.
 *
 * Both devices are filled by the same program with the same texts. The POG's file is bound over /dev/kmsg in a private mount
 * namespace. On the real log the oldest records give way, as they do whenever the kernel logs.
 */
import { build, isMissing } from '../harness/build.ts'
import { type Case, targetAt } from '../harness/case.ts'
import { run } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import { interleave } from '../harness/statistics.ts'
import type { Row } from '../harness/table.ts'

const RECORDS = 4000
const RUNS = 5

export const dmesg: Case = {
	name: 'dmesg',
	about: 'dmesg of 4,000 records against the real kernel log',
	run: async bench => {
		const [fill, runs] = [await build('kmsg-fill'), await build('time-runs')]
		if (isMissing(fill) || isMissing(runs))
			return [{ group: 'dmesg', what: 'dmesg', unit: 'ms', note: 'bench/install-packages.sh' }]
		try {
			await run([fill.path, '/dev/kmsg', String(RECORDS)])
			await run(['dmesg'])
		} catch (error) {
			return [{ group: 'dmesg', what: 'dmesg', unit: 'ms', note: `no real kernel log: ${String(error).slice(0, 100)}` }]
		}
		const service = await Service.start(bench.server)
		try {
			const pog = await service.create({ name: 'dmesg', ringBytes: 1 << 20 })
			await run([fill.path, pog.paths.devKmsg, String(RECORDS)])
			const rows: Row[] = []
			for (const placement of bench.placements) {
				const { name, client } = placement
				bench.say(`dmesg, ${name}`)
				/* The fastest of a few runs in a row, each time: what is measured is some milliseconds long. */
				const fastest = async (command: readonly string[]): Promise<number> => {
					const { stdout } = await run(command, client)
					return Math.min(...stdout.trim().split('\n').map(Number))
				}
				const timed = [runs.path, String(RUNS), 'dmesg']
				const bind = 'mount --make-rprivate / && mount --bind "$0" /dev/kmsg && exec "$@"'
				const results = await interleave(
					[
						{
							name: 'POGs',
							measure: () => fastest(['unshare', '-m', 'sh', '-c', bind, pog.paths.devKmsg, ...timed]),
						},
						{ name: 'kernel', measure: () => fastest(timed) },
					],
					bench.repeats,
				)
				const [ours, kernel] = [results.get('POGs'), results.get('kernel')]
				if (ours === undefined || kernel === undefined) continue
				rows.push({
					group: 'dmesg',
					what: `dmesg of ${RECORDS} records, ${name}`,
					unit: 'ms',
					ours,
					peer: { name: 'real kernel log', summary: kernel },
					ratio: ours.median / kernel.median,
					...targetAt(bench, placement, { atMost: 1.5 }),
				})
			}
			return rows
		} finally {
			await service.stop()
		}
	},
}
