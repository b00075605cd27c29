/**
 * Child processes of a benchmark: short clients that are awaited, and servers that are started and stopped.
 *
 * Source of truth: taskset(1), kill(2). Invariant: a server is ended by the process id that started it, and everything
 * started is ended when the run ends, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where a process may run: one CPU number, or anywhere. */
export type Cpu = number | undefined

export interface Output {
	readonly stdout: string
	/** From spawn to exit, in seconds. */
	readonly seconds: number
}

/** The CPUs this process may use: the first is for clients, the last for servers. */
export const usableCpus = (): number[] => {
	const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'
	return list.split(',').flatMap(range => {
		const [first = 0, last = first] = range.split('-').map(Number)
		return Array.from({ length: last - first + 1 }, (_, index) => first + index)
	})
}

const pinned = (cpu: Cpu, command: readonly string[]): string[] =>
	cpu === undefined ? [...command] : ['taskset', '-c', String(cpu), ...command]

/** Runs a command to its end; throws with its standard error when it fails. */
export const run = async (command: readonly string[], cpu?: Cpu, env?: NodeJS.ProcessEnv): Promise<Output> => {
	const [file = '', ...args] = pinned(cpu, command)
	const start = process.hrtime.bigint()
	const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
	let stdout = ''
	let stderr = ''
	child.stdout.on('data', (chunk: Buffer) => {
		stdout += chunk.toString('latin1')
	})
	child.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk.toString('latin1')
	})
	const code = await new Promise<number | null>((resolve, reject) => {
		child.once('error', reject)
		child.once('close', resolve)
	})
	const seconds = Number(process.hrtime.bigint() - start) / 1e9
	if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${stderr.trim()}`)
	return { stdout, seconds }
}

/** Processor time that processes have taken so far, in seconds, all their threads; /proc/PID/stat, proc(5), in ticks of 10 ms. */
export const processorSeconds = (pids: readonly number[]): number => {
	let ticks = 0
	for (const pid of pids) {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
		const [user, system] = stat
			.slice(stat.lastIndexOf(')') + 2)
			.split(' ')
			.slice(11, 13)
		ticks += Number(user) + Number(system)
	}
	return ticks / 100
}

/** Waits until a condition holds; throws what was waited for when it does not within the time. */
export const until = async (
	what: string,
	condition: () => Promise<boolean> | boolean,
	milliseconds = 15_000,
	everyMs = 10,
): Promise<void> => {
	const deadline = Date.now() + milliseconds
	while (!(await condition())) {
		if (Date.now() > deadline) throw new Error(`waited ${milliseconds} ms in vain: ${what}`)
		await sleep(everyMs)
	}
}

/** A process that serves until it is stopped. */
export class Server {
	readonly #child: ChildProcess
	readonly #command: string
	#stderr = ''
	#ended = false

	constructor(command: readonly string[], cpu?: Cpu, env?: NodeJS.ProcessEnv) {
		const [file = '', ...args] = pinned(cpu, command)
		this.#command = command.join(' ')
		this.#child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
		this.#child.stderr?.on('data', (chunk: Buffer) => {
			this.#stderr = (this.#stderr + chunk.toString('latin1')).slice(-4000)
		})
		this.#child.once('error', error => {
			this.#ended = true
			this.#stderr += error.message
		})
		this.#child.once('exit', () => {
			this.#ended = true
		})
	}

	get pid(): number {
		return this.#child.pid ?? 0
	}

	/** Waits until the server answers; throws with its last words when it ended instead. */
	async ready(condition: () => Promise<boolean> | boolean): Promise<void> {
		await until(`start of ${this.#command}`, () => {
			if (this.#ended) throw new Error(`ended at start: ${this.#stderr.trim()} (${this.#command})`)
			return condition()
		})
	}

	/** SIGTERM, and SIGKILL when that is not heard within the time. */
	async stop(milliseconds = 10_000): Promise<void> {
		if (!this.#ended) this.#child.kill('SIGTERM')
		try {
			await until('end of server', () => this.#ended, milliseconds)
		} catch {
			this.#child.kill('SIGKILL')
			await until('end of server', () => this.#ended)
		}
	}
}
