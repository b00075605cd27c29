/** Memory of a service: what all its processes have resident, ring pages (shared memory) aside. /proc/PID/status, proc(5). */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from './service.ts'

/** In thousands of bytes. */
export const residentKb = async (service: Service): Promise<number> => {
	let kibibytes = 0
	for (const pid of await service.processes()) {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1')
		for (const [, size] of status.matchAll(/^Rss(?:Anon|File):\s*(\d+)/gm)) kibibytes += Number(size)
	}
	return (kibibytes * 1024) / 1e3
}

const STEP_MS = 500
const STEPS_IN_A_ROW = 4
const MOST_STEPS = 60
const NOTHING = 0.005

/** Waits until it has loaded all that it loads by itself, the engine that stands by too: what comes then is of its POGs. */
export const warmedUp = async (service: Service): Promise<void> => {
	let before = await residentKb(service)
	for (let [step, still] = [0, 0]; step < MOST_STEPS && still < STEPS_IN_A_ROW; step++) {
		await sleep(STEP_MS)
		const now = await residentKb(service)
		still = Math.abs(now - before) < NOTHING * before ? still + 1 : 0
		before = now
	}
}
