/**
 * Containers that a runtime starts through mount/pogs-runc, and what a service holds while they come and go.
 *
 * Source of truth: runc(8); proc(5). Who makes bundles with `Runtime` calls `close`: it deletes what is left of their containers.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeRoot } from './containers.ts'
import { type Ended, output, run, TOP } from './programs.ts'
import type { Service } from './service.ts'

const WRAPPER = join(TOP, 'mount/pogs-runc')

export interface OciSpec {
	root: { path: string; readonly: boolean }
	process: { terminal: boolean; args: string[]; noNewPrivileges?: boolean }
	annotations?: Record<string, string>
	mounts: { destination: string; type: string; source: string; options: string[] }[]
}

let serial = 0

export class Runtime {
	readonly root: string
	readonly #name: string
	readonly #service: Service
	readonly #state: string
	readonly bundle: string
	readonly #ids = new Set<string>()
	#plain = ''

	/** `name`: runc or crun. */
	constructor(service: Service, name: string) {
		this.#service = service
		this.#name = name
		this.root = makeRoot(service.directory)
		this.#state = join(service.directory, `state-${++serial}`)
		this.bundle = join(service.directory, `bundle-${serial}`)
		mkdirSync(this.bundle)
	}

	/** Writes the bundle as an engine does: anew for each start. */
	async write(script: string, change: (config: OciSpec) => void = () => {}): Promise<void> {
		if (this.#plain === '') {
			await output(this.#name, ['spec'], { cwd: this.bundle })
			this.#plain = readFileSync(join(this.bundle, 'config.json'), 'utf8')
		}
		const config = JSON.parse(this.#plain) as OciSpec
		config.root = { path: this.root, readonly: false }
		config.process.terminal = false
		config.process.args = ['/bin/sh', '-c', script]
		change(config)
		writeFileSync(join(this.bundle, 'config.json'), JSON.stringify(config))
	}

	/** What the bundle says now. */
	read(): OciSpec {
		return JSON.parse(readFileSync(join(this.bundle, 'config.json'), 'utf8')) as OciSpec
	}

	/** `pogs-runc WORD ... ID`, by the wrapper. */
	call(word: string, id: string, ...options: readonly string[]): Promise<Ended> {
		this.#ids.add(id)
		const bundle = ['run', 'create'].includes(word) ? ['--bundle', this.bundle] : []
		const env = { POGS_RUN_DIR: this.#service.runDir, POGS_RUNTIME: this.#name, POGS_RUNTIME_FILE: '/dev/null' }
		/* A container in the background keeps the outputs it was given: they must not be our pipes. */
		const background = word === 'create' || options.includes('--detach')
		const said = join(this.bundle, `said-${id}`)
		const shell = background ? `exec "$@" </dev/null >"${said}" 2>&1` : 'exec "$@"'
		const words = ['--root', this.#state, ...options.filter(option => option.startsWith('--log'))]
		const rest = options.filter(option => !option.startsWith('--log'))
		return run('sh', ['-c', shell, 'sh', WRAPPER, ...words, word, ...rest, ...bundle, id], { env, timeoutMs: 30_000 })
	}

	/** What `run --detach` and `create` said, and the container they left. */
	said(id: string): string {
		return readFileSync(join(this.bundle, `said-${id}`), 'latin1')
	}

	async close(): Promise<void> {
		for (const id of this.#ids) await this.call('delete', id, '--force')
	}
}

/** What a service holds: every number that could grow with each container. */
export interface Footprint {
	readonly descriptors: number
	readonly mappings: number
	readonly threads: number
	readonly mounts: number
	readonly directories: number
	readonly pogs: number
	readonly children: number
	/** Resident, not shared: kB. */
	readonly residentKb: number
}

/** Reads it of the engine and, where it has one, its keeper. */
export async function footprint(service: Service): Promise<Footprint> {
	const { engine, pogs } = await service.describe()
	const pids = [...new Set([engine.pid, service.pid])]
	const sum = (count: (pid: number) => number): number => pids.reduce((total, pid) => total + count(pid), 0)
	const field = (pid: number, name: string): number =>
		Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
	const lines = (path: string): string[] => readFileSync(path, 'latin1').split('\n')
	return {
		descriptors: sum(pid => readdirSync(`/proc/${pid}/fd`).length),
		mappings: sum(pid => lines(`/proc/${pid}/maps`).length),
		threads: sum(pid => field(pid, 'Threads')),
		mounts: lines('/proc/self/mountinfo').filter(line => line.includes(` ${service.directory}/`)).length,
		directories: existsSync(join(service.runDir, 'pogs')) ? readdirSync(join(service.runDir, 'pogs')).length : 0,
		pogs,
		children: sum(pid =>
			readdirSync(`/proc/${pid}/task`).reduce(
				(count, task) =>
					count + readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).length,
				0,
			),
		),
		residentKb: sum(pid => field(pid, 'RssAnon')),
	}
}
