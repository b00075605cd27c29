/**
 * `make demo`: starts pogshim and two containers with POGs of their own, two native containers beside them, does the same
 * to both and prints one table.
 *
 * Exit status: 0 only if every POGs cell holds; 1 when one does not or the demo broke; 2 when this machine lacks something.
 * Invariant: everything that was started is stopped and every directory removed, also on ^C.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { PogInfo } from '../../src/pog/info.ts'
import { Container, runProgram } from './container.ts'
import { findSyslogd, kernelLogAccess, Native } from './native.ts'
import { FUNCTIONS, GROUPS } from './rows.ts'
import type { Scene } from './rows.ts'
import { formatTable } from './table.ts'
import type { Row } from './table.ts'

const POGSHIM = fileURLToPath(new URL('../../dist/bin/pogshim', import.meta.url))
const POGCTL = fileURLToPath(new URL('../../dist/bin/pogctl', import.meta.url))
const READY_MS = 15_000
const END_MS = 8000

const started = Date.now()
const step = (text: string): void => {
	console.log(`[${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`)
}

/** In one line what stands in the way, or undefined. */
function whatIsMissing(): string | undefined {
	if (!existsSync('/dev/fuse')) return '/dev/fuse not found: try "modprobe fuse" as root'
	try {
		accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
	} catch {
		return '/dev/fuse may not be opened by this user: run as root, or allow it (chmod 666 /dev/fuse)'
	}
	if (!existsSync(POGSHIM)) return 'dist/bin/pogshim not found: run "make build"'
	return undefined
}

/** Continues below a user namespace of its own, where this user is root. */
async function asRootOfOwnNamespace(): Promise<number> {
	const allowed = await runProgram('unshare', ['-Urm', 'true'])
	if (allowed.code !== 0) {
		console.error(`demo: no user namespaces for this user (${allowed.out.trim()}): run as root`)
		return 2
	}
	step('not root: continuing in a user namespace')
	const child = spawn('unshare', ['-Urm', process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
		stdio: 'inherit',
	})
	for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
	return new Promise(resolve => child.on('exit', code => resolve(code ?? 1)))
}

class Demo {
	readonly directory = mkdtempSync(`${tmpdir()}/pogs-demo-`)
	readonly #runDir = `${this.directory}/run`
	readonly #containers: Container[] = []
	#service: ChildProcess | undefined
	#said = ''
	#native: Native | undefined

	async play(): Promise<boolean> {
		await this.#startService()
		const red = this.#container('red')
		const blue = this.#container('blue')
		for (const each of [red, blue]) {
			await each.run(FUNCTIONS)
			await each.run("printf '*.* /var/log/messages\\n' >/etc/syslog.conf")
		}
		step('two containers with POGs: red and blue (pogctl run -- sh)')
		const syslogd = await findSyslogd(this.directory)
		const native = new Native(this.directory, syslogd)
		this.#native = native
		await native.start()
		const { red: nativeRed, blue: nativeBlue } = native
		if (nativeRed === undefined || nativeBlue === undefined) throw new Error('No native containers')
		for (const each of [nativeRed, nativeBlue]) await each.run(FUNCTIONS)
		step(
			`two native containers, sharing /dev/kmsg and ${syslogd === undefined ? 'no syslogd (none to be had)' : 'one rsyslogd'}`,
		)
		const salt = randomBytes(4).toString('hex')
		const info = async (name: string): Promise<PogInfo> => {
			const shown = await this.#pogctl('show', name, '--json')
			return JSON.parse(shown) as PogInfo
		}
		const kernelLog = kernelLogAccess()
		return this.#compare({ native, nativeRed, nativeBlue, red, blue, kernelLog, salt, info })
	}

