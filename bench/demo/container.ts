/**
 * A shell inside a container, driven over its standard input: the demo's hands.
 *
 * Works for any command that starts a shell (`pogctl run -- sh`, or unshare for the native side). Invariant: one script at
 * a time, each answer bounded in time; `stop` always ends the process.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface Answer {
	out: string
	code: number
}

const END_MS = 5000

export class Container {
	readonly name: string
	readonly #child: ChildProcess
	#heard = ''
	#scripts = 0
	#wake: () => void = () => undefined
	#gone = false

	constructor(name: string, line: readonly string[], env: NodeJS.ProcessEnv = process.env) {
		this.name = name
		const [program = '', ...argv] = line
		// A group of its own: ^C is for the demo, which then ends its containers in order.
		this.#child = spawn(program, argv, { stdio: ['pipe', 'pipe', 'pipe'], env, detached: true })
		const hear = (chunk: Buffer): void => {
			this.#heard += chunk.toString('latin1')
			this.#wake()
		}
		this.#child.stdout?.on('data', hear)
		this.#child.stderr?.on('data', hear)
		this.#child.stdin?.on('error', () => undefined)
		const gone = (): void => {
			this.#gone = true
			this.#wake()
		}
		this.#child.on('error', gone)
		this.#child.on('close', gone)
	}

	/** Runs a script in the container; what it printed on both outputs, and its status. Throws when the container is gone or mute. */
	async run(script: string, timeoutMs = 20_000): Promise<Answer> {
		const mark = `@@${++this.#scripts}`
		this.#heard = ''
		this.#child.stdin?.write(`{ ${script}\n} </dev/null 2>&1\nprintf '\\n${mark} %s\\n' $?\n`)
		const end = new RegExp(`\\n${mark} (\\d+)\\n`)
		const deadline = Date.now() + timeoutMs
		for (;;) {
			const found = end.exec(this.#heard)
			if (found !== null) return { out: this.#heard.slice(0, found.index), code: Number(found[1]) }
			const leftMs = deadline - Date.now()
			if (this.#gone) throw new Error(`Container "${this.name}" is gone: ${this.#heard.trim() || 'no word'}`)
			if (leftMs <= 0) throw new Error(`No answer from container "${this.name}" within ${timeoutMs} ms: ${script}`)
			await this.#waitForWord(leftMs)
		}
	}

	/** What a script prints, without the final newline. */
	async out(script: string): Promise<string> {
		return (await this.run(script)).out.replace(/\n+$/, '')
	}

	/** A script that prints one number. */
	async count(script: string): Promise<number> {
		const printed = await this.out(script)
		const value = Number.parseInt(printed, 10)
		if (Number.isNaN(value)) throw new Error(`Expected a number of "${script}" in "${this.name}": ${printed}`)
		return value
	}

	/** Ends the shell and with it the container. */
	async stop(): Promise<void> {
		if (this.#gone) return
		this.#child.stdin?.end('exit\n')
		const timer = setTimeout(() => this.#child.kill('SIGTERM'), END_MS)
		const hard = setTimeout(() => this.#child.kill('SIGKILL'), 2 * END_MS)
		while (!this.#gone) await this.#waitForWord(END_MS)
		clearTimeout(timer)
		clearTimeout(hard)
	}

	async #waitForWord(timeoutMs: number): Promise<void> {
		await new Promise<void>(resolve => {
			const timer = setTimeout(resolve, timeoutMs)
			this.#wake = () => {
				clearTimeout(timer)
				resolve()
			}
		})
	}
}

/** Runs a program to its end; its output. Never throws: a program that cannot run has status 127. */
export async function runProgram(program: string, argv: readonly string[], input = ''): Promise<Answer> {
	const child = spawn(program, argv, { stdio: ['pipe', 'pipe', 'pipe'] })
	let out = ''
	child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('latin1')))
	child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString('latin1')))
	child.stdin.on('error', () => undefined)
	child.stdin.end(input)
	try {
		const [code] = (await once(child, 'close')) as [number | null]
		return { out, code: code ?? 137 }
	} catch (error) {
		return { out: String(error), code: 127 }
	}
}
