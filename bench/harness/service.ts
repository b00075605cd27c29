/**
 * A POGs service of its own for a measurement: compiled, in a run directory that nobody else uses.
 *
 * Source of truth: src/control/calls.ts for the API. Invariant: after `stop` no process, mount or directory of it is left,
 * whether it ended well or not; a guard process sees to that when the measuring process itself dies.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Client } from '../../src/control/client.ts'
import type { PogSpec } from '../../src/control/service.ts'
import type { PogInfo } from '../../src/pog/info.ts'
import { PROJECT } from './build.ts'
import { type Cpu, run, Server, until } from './process.ts'

/** POGS_BENCH_SHIM: another build, to hold one against the other. */
const SHIM = process.env['POGS_BENCH_SHIM'] ?? path.join(PROJECT, 'dist/bin/pogshim.js')

/** What a fresh container logs by: everything to one file, a second rule so that routing has something to decide. */
export const BENCH_CONF = '*.*\t/var/log/messages\nauth,authpriv.*\t/var/log/auth.log\n'

/** Mount points at or below a directory, deepest first. */
const mountsBelow = (directory: string): string[] =>
	readFileSync('/proc/self/mountinfo', 'latin1')
		.split('\n')
		.map(line => line.split(' ')[4] ?? '')
		.filter(target => target === directory || target.startsWith(`${directory}/`))
		.reverse()

export class Service {
	readonly runDir: string
	readonly #server: Server
	readonly #client: Client
	/** Cleans up when its input ends. */
	readonly #guard: ChildProcess

	private constructor(runDir: string, server: Server) {
		this.runDir = runDir
		this.#server = server
		this.#guard = spawn('sh', [path.join(PROJECT, 'fixtures/programs/guard.sh'), runDir, String(server.pid)], {
			stdio: ['pipe', 'ignore', 'ignore'],
			detached: true,
		})
		this.#guard.unref()
		this.#client = new Client(runDir)
	}

	/** Whether the program is built. */
	static get built(): boolean {
		return existsSync(SHIM)
	}

	/** Starts a service on one CPU, with more options and more lines of policy if any; throws when it does not come up. */
	static async start(cpu: Cpu, more: readonly string[] = [], policy = ''): Promise<Service> {
		/* In memory, as /run is. */
		const runDir = mkdtempSync(existsSync('/dev/shm') ? '/dev/shm/pogs-bench-' : '/tmp/pogs-bench-')
		/* The benchmark is one writer of many records on one open description: the kernel's rate limit would drop them. */
		const etcDir = path.join(runDir, 'etc')
		mkdirSync(etcDir)
		writeFileSync(path.join(etcDir, 'pogs.conf'), `devkmsg = on\n${policy}`)
		const server = new Server(
			['setsid', process.execPath, SHIM, '--run-dir', runDir, '--etc-dir', etcDir, ...more],
			cpu,
		)
		const service = new Service(runDir, server)
		try {
			await server.ready(async () => 'value' in (await service.#client.call('describe', {})))
		} catch (error) {
			await service.stop()
			throw error
		}
		return service
	}

	/** The process that serves: not the one that was started, which keeps its descriptors. */
	async engine(): Promise<number> {
		return this.#answered('describe', await this.#client.call('describe', {})).engine.pid
	}

	async create(spec: PogSpec): Promise<PogInfo> {
		return this.#answered('create', await this.#client.call('create', { body: { conf: BENCH_CONF, ...spec } }))
	}

	async show(name: string): Promise<PogInfo> {
		return this.#answered('show', await this.#client.call('show', { params: { name } }))
	}

	/** Empties its views. */
	async clear(name: string): Promise<void> {
		this.#answered('clear', await this.#client.call('clear', { params: { name } }))
	}

	async remove(name: string): Promise<void> {
		this.#answered('remove', await this.#client.call('remove', { params: { name } }))
	}

	#answered<T>(what: string, answer: { readonly value: T } | { readonly failure: { readonly message: string } }): T {
		if ('failure' in answer) throw new Error(`${what}: ${answer.failure.message}`)
		return answer.value
	}

	/** Process ids of the service: the one that was started and all its descendants. */
	async processes(): Promise<number[]> {
		const { stdout } = await run(['ps', '-e', '-o', 'pid=,ppid='])
		const pairs = stdout
			.trim()
			.split('\n')
			.map(line => line.trim().split(/\s+/).map(Number))
		const found = [this.#server.pid]
		for (const parent of found)
			for (const [pid = 0, ppid = 0] of pairs) if (ppid === parent && !found.includes(pid)) found.push(pid)
		return found
	}

	async stop(): Promise<void> {
		await this.#server.stop()
		this.#guard.ref()
		this.#guard.stdin?.end()
		await until('the guard ends', () => this.#guard.exitCode !== null || this.#guard.signalCode !== null)
		for (const target of mountsBelow(this.runDir)) await run(['umount', '-l', target]).catch(() => undefined)
		if (mountsBelow(this.runDir).length === 0) rmSync(this.runDir, { recursive: true, force: true })
	}
}