	/** Ends everything, in order; safe to call at any time. */
	async stop(): Promise<void> {
		for (const container of this.#containers) await container.stop()
		await this.#native?.stop()
		const service = this.#service
		if (service !== undefined && service.exitCode === null && service.signalCode === null) {
			const ended = new Promise(resolve => service.once('exit', resolve))
			service.kill('SIGTERM')
			const timer = setTimeout(() => service.kill('SIGKILL'), END_MS)
			await ended
			clearTimeout(timer)
		}
		await this.#unmountLeftovers()
		rmSync(this.directory, { recursive: true, force: true })
	}

	async #startService(): Promise<void> {
		const service = spawn(POGSHIM, ['--run-dir', this.#runDir], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
		this.#service = service
		for (const stream of [service.stdout, service.stderr]) {
			stream.on('data', (chunk: Buffer) => {
				this.#said = (this.#said + chunk.toString('utf8')).slice(-4000)
			})
		}
		const deadline = Date.now() + READY_MS
		while ((await runProgram(POGCTL, ['--run-dir', this.#runDir, 'ls', '--json'])).code !== 0) {
			if (service.exitCode !== null || Date.now() > deadline)
				throw new Error(`pogshim does not start: ${this.#said.trim()}`)
		}
		step(`pogshim serves (pid ${service.pid}, ${this.#runDir})`)
	}

	#container(name: string): Container {
		const line = [POGCTL, '--run-dir', this.#runDir, 'run', '--name', name, '--ring', '1m', '--', 'sh']
		const container = new Container(name, line)
		this.#containers.push(container)
		return container
	}

	async #pogctl(...argv: readonly string[]): Promise<string> {
		const { out, code } = await runProgram(POGCTL, ['--run-dir', this.#runDir, ...argv])
		if (code !== 0) throw new Error(`pogctl ${argv.join(' ')}: ${out.trim()}`)
		return out
	}

	async #compare(scene: Scene): Promise<boolean> {
		const groups: { heading: string; rows: Row[] }[] = []
		for (const { heading, problems } of GROUPS) {
			const rows: Row[] = []
			for (const problem of problems) {
				const { title } = problem
				const row = { title, native: await problem.native(scene), pogs: await problem.pogs(scene) }
				rows.push(row)
				step(`${title}: ${row.pogs.verdict === 'holds' ? 'isolated' : 'BROKEN'}`)
			}
			groups.push({ heading, rows })
		}
		console.log(`\n${formatTable(groups, process.stdout.columns ?? 110)}`)
		const rows = groups.flatMap(group => group.rows)
		const held = rows.filter(row => row.pogs.verdict === 'holds').length
		console.log(
			`\nPOGs: ${held} of ${rows.length} hold. Native: ${rows.filter(row => row.native.verdict === 'broken').length} broken, the rest as said.`,
		)
		return held === rows.length
	}

	/** What a service that was killed leaves: the mounts below our directory. */
	async #unmountLeftovers(): Promise<void> {
		const points = readFileSync('/proc/self/mountinfo', 'utf8')
			.split('\n')
			.map(line => line.split(' ')[4] ?? '')
			.filter(point => point.startsWith(`${this.directory}/`))
		for (const point of points.reverse()) await runProgram('umount', ['-l', point])
	}
}

async function main(): Promise<number> {
	const missing = whatIsMissing()
	if (missing !== undefined) {
		console.error(`demo: ${missing}`)
		return 2
	}
	if (process.getuid?.() !== 0) return asRootOfOwnNamespace()
	const demo = new Demo()
	let interrupted = false
	const interrupt = (): void => {
		if (interrupted) return
		interrupted = true
		step('interrupted: stopping everything')
		void demo.stop().then(() => process.exit(130))
	}
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
	try {
		return (await demo.play()) ? 0 : 1
	} catch (error) {
		if (!interrupted) console.error(`demo: ${error instanceof Error ? error.message : String(error)}`)
		return 1
	} finally {
		if (interrupted) await new Promise(() => undefined)
		await demo.stop()
		step('stopped everything')
	}
}

process.exitCode = await main()
