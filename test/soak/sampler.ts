/** What a service holds at one moment: memory, descriptors, threads, mounts, of the engine and of its keeper. Source: proc(5). */
import { readdirSync, readFileSync, statfsSync } from 'node:fs'

export interface Held {
	readonly rssMiB: number
	/** Of it not shared with a file: heap, stacks, buffers. */
	readonly anonymousMiB: number
	readonly fds: number
	readonly threads: number
}

const NOTHING: Held = { rssMiB: Number.NaN, anonymousMiB: Number.NaN, fds: Number.NaN, threads: Number.NaN }

/** NaN throughout when the process is gone. */
export function heldBy(pid: number): Held {
	try {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1')
		const number = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1])
		return {
			rssMiB: number('VmRSS') / 1024,
			anonymousMiB: number('RssAnon') / 1024,
			fds: readdirSync(`/proc/${pid}/fd`).length,
			threads: number('Threads'),
		}
	} catch {
		return NOTHING
	}
}

/** Mounts below a directory, and what the tmpfs among them hold. */
export function mountsBelow(directory: string): { mounts: number; tmpfsMiB: number } {
	const lines = readFileSync('/proc/self/mounts', 'latin1').split('\n')
	const below = lines.map(line => line.split(' ')).filter(([, place = '']) => place.startsWith(`${directory}/`))
	let tmpfsMiB = 0
	for (const [, place = '', type] of below) {
		if (type !== 'tmpfs') continue
		try {
			const { blocks, bfree, bsize } = statfsSync(place)
			tmpfsMiB += ((blocks - bfree) * bsize) / (1 << 20)
		} catch {
			// Unmounted meanwhile.
		}
	}
	return { mounts: below.length, tmpfsMiB }
}

/** Processes of a group, and their descendants that left it are not counted. */
export function processesOf(group: number): number {
	let count = 0
	for (const entry of readdirSync('/proc')) {
		if (!/^\d+$/.test(entry)) continue
		try {
			const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
			if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === group) count++
		} catch {
			// Gone meanwhile.
		}
	}
	return count
}
