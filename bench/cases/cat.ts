/** Sequential reading of a large view: by cat(1), process start included, and by a loop of read(2) with 128 KiB. */
import path from 'node:path'
import { build, isMissing } from '../harness/build.ts'
import type { Case } from '../harness/case.ts'
import { run } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import { interleave } from '../harness/statistics.ts'

const RING_BYTES = 64 << 20
const MESSAGE_BYTES = 1000

export const cat: Case = {
	name: 'cat',
	about: 'cat of a view of 64 MiB',
	run: async bench => {
		const programs = [await build('devlog-send'), await build('fuse-ops'), await build('time-runs')] as const
		const [send, ops, runs] = programs
		if (isMissing(send) || isMissing(ops) || isMissing(runs))
			return [{ group: 'cat', what: 'cat of a large view', unit: 'GB/s', note: 'bench/install-packages.sh' }]
		const service = await Service.start(bench.server)
		try {
			const pog = await service.create({ name: 'cat', ringBytes: RING_BYTES })
			const messages = Math.ceil((RING_BYTES * 1.2) / MESSAGE_BYTES)
			await run([send.path, pog.paths.devLog, '1', String(messages), String(MESSAGE_BYTES)])
			const view = path.join(pog.paths.varLog, 'messages')
			const client = bench.placements[0]?.client
			const { stdout } = await run(['stat', '-c', '%s', view])
			const bytes = Number(stdout)
			const results = await interleave(
				[
					{
						name: 'cat',
						measure: async () => bytes / 1e6 / Number((await run([runs.path, '1', 'cat', view], client)).stdout),
					},
					{
						name: 'loop',
						measure: async () => {
							const out = await run([ops.path, 'seq', pog.paths.varLog, 'messages', '1'], client)
							const [seconds = 0, total = 0] = out.stdout.split(' ').map(Number)
							if (total !== bytes) throw new Error(`the view has ${bytes} bytes, but ${total} were read`)
							return total / 1e9 / seconds
						},
					},
				],
				bench.repeats,
			)
			const size = `${(bytes / 1048576).toFixed(1)} MiB in the view`
			return [
				{ key: 'cat', what: 'cat VIEW > /dev/null' },
				{ key: 'loop', what: 'read(2) of 128 KiB to the end of the view' },
			].flatMap(({ key, what }) => {
				const ours = results.get(key)
				return ours === undefined
					? []
					: [{ group: 'cat', what, unit: 'GB/s', ours, target: { atLeast: 1 }, note: size }]
			})
		} finally {
			await service.stop()
		}
	},
}
