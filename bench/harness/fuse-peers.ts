/**
 * The FUSE servers that POGs is held against: null operations in C (libfuse 3) and through fuse-native.
 *
 * Invariant: a peer is mounted in a directory of its own, which is gone when it was stopped.
 */
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import { BENCH, BUILD, build, isMissing, type Missing } from './build.ts'
import { type Cpu, run, Server } from './process.ts'

/** Where the operations of a client go. */
export interface Target {
	readonly directory: string
	readonly file: string
}

export interface FusePeer extends Target {
	readonly name: string
	stop(): Promise<void>
}

const isMounted = (directory: string): boolean =>
	readFileSync('/proc/self/mountinfo', 'latin1').includes(` ${directory} `)

const serve = async (
	name: string,
	cpu: Cpu,
	command: (mountPoint: string) => string[],
	env?: NodeJS.ProcessEnv,
): Promise<FusePeer> => {
	const directory = mkdtempSync('/tmp/pogs-bench-peer-')
	const server = new Server(command(directory), cpu, env)
	const stop = async (): Promise<void> => {
		await server.stop()
		if (isMounted(directory)) await run(['umount', '-l', directory])
		rmdirSync(directory)
	}
	try {
		await server.ready(() => isMounted(directory))
	} catch (error) {
		await stop()
		throw error
	}
	return { name, directory, file: 'file', stop }
}

/** The C server, or why it cannot be had. */
export const startLibfuse = async (cpu: Cpu): Promise<FusePeer | Missing> => {
	const program = await build('libfuse-null')
	if (isMissing(program)) return program
	return serve('libfuse 3 null', cpu, mountPoint => [program.path, mountPoint])
}

/** The server in JavaScript, or why it cannot be had. */
export const startFuseNative = async (cpu: Cpu): Promise<FusePeer | Missing> => {
	const module = path.join(BUILD, 'fuse-native/node_modules/fuse-native')
	if (!existsSync(module)) return { missing: 'fuse-native is not there: bench/install-packages.sh' }
	const script = path.join(BENCH, 'peers/fuse-native.cjs')
	try {
		return await serve('fuse-native null', cpu, mountPoint => [process.execPath, script, module, mountPoint], {
			LD_LIBRARY_PATH: path.join(BUILD, 'fuse-native/lib'),
		})
	} catch (error) {
		return { missing: `fuse-native does not run here: ${String(error).slice(0, 160)}` }
	}
}
