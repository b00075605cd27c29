/**
 * The seccomp listeners of a shard's containers: each comes by a door, is kept for the next engine, and brings its container's
 * syslog(2) calls from then on.
 *
 * Invariant: a listener is listened to once, whichever engine took it; one whose POG is not there is refused, and that is told.
 */
import type { ContainerProcess } from '../attach/container-process.ts'
import { userNamespaceOf } from '../syslog2/caller.ts'
import type { NamedDescriptor } from '../sys/upbringing.ts'
import type { FdStore } from './fd-store.ts'
import type { ShardEvent } from './messages.ts'
import type { Loop } from './reactor.ts'
import type { ServedPog } from './served-pog.ts'
import { callerOf, SyslogDoor } from './syslog-door.ts'

const TICK_MS = 1000

export interface ListenersContext {
	readonly pogs: ReadonlyMap<number, ServedPog>
	readonly reactor: Loop
	readonly fdStore: FdStore
	readonly tell: (event: ShardEvent) => void
	readonly complain: (message: string) => void
}

export class SyslogListeners {
	readonly #context: ListenersContext
	/** The last number that one got for its name; an earlier engine's count on. */
	#last = 0

	constructor(context: ListenersContext) {
		this.#context = context
	}

	/** Takes what comes to this listening socket; `callers` had connected to an earlier engine. */
	openDoor(socketFd: number, callers: readonly NamedDescriptor[]): void {
		const { reactor, fdStore, complain } = this.#context
		const onListener = (told: ContainerProcess, fd: number, again: boolean): boolean =>
			!(again && this.#isKept(told)) && this.#listen(told, fd)
		const door = new SyslogDoor(reactor, socketFd, onListener, complain, fdStore, callers)
		reactor.every(TICK_MS, () => door.tick())
	}

	/** Those that an earlier engine had taken for a POG. */
	resume(served: ServedPog): void {
		for (const { name, fd } of served.inheritedListeners) this.#take(served, name, fd, served.pid)
	}

	/** Has an earlier engine taken its listener? A second descriptor of it would have us wait for calls that the first one got. */
	#isKept({ metadata, pid }: ContainerProcess): boolean {
		return this.#named(metadata)?.inheritedListeners.some(({ name }) => callerOf(name) === pid) === true
	}

	/** A container's syslog(2) calls come by this descriptor from now on. */
	#listen({ metadata, containerId, pid }: ContainerProcess, fd: number): boolean {
		const { complain, fdStore } = this.#context
		const served = this.#named(metadata)
		if (served === undefined) {
			complain(`A seccomp listener came for POG "${metadata}", which is not there`)
			return false
		}
		const expected = served.containerId
		if (expected !== '' && expected !== containerId) {
			complain(`The listener of container "${containerId}" is not for POG "${metadata}" of "${expected}"`)
			return false
		}
		const name = `seccomp-${served.pog.id}-${pid}-${this.#last + 1}`
		fdStore.keep(name, fd)
		this.#take(served, name, fd, pid)
		return true
	}

	#named(name: string): ServedPog | undefined {
		return [...this.#context.pogs.values()].find(({ pog }) => pog.name === name)
	}

	#take({ pog, syslog, account }: ServedPog, name: string, fd: number, pid: number): void {
		const { reactor, fdStore, tell } = this.#context
		const number = Number(name.slice(name.lastIndexOf('-') + 1))
		this.#last = Math.max(this.#last, number)
		const listener = syslog.listen(fd, number, userNamespaceOf(pid), closed => {
			reactor.remove(closed)
			fdStore.forget(name)
		})
		reactor.add(listener, account)
		// Of one that was inherited as well: the engine before may have died before it said so.
		tell({ event: 'introduced', id: pog.id, pid: callerOf(name) })
	}
}
