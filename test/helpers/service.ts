/**
 * A pogshim of its own for one test file: started in a directory of its own, asked over its API socket, and cleaned away.
 *
 * `stop` fails when anything is left over (a mount, a process), after removing it; a guard process does the same when the test
 * process itself dies. The test process never opens a path below the mount: it starts `cat` and friends for that.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PogSpec, ServiceInfo } from '../../src/control/service.ts'
import type { PogInfo, PogPaths, RecordInfo } from '../../src/pog/info.ts'
import {
	type Ended,
	fixtureProgram,
	output,
	type ProgramOptions,
	type Running,
	run,
	start,
	TOP,
	until,
} from './programs.ts'
import { TRANSPORT } from './transport.ts'

export interface Answer {
	readonly status: number
	readonly text: string
}

export interface Service {
	readonly directory: string
	readonly runDir: string
	readonly etcDir: string
	readonly pid: number
	/** One call of the API; the body is sent as JSON unless it is a string or bytes. */
	call(method: string, path: string, body?: unknown): Promise<Answer>
	describe(): Promise<ServiceInfo>
	create(name: string, spec?: Omit<PogSpec, 'name'>): Promise<Pog>
	/** What pogshim said on its outputs. */
	said(): string
	/** Ends it, and throws when it does not end or leaves anything behind. */
	stop(): Promise<void>
}

export interface Pog {
	readonly name: string
	readonly paths: PogPaths
	info(): Promise<PogInfo>
	records(): Promise<RecordInfo[]>
	/** Runs `sh -c script` where a container would be: every path of the POG bound over the real one. */
	sh(script: string, options?: InsideOptions): Promise<Ended>
	/** The same, but it must succeed; its output. */
	out(script: string, options?: InsideOptions): Promise<string>
	start(script: string, options?: InsideOptions): Running
	/** Bytes of one of its files, by `cat`. */
	cat(path: string): Promise<string>
	/** Sends datagrams to its /dev/log, each as it is. */
	send(...datagrams: readonly (string | Uint8Array)[]): Promise<void>
}

export interface InsideOptions extends ProgramOptions {
	/** A root file system; the machine's own otherwise. */
	readonly root?: string
	/** Shell commands to run after the binds and before the script, as the outside's root. */
	readonly prepare?: string
}

/**
 * Starts pogshim and waits until its API answers. `args`: more of its options; `etc`: files of its policy directory; `env`:
 * beside ours.
 */
export async function startService(
	options: { args?: readonly string[]; etc?: Record<string, string>; env?: Record<string, string> } = {},
): Promise<Service> {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-e2e-'))
	const runDir = join(directory, 'run')
	const etcDir = join(directory, 'etc')
	mkdirSync(etcDir)
	for (const [name, text] of Object.entries(options.etc ?? {})) writeFileSync(join(etcDir, name), text)
	const [program = '', ...first] = commandOfPogshim()
	const transport = TRANSPORT === 'kernel' ? [] : ['--transport', TRANSPORT]
	const child = spawn(
		program,
		[...first, '--run-dir', runDir, '--etc-dir', etcDir, ...transport, ...(options.args ?? [])],
		{
			cwd: TOP,
			env: { ...process.env, ...options.env },
			detached: true, // a process group of its own: whatever it starts can be found and ended
			stdio: ['ignore', 'pipe', 'pipe'],
		},
	)
	const pid = child.pid ?? -1
	const guard = startGuard(directory, pid)
	let said = ''
	let ended = false
	child.stdout.setEncoding('utf8').on('data', (piece: string) => (said += piece))
	child.stderr.setEncoding('utf8').on('data', (piece: string) => (said += piece))
	child.once('close', () => (ended = true))
	child.once('error', error => (said += String(error)))
	const socket = join(runDir, 'api.sock')
	const call = (method: string, path: string, body?: unknown): Promise<Answer> => callSocket(socket, method, path, body)
	const stop = async (): Promise<void> => {
		const left: string[] = []
		if (!ended) process.kill(pid, 'SIGTERM')
		await until('pogshim ends on SIGTERM', () => ended, 10_000).catch(() =>
			left.push('pogshim does not end on SIGTERM'),
		)
		left.push(...groupMembers(pid).map(member => `process ${member}`))
		left.push(...mountsBelow(directory).map(mount => `mount ${mount}`))
		await endGuard(guard)
		rmSync(directory, { recursive: true, force: true })
		if (left.length > 0) throw new Error(`Left behind: ${left.join(', ')}\n${said.slice(-4_000)}`)
	}
	try {
		await until(
			'pogshim answers on its API socket',
			async () => {
				if (ended) throw new Error('pogshim ended at its start')
				return existsSync(socket) && (await call('GET', '/v1/service').catch(() => undefined))?.status === 200
			},
			20_000,
		)
	} catch (error) {
		await stop().catch(() => undefined)
		throw new Error(`Cannot start pogshim: ${String(error)}\n${said.slice(-4_000)}`)
	}
	return {
		directory,
		runDir,
		etcDir,
		pid,
		call,
		describe: async () => JSON.parse(expectOk(await call('GET', '/v1/service'))) as ServiceInfo,
		create: async (name, spec = {}) => {
			const info = JSON.parse(expectOk(await call('POST', '/v1/pogs', { name, ...spec }))) as PogInfo
			return pogOf(name, info.paths, directory, call)
		},
		said: () => said,
		stop,
	}
}

