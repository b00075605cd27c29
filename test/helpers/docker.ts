/**
 * A dockerd of a test's own: data, socket and state below the service's directory, no network, one image of busybox, and the
 * runtime `pogs`, which asks that service.
 *
 * Source of truth: dockerd(8). Who starts one stops it, also on failure: then no container, process or mount of it is left.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeRoot } from './containers.ts'
import { type Ended, output, run, type Running, start, TOP, until } from './programs.ts'
import type { Service } from './service.ts'

/** What a test that wants one needs. */
export const DOCKER_NEEDS = ['dockerd', 'docker', 'containerd', 'runc'] as const

const IMAGE = 'pogs-test'
const NO_NETWORK = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false']
const TIMEOUT_MS = 30_000

export class Docker {
	readonly #directory: string
	readonly #daemon: Running

	private constructor(directory: string, daemon: Running) {
		this.#directory = directory
		this.#daemon = daemon
	}

	static async start(service: Service): Promise<Docker> {
		const directory = join(service.directory, 'docker')
		mkdirSync(directory)
		const wrapper = join(directory, 'pogs-runc')
		const settings = `export POGS_RUN_DIR='${service.runDir}' POGS_RUNTIME=runc POGS_RUNTIME_FILE=/dev/null`
		writeFileSync(wrapper, `#!/bin/sh\n${settings}\nexec '${TOP}mount/pogs-runc' "$@"\n`, { mode: 0o755 })
		const daemon = start('dockerd', [
			...NO_NETWORK,
			'--exec-opt=native.cgroupdriver=cgroupfs',
			`--add-runtime=pogs=${wrapper}`,
			`--data-root=${directory}/data`,
			`--exec-root=${directory}/exec`,
			`--host=unix://${directory}/sock`,
			`--pidfile=${directory}/pid`,
		])
		const docker = new Docker(directory, daemon)
		try {
			await until(
				'dockerd answers',
				async () => {
					if (daemon.child.exitCode !== null) throw new Error('dockerd ended at its start')
					return existsSync(`${directory}/sock`) && (await docker.try('version')).code === 0
				},
				TIMEOUT_MS,
			)
			const root = makeRoot(service.directory)
			const client = docker.#words(['import', '-', IMAGE])
			await output('sh', ['-c', 'tar -C "$0" -c . | "$@"', root, 'docker', ...client], { timeoutMs: TIMEOUT_MS })
		} catch (error) {
			await docker.stop()
			throw new Error(`Cannot start dockerd: ${String(error)}\n${daemon.stderr().slice(-2_000)}`)
		}
		return docker
	}

	#words(words: readonly string[]): string[] {
		return ['-H', `unix://${this.#directory}/sock`, ...words]
	}

	/** A command of the client, which may fail. */
	try(...words: readonly string[]): Promise<Ended> {
		return run('docker', this.#words(words), { timeoutMs: TIMEOUT_MS })
	}

	/** A command of the client that must succeed; what it printed. */
	async call(...words: readonly string[]): Promise<string> {
		return (await output('docker', this.#words(words), { timeoutMs: TIMEOUT_MS })).trim()
	}

	/** A container in the background that has a POG of the same name; the host's number of its first process. */
	async container(name: string, options: readonly string[] = [], command = ['/bin/sleep', '600']): Promise<number> {
		const ours = ['--runtime', 'pogs', '--network', 'none', '--name', name, '-e', `POGS_NAME=${name}`]
		await this.call('run', '-d', ...ours, ...options, IMAGE, ...command)
		return this.pidOf(name)
	}

	async pidOf(name: string): Promise<number> {
		return Number(await this.call('inspect', '-f', '{{.State.Pid}}', name))
	}

	/** `docker exec NAME sh -c SCRIPT`, which may fail. */
	exec(name: string, script: string): Promise<Ended> {
		return this.try('exec', name, '/bin/sh', '-c', script)
	}

	async stop(): Promise<void> {
		const left = (await this.try('ps', '-aq')).stdout.split('\n').filter(Boolean)
		if (left.length > 0) await this.try('rm', '-f', ...left)
		// It ends its containerd, which takes a moment.
		this.#daemon.child.kill('SIGTERM')
		await this.#daemon.ended(15_000)
		for (const point of mountsBelow(this.#directory)) await run('umount', ['-l', point])
	}
}

function mountsBelow(directory: string): string[] {
	const points = readFileSync('/proc/self/mounts', 'latin1')
		.split('\n')
		.map(line => line.split(' ')[1] ?? '')
	return points.filter(point => point.startsWith(`${directory}/`)).reverse()
}
