/**
 * Memory of the whole service: all its processes with no POG, and what each of many idle POGs adds.
 *
 * Source of truth: /proc/PID/status (VmRSS, RssAnon, RssFile), proc(5); /proc/meminfo (Slab) for the kernel's share. Ring pages
 * are shared memory (RssShmem), on the POG's tmpfs: they are left out of the growth and told beside it.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Case } from '../harness/case.ts'
import { warmedUp } from '../harness/resident.ts'
import { Service } from '../harness/service.ts'
import { summarise } from '../harness/statistics.ts'

const POGS = 1024
const SMALLEST_RING = 64 * 1024

interface Usage {
	/** Kilobytes of the processes of the service; what they map of files is the same programs and libraries, and counted once. */
	rss: number
	anonymousAndFile: number
	shared: number
	slab: number
}

const field = (text: string, name: string): number =>
	Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0)

const usage = async (service: Service): Promise<Usage> => {
	const total: Usage = { rss: 0, anonymousAndFile: 0, shared: 0, slab: 0 }
	let files = 0
	for (const pid of await service.processes()) {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1')
		total.rss += field(status, 'RssAnon') + field(status, 'RssShmem')
		files = Math.max(files, field(status, 'RssFile'))
		total.anonymousAndFile += field(status, 'RssAnon') + field(status, 'RssFile')
		total.shared += field(status, 'RssShmem')
	}
	total.rss += files
	total.slab = field(readFileSync('/proc/meminfo', 'latin1'), 'Slab')
	return total
}

/** The lowest of several readings, so that garbage waiting for its collector is not counted for memory in use. */
const settled = async (service: Service): Promise<Usage> => {
	let least = await usage(service)
	for (let reading = 0; reading < 10; reading++) {
		await sleep(200)
		const now = await usage(service)
		if (now.anonymousAndFile < least.anonymousAndFile) least = now
	}
	return least
}

export const memory: Case = {
	name: 'memory',
	about: 'memory of the service, idle and with 1,024 idle POGs',
	run: async bench => {
		const service = await Service.start(bench.server)
		try {
			await warmedUp(service)
			const empty = await settled(service)
			const processes = (await service.processes()).length
			bench.say(`${POGS} POGs`)
			for (let count = 0; count < POGS; count++) await service.create({ name: `pog${count}`, ringBytes: SMALLEST_RING })
			const full = await settled(service)
			const each = (full.anonymousAndFile - empty.anonymousAndFile) / POGS
			return [
				{
					group: 'memory',
					what: 'resident, no POG',
					unit: 'MB',
					ours: summarise([(empty.rss * 1024) / 1e6]),
					target: { atMost: 110 },
					note: `${processes} process(es), the files they share counted once`,
				},
				{
					group: 'memory',
					what: `resident, each of ${POGS} idle POGs`,
					unit: 'KB',
					ours: summarise([(each * 1024) / 1e3]),
					target: { atMost: 40 },
					note: `without ring pages (${((full.shared - empty.shared) / POGS).toFixed(1)} KB each)`,
				},
				{
					group: 'memory',
					what: `kernel slab, each of ${POGS} idle POGs`,
					unit: 'KB',
					ours: summarise([(((full.slab - empty.slab) / POGS) * 1024) / 1e3]),
					note: 'for information: mounts, inodes and sockets, in the kernel',
				},
			]
		} finally {
			await service.stop()
		}
	},
}
