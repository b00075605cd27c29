/**
 * A machine with systemd as its first process: systemd-nspawn over this machine's own root file system, whose changes stay in memory.
 * Nothing that is enabled here is enabled there, so only systemd's own services run.
 *
 * Source: systemd-nspawn(1), kernel Documentation/filesystems/overlayfs.rst. Invariant: `stop` leaves no process, mount, cgroup or
 * file, and a guard does the same but for cgroups when the test process dies; the machine has none of this one's devices but
 * /dev/fuse, and a network of its own.
 */
import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmdirSync,
	rmSync,
	writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Ended, find, fixtureProgram, run, type Running, start, until } from './running.ts'

const SYSTEMD = ['/lib/systemd/systemd', '/usr/lib/systemd/systemd'].find(path => existsSync(path))
const PROGRAMS = ['systemd-nspawn', 'nsenter', 'mount', 'umount', 'make']
/** Where systemd looks for programs. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'
/** The hierarchies that systemd-nspawn makes cgroups in: cgroup v1 with v2 beside it, or v2 alone. */
const CGROUPS = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup']

/** What stands against a machine here; undefined when it is worth trying. */
function missing(): string | undefined {
	if (process.getuid?.() !== 0) return 'needs root'
	const lacking = PROGRAMS.filter(name => !find(name))
	if (lacking.length > 0) return `needs ${lacking.join(', ')}; try test/install-packages.sh`
	if (SYSTEMD === undefined) return 'needs systemd'
	return existsSync('/dev/fuse') ? undefined : 'needs /dev/fuse'
}

export class Machine {
	/** Its root file system, as seen from here. */
	readonly root: string
	readonly #directory: string
	readonly #nspawn: Running
	readonly #guard: () => Promise<void>
	readonly #cgroups: readonly string[]
	#leader = 0

	private constructor(directory: string, root: string, cgroups: readonly string[]) {
		this.#directory = directory
		this.root = root
		this.#cgroups = cgroups
		const node = PATH.split(':').includes(dirname(process.execPath))
			? []
			: [`--bind-ro=${process.execPath}:/usr/local/bin/node`]
		const nspawn = ['-q', '--register=no', '--keep-unit', '--private-network', '--capability=CAP_SYSLOG']
		const line = [...nspawn, ...node, '--bind=/dev/fuse', '-D', root, '-M', `pogs-${process.pid}`, '--boot']
		const enter = cgroups.map(group => `echo $$ >${group}/cgroup.procs;`).join(' ')
		// Its filter of system calls knows less than this kernel. "setsid": a process group of its own, for the guard.
		const script = `${enter} exec setsid env SYSTEMD_SECCOMP=0 systemd-nspawn "$@" systemd.unit=multi-user.target`
		this.#nspawn = start('sh', ['-c', script, 'sh', ...line])
		this.#guard = startGuard(directory, this.#nspawn.pid)
	}

