/**
 * Containers of runc, with a POG or without: the same bundle, started through mount/pogs-runc or by runc itself.
 *
 * Source of truth: OCI runtime specification 1.0, config.json; runc(8). Without a POG a container logs where containers log today: to
 * a syslogd of the host whose socket is bound over /dev/log, if it is given one. Invariant: `stop` ends and deletes every container.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PROJECT } from '../harness/build.ts'
import { run } from '../harness/process.ts'

export interface BundleMount {
	readonly destination: string
	readonly source: string
	readonly type?: string
	readonly options: readonly string[]
}

export interface BundleSpec {
	readonly name: string
	readonly root: string
	readonly args: readonly string[]
	/** Whether it has a POG. */
	readonly pogs: boolean
	/** Socket of a syslogd of the host, for one without a POG. */
	readonly devLog?: string
	readonly mounts?: readonly BundleMount[]
	readonly env?: readonly string[]
	/** Path of a network namespace; one of its own otherwise. */
	readonly network?: string
	readonly annotations?: Readonly<Record<string, string>>
	/** Whether it gets what a container needs to use the machine's kernel log: the device and CAP_SYSLOG. */
	readonly kernelLog?: boolean
}

interface OciConfig {
	process: {
		terminal: boolean
		args: readonly string[]
		env: string[]
		capabilities: Record<string, string[]>
		noNewPrivileges: boolean
		rlimits?: unknown
	}
	root: { path: string; readonly: boolean }
	mounts: BundleMount[]
	annotations?: Readonly<Record<string, string>>
	linux: { namespaces: { type: string; path?: string }[]; resources: { devices: unknown[] }; devices?: unknown[] }
}

/** What Docker gives a container; runc's own template has three, too few for a web server or a database. */
const CAPABILITIES =
	'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'
		.split(' ')
		.map(name => `CAP_${name}`)

export const tmpfs = (destination: string, options = 'mode=755'): BundleMount => ({
	destination,
	source: 'tmpfs',
	type: 'tmpfs',
	options: ['nosuid', 'nodev', options],
})

export interface Bundle {
	readonly name: string
	/** Its first process, as the host sees it. */
	readonly pid: number
}

export class Bundles {
	readonly #scratch: string
	readonly #runDir: string
	readonly #state: string
	readonly #tag: string
	readonly #made = new Map<string, boolean>()
	#template: Promise<string> | undefined

	/** `runDir`: the run directory of the service that POGs come from. */
	constructor(scratch: string, runDir: string) {
		this.#scratch = path.join(scratch, 'bundles')
		this.#state = path.join(scratch, 'state')
		this.#runDir = runDir
		this.#tag = path.basename(scratch).slice(-6)
		mkdirSync(this.#scratch)
	}

	/** The id of a container, which is the name of its POG as well. */
	id(name: string): string {
		return `eval-${this.#tag}-${name}`
	}

	/** Writes a bundle; answers its directory. */
	async prepare(spec: BundleSpec): Promise<string> {
		this.#template ??= this.#spec()
		const bundle = path.join(this.#scratch, spec.name)
		mkdirSync(bundle, { recursive: true })
		const config = JSON.parse(await this.#template) as OciConfig
		config.root = { path: spec.root, readonly: false }
		config.process.terminal = false
		config.process.args = spec.args
		config.process.env.push(...(spec.env ?? []))
		config.process.noNewPrivileges = false
		delete config.process.rlimits
		for (const set of ['bounding', 'effective', 'permitted', 'inheritable'])
			config.process.capabilities[set] = spec.kernelLog === true ? [...CAPABILITIES, 'CAP_SYSLOG'] : CAPABILITIES
		config.process.capabilities['ambient'] = []
		if (spec.devLog !== undefined)
			config.mounts.push({ destination: '/dev/log', source: spec.devLog, type: 'bind', options: ['bind'] })
		for (const mount of spec.mounts ?? []) config.mounts.push({ type: 'bind', ...mount })
		if (spec.network !== undefined)
			for (const namespace of config.linux.namespaces) if (namespace.type === 'network') namespace.path = spec.network
		if (spec.kernelLog === true) {
			config.linux.devices = [{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o600, uid: 0, gid: 0 }]
			config.linux.resources.devices.push({ allow: true, type: 'c', major: 1, minor: 11, access: 'rw' })
		}
		config.annotations = { 'pogs.name': this.id(spec.name), ...spec.annotations }
		writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config))
		return bundle
	}

	/** The command that starts a prepared bundle (`run`), in the background when asked. */
	command(name: string, pogs: boolean, more: readonly string[] = []): string[] {
		const runtime = pogs
			? ['env', `POGS_RUN_DIR=${this.#runDir}`, 'POGS_RUNTIME=runc', path.join(PROJECT, 'mount/pogs-runc')]
			: ['runc']
		return [
			...runtime,
			'--root',
			this.#state,
			'run',
			...more,
			'--bundle',
			path.join(this.#scratch, name),
			this.id(name),
		]
	}

	/** Starts a container in the background. */
	async start(spec: BundleSpec): Promise<Bundle> {
		const bundle = await this.prepare(spec)
		const pidFile = path.join(bundle, 'pid')
		this.#made.set(spec.name, spec.pogs)
		/* Its outputs must not be our pipes, which would stay open as long as it runs. */
		const shell = `exec "$@" </dev/null >"${path.join(bundle, 'out')}" 2>&1`
		try {
			await run(['sh', '-c', shell, 'sh', ...this.command(spec.name, spec.pogs, ['--detach', '--pid-file', pidFile])])
		} catch (error) {
			throw new Error(`${spec.name} does not start: ${readFileSync(path.join(bundle, 'out'), 'latin1').trim()}`, {
				cause: error,
			})
		}
		return { name: spec.name, pid: Number(readFileSync(pidFile, 'latin1')) }
	}

	/** What a command prints that is run in a container. */
	async exec(name: string, args: readonly string[]): Promise<string> {
		return (await run(['runc', '--root', this.#state, 'exec', this.id(name), ...args])).stdout
	}

	/** What a container has said so far on its outputs. */
	said(name: string): string {
		return readFileSync(path.join(this.#scratch, name, 'out'), 'latin1')
	}

	async remove(name: string): Promise<void> {
		const pogs = this.#made.get(name)
		if (pogs === undefined) return
		this.#made.delete(name)
		const runtime = pogs
			? ['env', `POGS_RUN_DIR=${this.#runDir}`, 'POGS_RUNTIME=runc', path.join(PROJECT, 'mount/pogs-runc')]
			: ['runc']
		await run([...runtime, '--root', this.#state, 'delete', '--force', this.id(name)])
	}

	/** Ends all that still run; a few at once. */
	async stop(): Promise<void> {
		const names = [...this.#made.keys()]
		const worker = async (): Promise<void> => {
			for (let name = names.pop(); name !== undefined; name = names.pop())
				await this.remove(name).catch(() => undefined)
		}
		await Promise.all(Array.from({ length: 4 }, worker))
	}

	async #spec(): Promise<string> {
		const directory = path.join(this.#scratch, '.template')
		mkdirSync(directory, { recursive: true })
		await run(['sh', '-c', 'cd "$1" && exec runc spec', 'sh', directory])
		return readFileSync(path.join(directory, 'config.json'), 'utf8')
	}
}
