/**
 * The main thread's end of a shard: starts it, in a thread of its own where the transport allows, sends commands, hears events.
 *
 * Invariant: every command is answered exactly once, with an error when the thread ends first.
 */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import { allocate } from '../sys/memory.ts'
import { close, eventfd, EFD_CLOEXEC, EFD_NONBLOCK, write } from '../sys/io.ts'
import type { AnswerMessage, CommandName, Commands, ShardData, ShardEvent } from './messages.ts'
import { startShardThread } from './shard-worker.ts'

export type ShardOutcome<T> = { readonly value: T } | { readonly error: string }

export class ShardClient {
	readonly #port: MessagePort
	readonly #wakeFd: number
	readonly #one = allocate(8)
	readonly #waiting = new Map<number, (outcome: ShardOutcome<unknown>) => void>()
	#serial = 0
	#ended = false

	/** `onEnd`: the thread is gone, with the error that ended it or undefined. `thread`: one that was started before. */
	constructor(
		data: Omit<ShardData, 'wakeFd'>,
		onEvent: (event: ShardEvent) => void,
		onEnd: (cause: unknown) => void,
		thread?: Worker,
	) {
		this.#wakeFd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
		if (this.#wakeFd < 0) throw new Error(`Cannot make an eventfd: errno ${-this.#wakeFd}`)
		this.#one.bytes[0] = 1
		const { port1, port2 } = new MessageChannel()
		this.#port = port1
		const whole: ShardData = { ...data, wakeFd: this.#wakeFd }
		const end =
			data.transport === 'kernel' ? runInThread(thread ?? startShardThread(), port2, whole) : runHere(port2, whole)
		port1.on('message', (message: AnswerMessage | ShardEvent) => {
			if ('event' in message) onEvent(message)
			else this.#settle(message)
		})
		void end.then(cause => {
			this.#ended = true
			for (const settle of this.#waiting.values()) settle({ error: 'The data plane has ended' })
			this.#waiting.clear()
			port1.close()
			close(this.#wakeFd)
			onEnd(cause)
		})
	}

	#settle(message: AnswerMessage): void {
		const settle = this.#waiting.get(message.serial)
		this.#waiting.delete(message.serial)
		settle?.('error' in message ? { error: message.error } : { value: message.answer })
	}

	/** Sends a command; its answer, or why there is none. */
	ask<N extends CommandName>(name: N, ask: Commands[N]['ask']): Promise<ShardOutcome<Commands[N]['answer']>> {
		if (this.#ended) return Promise.resolve({ error: 'The data plane has ended' })
		const serial = ++this.#serial
		return new Promise(resolve => {
			this.#waiting.set(serial, outcome => resolve(outcome as ShardOutcome<Commands[N]['answer']>))
			this.#port.postMessage({ serial, name, ask })
			write(this.#wakeFd, this.#one.address, 8)
		})
	}
}

/** Resolves when the thread has ended, with the error that ended it or undefined. */
function runInThread(worker: Worker, port: MessagePort, data: ShardData): Promise<unknown> {
	worker.postMessage({ port, data }, [port])
	return new Promise(resolve => {
		let cause: unknown
		worker.on('error', error => {
			cause = error
		})
		worker.on('exit', () => resolve(cause))
	})
}

/** The same for a transport that needs the main thread's event loop. */
async function runHere(port: MessagePort, data: ShardData): Promise<unknown> {
	try {
		const { runNativeShard } = await import('./native-shard.ts')
		return await runNativeShard(port, data)
	} catch (cause) {
		return cause
	}
}