	/** Boots one; or why there is none. */
	static async boot(): Promise<Machine | string> {
		const why = missing()
		if (why !== undefined) return why
		const directory = mkdtempSync(join(tmpdir(), 'pogs-e2e-'))
		try {
			execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'machine', directory], { stdio: 'pipe' })
			for (const name of ['upper', 'work', 'root']) mkdirSync(join(directory, name))
			const layers = `lowerdir=/,upperdir=${directory}/upper,workdir=${directory}/work`
			execFileSync('mount', ['-t', 'overlay', '-o', layers, 'machine', join(directory, 'root')], { stdio: 'pipe' })
		} catch (error) {
			removeAll(directory)
			return `needs an overlay of the root file system: ${String(error)}`
		}
		empty(join(directory, 'root'))
		const machine = new Machine(directory, join(directory, 'root'), makeCgroups())
		try {
			await machine.#booted()
			return machine
		} catch (error) {
			const said = machine.#nspawn.stdout() + machine.#nspawn.stderr()
			await machine.stop()
			return `systemd does not start in systemd-nspawn: ${String(error)} ${said.slice(-300).replaceAll(/\s+/g, ' ')}`
		}
	}

	async #booted(): Promise<void> {
		await until('its first process is systemd', () => this.#findLeader(), 15_000)
		await until(
			'it has started',
			async () => /running|degraded/.test((await this.sh('systemctl is-system-running')).stdout),
			30_000,
		)
	}

	/** systemd-nspawn has one child at a time: one that prepares the root, then the first process. */
	#findLeader(): boolean {
		const { pid } = this.#nspawn
		if (!existsSync(`/proc/${pid}`)) throw new Error('systemd-nspawn ended')
		try {
			this.#leader = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim())
			return readlinkSync(`/proc/${this.#leader}/exe`).endsWith('/systemd')
		} catch {
			return false
		}
	}

	#line(script: string): [string, string[]] {
		const namespaces = ['-t', String(this.#leader), '-m', '-u', '-i', '-p', '-n', '-r', '-w']
		const environment = [
			'env',
			'-i',
			`PATH=${PATH}`,
			'HOME=/root',
			'LC_ALL=C.UTF-8',
			'SYSTEMD_COLORS=0',
			'SYSTEMD_PAGER=',
		]
		return ['nsenter', [...namespaces, ...environment, 'sh', '-c', script]]
	}

	/** Runs a shell script in there, as root and outside of its services. */
	sh(script: string, timeoutMs = 30_000): Promise<Ended> {
		return run(...this.#line(script), { timeoutMs })
	}

	/** The same, but it must succeed; its output without the last newline. */
	async out(script: string, timeoutMs?: number): Promise<string> {
		const { code, stdout, stderr } = await this.sh(script, timeoutMs)
		if (code !== 0) throw new Error(`${script}: ended with ${code}: ${stderr.slice(-1_000)}${stdout.slice(-1_000)}`)
		return stdout.replace(/\n$/, '')
	}

	start(script: string): Running {
		return start(...this.#line(script))
	}

	/** Ends it, and removes all of it. */
	async stop(): Promise<void> {
		// A first process that is gone takes all of its machine along.
		if (this.#leader > 1) kill(this.#leader)
		await this.#nspawn.stop()
		await this.#guard()
		removeAll(this.#directory)
		for (const group of this.#cgroups) removeCgroup(group)
	}
}

/** Takes out what the machine is not to start or mount. */
function empty(root: string): void {
	for (const name of [
		'etc/systemd/system',
		'var/log/journal',
		...['0', '1', '2', '3', '4', '5', '6', 'S'].map(n => `etc/rc${n}.d`),
	])
		rmSync(join(root, name), { recursive: true, force: true })
	// Without a machine id systemd takes it for a first boot, and enables what is installed.
	writeFileSync(join(root, 'etc/machine-id'), `${randomUUID().replaceAll('-', '')}\n`)
	writeFileSync(join(root, 'etc/fstab'), '')
	for (const name of ['usr/local/lib/pogs', 'usr/local/bin/pogshim', 'usr/local/bin/pogctl', 'etc/pogs'])
		rmSync(join(root, name), { recursive: true, force: true })
}

function makeCgroups(): string[] {
	const made: string[] = []
	for (const root of CGROUPS) {
		if (!existsSync(`${root}/cgroup.procs`)) continue
		const group = `${root}/pogs-test-${process.pid}`
		mkdirSync(group)
		made.push(group)
	}
	return made
}

function removeCgroup(group: string): void {
	for (const entry of readdirSync(group, { withFileTypes: true }))
		if (entry.isDirectory()) removeCgroup(join(group, entry.name))
	rmdirSync(group)
}

function startGuard(directory: string, group: number): () => Promise<void> {
	const guard = spawn('sh', [fixtureProgram('guard.sh'), directory, String(group)], {
		detached: true,
		stdio: ['pipe', 'ignore', 'ignore'],
	})
	guard.unref()
	return async () => {
		guard.stdin.end()
		await until('the guard ends', () => guard.exitCode !== null || guard.signalCode !== null, 10_000)
	}
}

/** The guard has done most of it, when there was one. */
function removeAll(directory: string): void {
	for (const place of [join(directory, 'root'), directory]) {
		try {
			execFileSync('umount', ['-l', place], { stdio: 'pipe' })
		} catch {
			// Not mounted, or not any more.
		}
	}
	rmSync(directory, { recursive: true, force: true })
}

function kill(pid: number): void {
	try {
		process.kill(pid, 'SIGKILL')
	} catch {
		// Gone.
	}
}
