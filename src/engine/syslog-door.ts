/**
 * RUN/seccomp.sock: where runtimes (and `pogctl run`) bring the seccomp listeners of containers.
 *
 * Source: OCI runtime specification 1.1, config-linux.md, "Seccomp" (listenerPath): a stream socket, one message with the descriptor.
 * Invariant: a descriptor that is not handed on is closed, so its callers get ENOSYS instead of waiting for ever; a
 * connection has bounded text and bounded time, and outlives the engine with what lies in it until its listener does: a runtime that is
 * cut off starts no container, and a container whose listener is lost has no syslog(2).
 */
import { EAGAIN, EINTR } from '../lib/errno.ts'
import { close } from '../sys/io.ts'
import { acceptStream, DescriptorMessages } from '../sys/seccomp-socket.ts'
import { type ContainerProcess, parseContainerProcess } from '../attach/container-process.ts'
import type { NamedDescriptor } from '../sys/upbringing.ts'
import type { FdStore } from './fd-store.ts'
import type { Endpoint } from './reactor.ts'

const MAX_TEXT_BYTES = 1 << 20
const MAX_CONNECTIONS = 256
const PATIENCE_MS = 10_000
/** What names in the descriptor store begin with. */
const CALLER = 'caller-'

interface Watcher {
	add(endpoint: Endpoint): void
	remove(endpoint: Endpoint): void
}

/** Takes the descriptor over, or answers false. `again`: an earlier engine may have taken it, and died before it gave up the connection. */
type OnListener = (process: ContainerProcess, fd: number, again: boolean) => boolean

interface Connection extends Endpoint {
	/** In the descriptor store. */
	readonly name: string
	/** An earlier engine had taken it. */
	readonly isLeft: boolean
	readonly until: number
	text: string
	readonly descriptors: number[]
}

export class SyslogDoor {
	readonly #reactor: Watcher
	readonly #messages = new DescriptorMessages()
	readonly #connections = new Set<Connection>()
	readonly #onListener: OnListener
	readonly #complain: (message: string) => void
	readonly #fdStore: Pick<FdStore, 'keep' | 'forget'>
	#lastName = 0

	/** `callers`: connections that an earlier engine had taken. */
	constructor(
		reactor: Watcher,
		socketFd: number,
		onListener: OnListener,
		complain: (message: string) => void,
		fdStore: Pick<FdStore, 'keep' | 'forget'>,
		callers: readonly NamedDescriptor[] = [],
	) {
		this.#reactor = reactor
		this.#fdStore = fdStore
		this.#onListener = onListener
		this.#complain = complain
		reactor.add({ fd: socketFd, turn: () => this.#accept(socketFd), over: () => close(socketFd) })
		for (const { name, fd } of callers) {
			this.#lastName = Math.max(this.#lastName, Number(name.slice(CALLER.length)))
			this.#attend(fd, name, true)
		}
	}

	#accept(socketFd: number): number {
		const fd = acceptStream(socketFd)
		if (fd < 0) return 0
		this.#attend(fd, '')
		return 1
	}

	/** Kept for the next engine before anything of it is taken. */
	#attend(fd: number, name: string, isLeft = false): void {
		if (this.#connections.size >= MAX_CONNECTIONS) this.#sweep(Number.NEGATIVE_INFINITY)
		const keptAs = name === '' ? `${CALLER}${++this.#lastName}` : name
		if (name === '') this.#fdStore.keep(keptAs, fd)
		const connection: Connection = {
			fd,
			name: keptAs,
			isLeft,
			until: performance.now() + PATIENCE_MS,
			text: '',
			descriptors: [],
			turn: () => this.#receive(connection),
			over: () => this.#end(connection),
		}
		this.#connections.add(connection)
		if (this.#receive(connection) < 0) return this.#end(connection)
		this.#reactor.add(connection)
	}

	/** What comes whole at once, as nearly all do, is not taken at all: the listener is kept before the connection is given up. */
	#look(connection: Connection): boolean {
		if (connection.text !== '') return false
		const message = this.#messages.peek(connection.fd)
		if (typeof message === 'number') return false
		const parsed = parseContainerProcess(message.text.toString('utf8'), false)
		const isWhole = parsed !== 'incomplete' && 'value' in parsed
		if (!isWhole) {
			for (const fd of message.descriptors) close(fd)
			return false
		}
		connection.descriptors.push(...message.descriptors)
		this.#handOver(connection, parsed.value)
		return true
	}

	#receive(connection: Connection): number {
		if (this.#look(connection)) return -1
		const message = this.#messages.receive(connection.fd)
		if (typeof message === 'number') return message === -EAGAIN || message === -EINTR ? 0 : message
		connection.text += message.text.toString('latin1')
		connection.descriptors.push(...message.descriptors)
		const ended = message.text.length === 0 || connection.text.length > MAX_TEXT_BYTES
		const parsed = parseContainerProcess(Buffer.from(connection.text, 'latin1').toString('utf8'), ended)
		if (parsed === 'incomplete') return 1
		if ('problem' in parsed) this.#complain(parsed.problem)
		else this.#handOver(connection, parsed.value)
		return -1
	}

	#handOver({ descriptors, isLeft }: Connection, process: ContainerProcess): void {
		const fd = descriptors[process.index]
		if (fd === undefined) return this.#complain(`No descriptor came with the process of "${process.metadata}"`)
		if (this.#onListener(process, fd, isLeft)) descriptors.splice(process.index, 1)
	}

	#end(connection: Connection): void {
		if (!this.#connections.delete(connection)) return
		close(connection.fd)
		this.#fdStore.forget(connection.name)
		for (const fd of connection.descriptors) close(fd)
	}

	/** Ends connections that have said nothing whole for too long: to be called now and then. */
	tick(): void {
		this.#sweep(performance.now())
	}

	/** Ends what was to be done by `now`; with -Infinity the oldest one. */
	#sweep(now: number): void {
		for (const connection of this.#connections) {
			if (now !== Number.NEGATIVE_INFINITY && connection.until > now) return
			this.#complain(`A connection to the seccomp socket brought no whole message`)
			this.#reactor.remove(connection)
			this.#end(connection)
			if (now === Number.NEGATIVE_INFINITY) return
		}
	}
}

/** The process that a kept listener came with; 0 when it is not known. */
export function callerOf(listenerName: string): number {
	return Number(/^seccomp-\d+-(\d+)-/.exec(listenerName)?.[1] ?? 0)
}
