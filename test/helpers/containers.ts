/**
 * Small real containers for tests: a busybox root file system, run by unshare, runc or crun until it is stopped.
 *
 * Who makes one stops it, also on failure.
 */
import {
	chmodSync,
	chownSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readFileSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CACHE, output, run, type Running, start, until } from './programs.ts'

export const BUSYBOX = join(CACHE, 'bin/busybox')
const APPLETS = [
	'sh',
	'cat',
	'echo',
	'ls',
	'logger',
	'mount',
	'umount',
	'sleep',
	'mkdir',
	'pivot_root',
	'tail',
	'stat',
	'id',
	'rm',
	'rmdir',
	'mv',
	'ln',
	'timeout',
]
/** A private mount namespace and a pid namespace. */
export const UNSHARED = ['-m', '-p', '-f', '--kill-child', '--propagation', 'private']

let serial = 0

/** A container that runs, for a test to look at. */
export interface Container {
	/** A process of it, as the host sees it. */
	readonly pid: number
	readonly root: string
	sh(script: string): Promise<string>
	stop(): Promise<void>
}

/** A root file system of busybox alone, owned by host id `owner`. */
export function makeRoot(within: string, owner = 0): string {
	const root = join(within, `root-${++serial}`)
	for (const directory of ['', 'bin', 'proc', 'dev', 'etc', 'tmp', 'sys', 'old']) {
		mkdirSync(join(root, directory), { recursive: true })
		chownSync(join(root, directory), owner, owner)
	}
	copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
	chmodSync(join(root, 'bin/busybox'), 0o755)
	for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet))
	chmodSync(within, 0o755)
	return root
}

/** The first child of a process; NaN when it has none. */
export function childOf(pid: number): number {
	return Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1'), 10)
}

/** Runs a shell in the mount and pid namespace of a process. */
export async function inside(pid: number, script: string, args: readonly string[] = []): Promise<string> {
	return output('nsenter', ['-t', `${pid}`, '-m', '-p', ...args, '-r', '-w', '/bin/sh', '-c', script])
}

/** A container as `unshare` makes it; `setup` runs in it, in its own root, before it is ready. */
export async function unshared(root: string, setup = '', options = UNSHARED): Promise<Container> {
	const script = `set -e; mount --bind "$1" "$1"; cd "$1"; mount -t proc proc proc; mount -t tmpfs -o mode=755 dev dev
		: >dev/null; ${setup}
		pivot_root . old; umount -l /old; exec /bin/sh -c 'echo ready; exec cat'`
	const running = start('unshare', [...options, 'sh', '-c', script, 'sh', root])
	await running.printed('the container is up', stdout => stdout.includes('ready'))
	return containerOf(running, root)
}

/** The container whose first process is the child of a program. */
export function containerOf(running: Running, root: string, args: readonly string[] = []): Container {
	const pid = childOf(running.pid)
	return { pid, root, sh: script => inside(pid, script, args), stop: async () => void (await running.stop('SIGKILL')) }
}

/** A container of an OCI runtime. */
export async function oci(runtime: string, root: string, owner = 0): Promise<Container> {
	const bundle = join(dirname(root), `bundle-${++serial}`)
	const id = `pogs-attach-${process.pid}-${serial}`
	mkdirSync(bundle)
	await output(runtime, ['spec'], { cwd: bundle })
	const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as OciSpec
	config.root = { path: root, readonly: false }
	config.process.terminal = false
	config.process.args = ['/bin/sh', '-c', 'echo ready; exec cat']
	if (owner > 0) {
		config.linux.namespaces.push({ type: 'user' })
		config.linux.uidMappings = config.linux.gidMappings = [{ containerID: 0, hostID: owner, size: 65_536 }]
	}
	writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
	const pidFile = join(bundle, 'pid')
	const running = start(runtime, ['run', '--bundle', bundle, '--pid-file', pidFile, id])
	await running.printed('the container is up', stdout => stdout.includes('ready'))
	// The runtime may write it after it has let the container go.
	let pid = 0
	await until('its process id is written', () => {
		pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'latin1')) : 0
		return pid > 0
	})
	return {
		pid,
		root,
		sh: script => output(runtime, ['exec', id, '/bin/sh', '-c', script]),
		stop: async () => {
			await run(runtime, ['kill', id, 'KILL'])
			await running.ended()
			await run(runtime, ['delete', '--force', id])
		},
	}
}

interface OciSpec {
	root: { path: string; readonly: boolean }
	process: { terminal: boolean; args: string[] }
	linux: {
		namespaces: { type: string }[]
		uidMappings?: { containerID: number; hostID: number; size: number }[]
		gidMappings?: { containerID: number; hostID: number; size: number }[]
	}
}
