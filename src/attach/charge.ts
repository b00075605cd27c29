/**
 * Makes a container's memory cgroup pay for a file of its POG: a small helper in the cgroup allocates it, step by step.
 *
 * Source: cgroups(7), proc(5) for /proc/PID/cgroup; Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst (v6.12):
 * the first to touch a page of tmpfs pays, and the charge outlives it. The helper is `mount/pogs-charge`, which hooks run as
 * well. Invariant: it gets nothing else in the cgroup killed; a container without room keeps less.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseMountinfo } from './mountinfo.ts'

export interface MemoryCgroup {
	readonly version: 1 | 2
	/** Its directory on this host, and the mount point that it is below. */
	readonly directory: string
	readonly top: string
}

export interface ChargeJob {
	readonly cgroup: MemoryCgroup
	/** A file without pages yet on a tmpfs: what somebody has touched is paid for. It grows to `bytes`. */
	readonly path: string
	readonly bytes: number
	/** How much is asked for at a time when the cgroup is near its limit; 256 KiB by default. */
	readonly stepBytes?: number
	/** How long a cgroup that is frozen, or that waits for memory, may hold us up; 3 s by default. */
	readonly timeoutMs?: number
}

/** The bytes that the cgroup pays for now, from the file's beginning; `problem` says why they are fewer than asked for. */
export interface Charged {
	readonly bytes: number
	readonly problem?: string
}

const HELPER = fileURLToPath(new URL('../../mount/pogs-charge', import.meta.url))
const STEP_BYTES = 256 * 1024
const TIMEOUT_MS = 3_000
const BLOCK_BYTES = 512

/**
 * Where a process's memory is accounted: the memory hierarchy of version 1 where there is one, else the unified one.
 * Undefined when it is mounted nowhere we see, or the cgroup is gone.
 */
export function parseMemoryCgroup(procCgroup: string, mountinfo: string): MemoryCgroup | undefined {
	const mounts = parseMountinfo(mountinfo)
	let unified: string | undefined
	for (const line of procCgroup.split('\n')) {
		const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
		if (match === null) continue
		const [, controllers = '', path = ''] = match
		if (controllers === '') unified = path
		else if (controllers.split(',').includes('memory')) {
			const places = mounts.filter(({ type, superOptions }) => type === 'cgroup' && has(superOptions, 'memory'))
			return firstBelow(1, places, path)
		}
	}
	return unified === undefined
		? undefined
		: firstBelow(
				2,
				mounts.filter(({ type }) => type === 'cgroup2'),
				unified,
			)
}

function has(superOptions: string, option: string): boolean {
	return superOptions.split(',').includes(option)
}

/** A mount may show a part of the hierarchy only (`root`), and a path may lie outside of our cgroup namespace (`/..`). */
function firstBelow(
	version: 1 | 2,
	mounts: readonly { root: string; point: string }[],
	path: string,
): MemoryCgroup | undefined {
	if (path.endsWith(' (deleted)') || /(^|\/)\.\.(\/|$)/.test(path)) return undefined
	for (const { root, point } of mounts) {
		const base = root === '/' ? '' : root
		if (path !== base && !path.startsWith(`${base}/`)) continue
		const below = path.slice(base.length).replace(/\/$/, '')
		return { version, directory: `${point}${below}`, top: point }
	}
	return undefined
}

/** The memory cgroup of a process; undefined when it has none, or is gone. */
export function memoryCgroupOf(pid: number): MemoryCgroup | undefined {
	try {
		const read = (path: string): string => readFileSync(path, 'latin1')
		const cgroup = parseMemoryCgroup(read(`/proc/${pid}/cgroup`), read('/proc/self/mountinfo'))
		return cgroup !== undefined && isAccounted(cgroup) ? cgroup : undefined
	} catch {
		return undefined
	}
}

/** In the unified hierarchy a cgroup may leave its memory to one above, or nobody may account it. */
function isAccounted({ directory, top }: MemoryCgroup): boolean {
	for (let at = directory; at.startsWith(`${top}/`); at = dirname(at)) {
		if (existsSync(`${at}/memory.current`) || existsSync(`${at}/memory.usage_in_bytes`)) return true
	}
	return false
}

/** Allocates a file at the expense of a cgroup, as much of it as there is room for. */
export async function chargeFile(job: ChargeJob): Promise<Charged> {
	const { cgroup, path, bytes, stepBytes = STEP_BYTES, timeoutMs = TIMEOUT_MS } = job
	const before = allocatedBytes(path)
	if (before < 0) return { bytes: 0, problem: `Cannot look at ${path}` }
	if (isFrozen(cgroup)) return { bytes: 0, problem: 'The container is paused' }
	const told = await runHelper([path, String(bytes), String(stepBytes), cgroup.directory, cgroup.top], timeoutMs)
	// What is there counts, not what was said: the helper may have been killed in the middle.
	const got = Math.min(bytes, Math.max(0, allocatedBytes(path) - before))
	if (got >= bytes) return { bytes }
	return { bytes: got, problem: told ?? `The container has room for ${got} of ${bytes} bytes` }
}

function allocatedBytes(path: string): number {
	try {
		return statSync(path).blocks * BLOCK_BYTES
	} catch {
		return -1
	}
}

/** A helper in a frozen cgroup would freeze as well. Version 1 freezes in a hierarchy of its own. */
function isFrozen({ version, directory }: MemoryCgroup): boolean {
	if (version === 1) return false
	try {
		return /^frozen 1$/m.test(readFileSync(`${directory}/cgroup.events`, 'latin1'))
	} catch {
		return false
	}
}

/** Runs the helper in a process group of its own; what went wrong, or undefined. */
function runHelper(args: readonly string[], timeoutMs: number): Promise<string | undefined> {
	return new Promise(resolve => {
		// Its allocator inherits both pipes, so "close" means that nobody allocates any more, even when the shell was killed.
		const child = spawn('sh', [HELPER, ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
		child.stdout.resume()
		let said = ''
		let late = false
		const timer = setTimeout(() => {
			late = true
			if (child.pid !== undefined) killGroup(child.pid)
		}, timeoutMs)
		child.stderr.setEncoding('utf8').on('data', (piece: string) => {
			said = (said + piece).slice(0, 500)
		})
		child.once('error', error => {
			clearTimeout(timer)
			resolve(`Cannot run ${HELPER}: ${error.message}`)
		})
		child.once('exit', (_, signal) => {
			if (signal !== null && child.pid !== undefined) killGroup(child.pid)
		})
		child.once('close', (code, signal) => {
			clearTimeout(timer)
			if (late) resolve(`The container did not give memory in ${timeoutMs} ms`)
			else if (signal !== null) resolve(`The container ran out of memory: the helper got ${signal}`)
			else resolve(code === 0 ? undefined : `Cannot charge the container: ${said.trim() || `exit code ${code}`}`)
		})
	})
}

function killGroup(pid: number): void {
	try {
		process.kill(-pid, 'SIGKILL')
	} catch {
		// It ended just now.
	}
}
