/**
 * A dockerd of our own for a case: its data, its socket and its state below the scratch directory, no network, two runtimes.
 *
 * Source of truth: dockerd(8). Invariant: after `stop` no container, process or mount of it is left.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isMissing, type Missing } from '../harness/build.ts'
import { run, Server } from '../harness/process.ts'
import { installWrapper } from '../harness/wrapper.ts'

const IMAGE = 'pogs-evaluate'
const NO_NETWORK = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false']

export class Docker {
	readonly #directory: string
	readonly #server: Server

	private constructor(directory: string, server: Server) {
		this.#directory = directory
		this.#server = server
	}

	/** A command line of the client. */
	command(...args: readonly string[]): string[] {
		return ['docker', '-H', `unix://${this.#directory}/sock`, ...args]
	}

	/** `docker run` of the image, as a command line. */
	runs(pogs: boolean, options: readonly string[], args: readonly string[]): string[] {
		return this.command('run', ...(pogs ? ['--runtime', 'pogs'] : []), '--network', 'none', ...options, IMAGE, ...args)
	}

	async call(...args: readonly string[]): Promise<string> {
		return (await run(this.command(...args))).stdout.trim()
	}

	/** Starts it with an image of a root file system; or why it cannot be had. */
	static async start(scratch: string, runDir: string, root: string): Promise<Docker | Missing> {
		const missing = await lacking()
		if (isMissing(missing)) return missing
		const directory = path.join(scratch, 'docker')
		mkdirSync(directory)
		const wrapper = installWrapper(directory, runDir)
		const places = ['data-root', 'exec-root'].map(name => `--${name}=${directory}/${name}`)
		const server = new Server([
			'dockerd',
			...NO_NETWORK,
			'--exec-opt=native.cgroupdriver=cgroupfs',
			`--add-runtime=pogs=${wrapper}`,
			...places,
			`--host=unix://${directory}/sock`,
			`--pidfile=${directory}/pid`,
		])
		const docker = new Docker(directory, server)
		try {
			await server.ready(
				async () => existsSync(`${directory}/sock`) && (await docker.call('version').catch(() => '')) !== '',
			)
			await run(['sh', '-c', 'tar -C "$0" -c . | "$@"', root, ...docker.command('import', '-', IMAGE)])
		} catch (error) {
			await docker.stop()
			return { missing: `dockerd does not run here: ${String(error).slice(0, 200)}` }
		}
		return docker
	}

	async stop(): Promise<void> {
		const left = (await this.call('ps', '-aq').catch(() => '')).split('\n').filter(id => id !== '')
		if (left.length > 0) await this.call('rm', '-f', ...left).catch(() => undefined)
		await this.#server.stop()
		for (const point of mountsBelow(this.#directory)) await run(['umount', '-l', point]).catch(() => undefined)
	}
}

const lacking = async (): Promise<Missing | { readonly there: true }> => {
	for (const program of ['docker', 'dockerd', 'runc'])
		if ((await run(['sh', '-c', `command -v ${program}`]).catch(() => undefined)) === undefined)
			return { missing: `no ${program} here: test/runtimes/install-packages.sh gets it` }
	return { there: true }
}

const mountsBelow = (directory: string): string[] =>
	readFileSync('/proc/self/mountinfo', 'latin1')
		.split('\n')
		.map(line => line.split(' ')[4] ?? '')
		.filter(point => point.startsWith(`${directory}/`))
		.reverse()
