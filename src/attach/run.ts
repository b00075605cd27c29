/**
 * `pogctl run`: starts a command in fresh namespaces with a POG of its own; no container runtime needed.
 *
 * Source: unshare(1) of util-linux 2.38, mount_namespaces(7); the mounts themselves are made by `mount/pogs-enter`.
 * Invariant: the command never starts with a path to the real log; the POG is removed at the end unless it is to be kept.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { accessSync, constants, mkdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Answered, Client, isBroken } from '../control/client.ts'
import type { PogSpec } from '../control/service.ts'
import type { PogInfo, PogPaths } from '../pog/info.ts'
import { answerSyslog } from './answer-syslog.ts'
import { codeOfSignal, EXIT_NOT_STARTED, inForeground, SignalInbox, waitForeground } from './foreground.ts'

/** What `pogctl run` was asked for. */
export interface RunOptions {
	runDir: string
	/** The command's name and a random part when left out. */
	name?: string
	/** Directory that becomes the root, unchanged by what the command writes; the host's own root when left out. */
	rootfs?: string
	ringBytes?: number
	confText?: string
	/** The POG's name when left out. */
	hostname?: string
	/** Leave the POG in place when the command has ended. */
	keep: boolean
	command: string[]
}

const EXIT_UNREACHABLE = 3
const CAP_SYS_ADMIN_BIT = 21n
const ENTER_SCRIPT = fileURLToPath(new URL('../../mount/pogs-enter', import.meta.url))

/** Runs the command and answers its exit code; 125 when it could not be started, 3 when there is no service. */
export async function runCommand(options: RunOptions): Promise<number> {
	const problem = whatIsMissing(options)
	if (problem !== undefined) return complain(problem, EXIT_NOT_STARTED)
	const signals = new SignalInbox()
	try {
		return await runInPog(options, signals)
	} finally {
		signals.close()
	}
}

async function runInPog(options: RunOptions, signals: SignalInbox): Promise<number> {
	const client = new Client(options.runDir)
	const name = options.name ?? chooseName(options.command[0] ?? '')
	const created = await create(client, specOf(options, name))
	if ('failure' in created) {
		const { status, message, diagnostics = [] } = created.failure
		const details = diagnostics.map(each => `\n  line ${each.line}, column ${each.column}: ${each.message}`)
		return complain(message + details.join(''), status === 0 ? EXIT_UNREACHABLE : EXIT_NOT_STARTED)
	}
	try {
		if (signals.pending !== undefined) return codeOfSignal(signals.pending)
		const tell = (pid: number): void => {
			// So that the log ends with the container if we are killed, and is found again if the service and its keeper are.
			void client.call('started', { params: { name }, body: { pid, keep: options.keep } })
		}
		const ended = await waitForeground(start(options, name, created.value.paths), signals, tell)
		if (typeof ended === 'number') return ended
		return complain(`Cannot start the container: ${ended.message}`, EXIT_NOT_STARTED)
	} finally {
		if (!options.keep) {
			const removed = await client.call('remove', { params: { name } })
			if ('failure' in removed) complain(`Cannot remove POG "${name}": ${removed.failure.message}`, 0)
		}
	}
}

/** A service that is replaced in the middle may have made it before it broke off. */
async function create(client: Client, spec: PogSpec): Promise<Answered<PogInfo>> {
	const created = await client.call('create', { body: spec })
	if (!isBroken(created)) return created
	const there = await client.call('show', { params: { name: spec.name } })
	return 'failure' in there ? client.call('create', { body: spec }) : there
}

function start(options: RunOptions, name: string, paths: PogPaths): ChildProcess {
	const runDir = realpathSync(options.runDir)
	const stage = `${runDir}/root`
	mkdirSync(stage, { recursive: true, mode: 0o700 })
	const problem = answerSyslog(runDir, { name, containerId: name })
	if (problem !== undefined) complain(problem, 0)
	const environment = {
		...process.env,
		POGS_STAGE: stage,
		POGS_RUN_DIR: runDir,
		POGS_ROOTFS: options.rootfs === undefined ? '' : realpathSync(options.rootfs),
		POGS_HOSTNAME: options.hostname ?? name,
		POGS_TTY: process.stdin.isTTY ? readlinkSync('/proc/self/fd/0') : '',
		POGS_FOREGROUND: process.stdin.isTTY && inForeground() ? '1' : '',
		POGS_CWD: process.cwd(),
		POGS_VAR_LOG: paths.varLog,
		POGS_PROC_KMSG: paths.procKmsg,
		POGS_DEV_KMSG: paths.devKmsg,
		POGS_DEV_LOG: paths.devLog,
		POGS_SYSLOG_CONF: paths.syslogConf,
		POGS_RUN_POG: paths.runPog,
	}
	const namespaces = ['-m', '-p', '-u', '-i', '-n', '-f', '--kill-child', '--propagation', 'private']
	const line = ['unshare', ...namespaces, 'sh', '-e', ENTER_SCRIPT, ...options.command]
	// A pogctl that is killed outright takes its container along; and whoever looks at the first process sees no way to the host's log.
	if (findProgram('setpriv'))
		line.unshift('setpriv', '--pdeathsig', 'KILL', '--bounding-set', '-syslog', '--inh-caps', '-syslog')
	const [program = '', ...argv] = line
	return spawn(program, argv, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env: environment })
}

function specOf(options: RunOptions, name: string): PogSpec {
	return {
		name,
		containerId: name,
		hostname: options.hostname ?? name,
		...(options.ringBytes === undefined ? {} : { ringBytes: options.ringBytes }),
		...(options.confText === undefined ? {} : { conf: options.confText }),
	}
}

/** What stands in the way, with its remedy, or undefined. */
function whatIsMissing(options: RunOptions): string | undefined {
	if (options.command.length === 0) return 'No command to run: pogctl run [OPTIONS] -- COMMAND [ARGUMENTS]'
	if (!hasSysAdmin()) {
		return 'Cannot make namespaces as this user: run as root, or start pogshim and pogctl below one "unshare -Urm sh"'
	}
	if (!findProgram('unshare'))
		return 'Cannot find "unshare": install util-linux (apt install util-linux, apk add util-linux)'
	const { rootfs } = options
	if (rootfs !== undefined && statSync(resolve(rootfs), { throwIfNoEntry: false })?.isDirectory() !== true) {
		return `Cannot use "${rootfs}" as the root file system: it is no directory`
	}
	return undefined
}

function hasSysAdmin(): boolean {
	const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'
	return ((BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN_BIT) & 1n) === 1n
}

function findProgram(name: string): boolean {
	const directories = (process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(delimiter)
	return directories.some(directory => {
		try {
			accessSync(`${directory}/${name}`, constants.X_OK)
			return true
		} catch {
			return false
		}
	})
}

function chooseName(program: string): string {
	const base = program
		.replace(/^.*\//, '')
		.replace(/[^A-Za-z0-9._-]/g, '-')
		.replace(/^[.-]+/, '')
	return `${base.slice(0, 40) || 'run'}-${randomBytes(3).toString('hex')}`
}

function complain<T>(message: string, code: T): T {
	process.stderr.write(`pogctl: ${message}\n`)
	return code
}
