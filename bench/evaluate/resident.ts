/** Memory of a service: what all its processes have resident, ring pages (shared memory) aside. /proc/PID/status, proc(5). */
import { readFileSync } from 'node:fs'
import type { Service } from '../harness/service.ts'

/** In thousands of bytes. */
export const residentKb = async (service: Service): Promise<number> => {
	let kibibytes = 0
	for (const pid of await service.processes()) {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1')
		for (const [, size] of status.matchAll(/^Rss(?:Anon|File):\s*(\d+)/gm)) kibibytes += Number(size)
	}
	return (kibibytes * 1024) / 1e3
}
