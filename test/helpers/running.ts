/**
 * Runs real programs, always bounded: a program that hangs is killed by its process id and reported as such. Nothing is
 * installed here (test/install-packages.sh does). Conditions are waited for with `until`, never slept for.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The top of the checkout. */
export const TOP = fileURLToPath(new URL('../../', import.meta.url))

/** The absolute path of a one-thing program in fixtures/programs. */
export function fixtureProgram(name: string): string {
	return join(TOP, 'fixtures/programs', name)
}

export interface Ended {
	/** Exit code; null when a signal ended it. */
	readonly code: number | null
	readonly signal: NodeJS.Signals | null
	readonly stdout: string
	readonly stderr: string
	/** True when we had to kill it because its time was over. */
	readonly timedOut: boolean
}

export interface ProgramOptions {
	readonly timeoutMs?: number
	readonly input?: string | Uint8Array
	readonly env?: Record<string, string>
	readonly cwd?: string
}

/** A program that runs beside the test. */
export interface Running {
	readonly pid: number
	readonly child: ChildProcess
	stdout(): string
	stderr(): string
	/** Writes to its standard input, which stays open. */
	type(text: string): void
	/** Resolves when its output satisfies the condition; fails after the time, showing what was printed. */
	printed(what: string, holds: (stdout: string, stderr: string) => boolean, timeoutMs?: number): Promise<void>
	/** Resolves when it ends by itself, or by SIGKILL after the time. */
	ended(timeoutMs?: number): Promise<Ended>
	/** Ends it: SIGTERM, then SIGKILL. */
	stop(signal?: NodeJS.Signals): Promise<Ended>
}

/** Starts a program; stdin is a pipe, outputs are collected as latin1 so that every byte stays visible. */
export function start(command: string, args: readonly string[], options: ProgramOptions = {}): Running {
	const child = spawn(command, [...args], {
		cwd: options.cwd,
		env: { ...process.env, LC_ALL: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1', ...options.env },
		stdio: ['pipe', 'pipe', 'pipe'],
	})
	let stdout = ''
	let stderr = ''
	let failure: Error | undefined
	let over = false
	child.stdout.setEncoding('latin1').on('data', (piece: string) => (stdout += piece))
	child.stderr.setEncoding('latin1').on('data', (piece: string) => (stderr += piece))
	child.stdin.on('error', () => undefined) // a program need not read what we type
	const closed = new Promise<void>(resolve => {
		child.once('error', error => {
			failure = error
			over = true
			resolve()
		})
		child.once('close', () => {
			over = true
			resolve()
		})
	})
	const finish = (timedOut: boolean): Ended => {
		if (failure) throw new Error(`Cannot run "${command}": ${failure.message}`)
		return { code: child.exitCode, signal: child.signalCode, stdout, stderr, timedOut }
	}
	const ended = async (timeoutMs = 10_000): Promise<Ended> => {
		if (await within(closed, timeoutMs)) return finish(false)
		child.kill('SIGKILL')
		await within(closed, 3_000)
		return finish(true)
	}
	return {
		pid: child.pid ?? -1,
		child,
		stdout: () => stdout,
		stderr: () => stderr,
		type: text => void child.stdin.write(text),
		printed: (what, holds, timeoutMs = 5_000) =>
			until(what, () => holds(stdout, stderr) || over, timeoutMs).then(
				() => {
					if (!holds(stdout, stderr)) throw new Error(`${command} ended before ${what}\n${stdout}\n${stderr}`)
				},
				(error: unknown) => {
					throw new Error(`${String(error)}; ${command} printed ${stdout.slice(-2_000)}\n${stderr.slice(-2_000)}`)
				},
			),
		ended,
		stop: async (signal = 'SIGTERM') => {
			if (!over) child.kill(signal)
			if (await within(closed, 3_000)) return finish(false)
			child.kill('SIGKILL')
			await within(closed, 3_000)
			return finish(true)
		},
	}
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
	const running = start(command, args, options)
	running.child.stdin?.end(options.input ?? '')
	return running.ended(options.timeoutMs ?? 10_000)
}

/** Runs a program that must succeed, and returns what it printed. */
export async function output(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
	const ended = await run(command, args, options)
	if (ended.code === 0) return ended.stdout
	const why = ended.timedOut ? 'hung' : `ended with ${ended.code ?? ended.signal}`
	throw new Error(
		`${command} ${args.join(' ').slice(0, 300)} ${why}: ${ended.stderr.slice(-2_000)}${ended.stdout.slice(-500)}`,
	)
}

/** Waits for a condition, looking every 20 ms; fails with `what` after the time. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 5_000): Promise<void> {
	const limit = Date.now() + timeoutMs
	for (;;) {
		if (await holds()) return
		if (Date.now() > limit) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`)
		await new Promise(resolve => setTimeout(resolve, 20))
	}
}

async function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
	let timer: NodeJS.Timeout | undefined
	const late = new Promise<boolean>(resolve => {
		timer = setTimeout(() => resolve(false), timeoutMs)
	})
	const result = await Promise.race([promise.then(() => true), late])
	clearTimeout(timer)
	return result
}

/** Where test/install-packages.sh puts programs that it only unpacks. */
export const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'pogs')

const PLACES = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', join(CACHE, 'bin')]

/** The absolute path of a program, or undefined. A name with a slash is looked at as it is. */
export function find(name: string): string | undefined {
	if (name.includes('/')) return existsSync(name) ? name : undefined
	for (const place of PLACES) {
		try {
			accessSync(join(place, name), constants.X_OK)
			return join(place, name)
		} catch {
			// Not there: the next place.
		}
	}
	return undefined
}

/** The interpreter itself, not a version manager's shim that costs 50 ms a start. */
export const PYTHON = realPython()

function realPython(): string {
	const found = find('python3')
	if (!found) return 'python3'
	const asked = spawnSync(found, ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8', timeout: 10_000 })
	return asked.stdout?.trim() || found
}