/** The sources; with POGS_TEST_DIST=1 what was built; with POGS_TEST_PROGRAM that command, an installed pogshim say. */
function commandOfPogshim(): string[] {
	const given = process.env['POGS_TEST_PROGRAM']
	if (given) return given.split(' ')
	if (process.env['POGS_TEST_DIST']) return [process.execPath, join(TOP, 'dist/bin/pogshim.js')]
	return [process.execPath, `--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogshim.ts')]
}

function pogOf(name: string, paths: PogPaths, directory: string, call: Service['call']): Pog {
	const scratch = mkdtempSync(join(directory, 'inside-'))
	const arrange = (script: string, options: InsideOptions): [string, string[], ProgramOptions] => [
		'unshare',
		['-m', '--propagation', 'private', 'sh', fixtureProgram('inside.sh'), script],
		{
			...options,
			env: {
				...options.env,
				POG_SCRATCH: scratch,
				POG_ROOT: options.root ?? '',
				POG_PREPARE: options.prepare ?? '',
				POG_VAR_LOG: paths.varLog,
				POG_PROC_KMSG: paths.procKmsg,
				POG_DEV_KMSG: paths.devKmsg,
				POG_DEV_LOG: paths.devLog,
				POG_SYSLOG_CONF: paths.syslogConf,
				POG_RUN_POG: paths.runPog,
			},
		},
	]
	return {
		name,
		paths,
		info: async () => JSON.parse(expectOk(await call('GET', `/v1/pogs/${name}`))) as PogInfo,
		records: async () =>
			expectOk(await call('GET', `/v1/pogs/${name}/records`))
				.split('\n')
				.filter(line => line !== '')
				.map(line => JSON.parse(line) as RecordInfo),
		sh: (script, options = {}) => run(...arrange(script, options)),
		out: (script, options = {}) => output(...arrange(script, options)),
		start: (script, options = {}) => start(...arrange(script, options)),
		cat: path => output('cat', [path]),
		send: async (...datagrams) => {
			if (datagrams.length === 0) return
			const lines = datagrams.map(datagram => Buffer.from(datagram as string).toString('hex')).join('\n')
			await output('perl', [fixtureProgram('send-datagrams.pl'), paths.devLog], { input: `${lines}\n` })
		},
	}
}

function expectOk(answer: Answer): string {
	if (answer.status >= 200 && answer.status < 300) return answer.text
	throw new Error(`API answered ${answer.status}: ${answer.text.slice(0, 2_000)}`)
}

function callSocket(socketPath: string, method: string, path: string, body?: unknown): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const raw = typeof body === 'string' || body instanceof Uint8Array
		const payload = body === undefined ? undefined : raw ? body : JSON.stringify(body)
		// Without a length Node's client sends the body of a GET or HEAD as if it were a request of its own.
		const length = payload === undefined ? 0 : Buffer.byteLength(payload)
		const headers = payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': length }
		// A connection of its own: one that is kept alive may have been closed meanwhile.
		const asked = request({ socketPath, method, path, headers, timeout: 15_000, agent: false }, response => {
			let text = ''
			response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
			response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
			response.on('error', reject)
		})
		asked.on('timeout', () => asked.destroy(new Error(`${method} ${path} is not answered in 15 s`)))
		asked.on('error', reject)
		asked.end(payload)
	})
}

/** Ends the process group and removes mounts and files once its standard input closes: also when we die. */
function startGuard(directory: string, group: number): ChildProcess {
	const guard = spawn('sh', [fixtureProgram('guard.sh'), directory, String(group)], {
		detached: true,
		stdio: ['pipe', 'ignore', 'ignore'],
	})
	guard.unref()
	return guard
}

async function endGuard(guard: ChildProcess): Promise<void> {
	guard.stdin?.end()
	await until('the guard ends', () => guard.exitCode !== null || guard.signalCode !== null, 10_000)
}

function mountsBelow(directory: string): string[] {
	const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n')
	return lines.map(line => line.split(' ')[1] ?? '').filter(place => place.startsWith(`${directory}/`))
}

function groupMembers(group: number): string[] {
	const members: string[] = []
	for (const entry of readdirSync('/proc')) {
		if (!/^\d+$/.test(entry)) continue
		try {
			const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
			const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
			if (Number(fields[2]) === group && fields[0] !== 'Z') members.push(`${entry} ${stat.slice(0, 40)}`)
		} catch {
			// Gone meanwhile.
		}
	}
	return members
}
