/**
 * The engine that is loaded already and waits, for the moment when the one that serves has died: Node's start and the loading are
 * then behind it.
 *
 * It gets what is kept over a socket of its own, in messages of some descriptors and their names, and last `GO=1`. Invariant: one
 * at most; it holds nothing before it is taken, stands behind containers for the processor, and whatever goes wrong with it
 * costs the time of an ordinary start.
 */
import type { ChildProcess } from 'node:child_process'
import { close } from '../sys/io.ts'
import { MESSAGE_BYTES, messagePair, type NotifyMessages } from '../sys/notify-socket.ts'
import { MESSAGE_DESCRIPTORS } from '../sys/unix-sockets.ts'
import { setAside } from './hurry.ts'

export interface StandbyOptions {
	/** Starts one, with this descriptor as its fourth. */
	readonly start: (socketFd: number) => ChildProcess
	readonly messages: NotifyMessages
	readonly log: (level: 'warn', message: string, fields?: Record<string, string | number>) => void
}

interface Named {
	readonly name: string
	readonly fd: number
}

/** One that ends by itself is followed by another, later and later. */
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
const NAMES = 'LISTEN_FDNAMES='

export class Standby {
	readonly #options: StandbyOptions
	#engine: ChildProcess | undefined
	#socketFd = -1
	#failures = 0
	#again: NodeJS.Timeout | undefined

	constructor(options: StandbyOptions) {
		this.#options = options
	}

	/** Whether there is to be one; until it is taken or this is said again. */
	want(wanted: boolean): void {
		if (!wanted) this.stop()
		else if (this.#engine === undefined && this.#again === undefined) this.#start()
	}

	#start(): void {
		this.#again = undefined
		const pair = messagePair()
		if (typeof pair === 'number') return this.#failed(`no socket: errno ${-pair}`)
		const [ours, theirs] = pair
		const engine = this.#options.start(theirs)
		close(theirs)
		if (engine.pid !== undefined) setAside(engine.pid)
		this.#socketFd = ours
		this.#engine = engine
		const over = (how: string): void => {
			if (this.#engine !== engine) return
			this.#letGo()
			this.#failed(how)
		}
		engine.once('error', cause => over(cause.message))
		engine.once('exit', (code, signal) => over(signal ?? `exit code ${code}`))
	}

	#failed(how: string): void {
		const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++)
		this.#options.log('warn', 'keeper: no engine stands by', { how, 'next-in-ms': waitMs })
		this.#again = setTimeout(() => this.#start(), waitMs)
	}

	/** Gives it what is kept, and `word` with the last message: it is the engine now. Undefined: there is none, or it does not listen. */
	take(held: readonly Named[], word: string): ChildProcess | undefined {
		const engine = this.#engine
		if (engine === undefined) return undefined
		const { messages } = this.#options
		const socketFd = this.#socketFd
		const said =
			batches(held).every(
				some =>
					messages.offer(socketFd, NAMES + some.map(({ name }) => name).join(':'), ...some.map(({ fd }) => fd)) === 0,
			) && messages.offer(socketFd, `GO=1\n${word}`) === 0
		if (!said) {
			this.stop()
			return undefined
		}
		this.#letGo()
		engine.removeAllListeners('error')
		engine.removeAllListeners('exit')
		this.#failures = 0
		return engine
	}

	/** Ends the one that waits. */
	stop(): void {
		clearTimeout(this.#again)
		this.#again = undefined
		const engine = this.#engine
		this.#letGo()
		engine?.kill('SIGKILL')
	}

	/** Messages that were sent stay to be read. */
	#letGo(): void {
		if (this.#engine === undefined) return
		this.#engine = undefined
		close(this.#socketFd)
	}
}

/** As many at a time as a message takes, of descriptors and of the bytes of their names. */
export function batches(held: readonly Named[]): Named[][] {
	const all: Named[][] = []
	let bytes = 0
	for (const each of held) {
		const last = all.at(-1)
		bytes += each.name.length + 1
		if (last === undefined || last.length === MESSAGE_DESCRIPTORS || bytes > MESSAGE_BYTES - NAMES.length) {
			all.push([each])
			bytes = each.name.length + 1
		} else last.push(each)
	}
	return all
}
