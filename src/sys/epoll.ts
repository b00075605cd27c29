/**
 * One epoll instance and its event array. Source: epoll(7), epoll_ctl(2); struct epoll_event of
 * include/uapi/linux/eventpoll.h (v6.12), which is packed to 12 bytes on x86-64 and 16 elsewhere.
 *
 * Invariant: `wait` allocates nothing; events are read by index from memory the kernel filled.
 */
import type { Memory } from '../lib/memory.ts'
import { close } from './io.ts'
import { bind, bindBeside, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const createCall = bind('int epoll_create1(int)')
const ctlCall = bind('int epoll_ctl(int, int, int, int64_t)')
const waitCall = bind('int epoll_wait(int, int64_t, int, int)')
const waitBesideCall = bindBeside('int epoll_wait(int, int64_t, int, int)')

export const EPOLLIN = 0x001
export const EPOLLPRI = 0x002

const EPOLL_CLOEXEC = 0o2000000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3

const PACKED = process.arch === 'x64'
const EVENT_WORDS = PACKED ? 3 : 4
const KEY_WORD = PACKED ? 1 : 2

/** An epoll set. A key is any 32-bit unsigned number, given back with each event. */
export class Epoll {
	/** The epoll descriptor. */
	readonly fd: number
	readonly #maxEvents: number
	readonly #memory: Memory
	readonly #words: Uint32Array

	/** Throws when the kernel gives no descriptor: nothing can be served without one. */
	constructor(maxEvents = 256) {
		this.fd = result(createCall(EPOLL_CLOEXEC))
		if (this.fd < 0) throw new Error(`Cannot create an epoll instance: errno ${-this.fd}`)
		this.#maxEvents = maxEvents
		// One event more than asked: the last one is where epoll_ctl reads its argument.
		this.#memory = allocate((maxEvents + 1) * EVENT_WORDS * 4)
		this.#words = new Uint32Array(this.#memory.buffer)
	}

	/** Watches `fd`. 0, or a negative errno. */
	add(fd: number, events: number, key: number): number {
		return this.#control(EPOLL_CTL_ADD, fd, events, key)
	}

	/** Changes what is watched for, and the key. 0, or a negative errno. */
	modify(fd: number, events: number, key: number): number {
		return this.#control(EPOLL_CTL_MOD, fd, events, key)
	}

	/** Stops watching. 0, or a negative errno. */
	remove(fd: number): number {
		return this.#control(EPOLL_CTL_DEL, fd, 0, 0)
	}

	/** Waits up to `timeoutMs` (-1: for ever): the number of events, 0 at the timeout, or a negative errno (-EINTR). */
	wait(timeoutMs: number): number {
		return result(waitCall(this.fd, this.#memory.address, this.#maxEvents, timeoutMs))
	}

	/** The same in a thread of the pool: the number of events, 0 also when the wait was disturbed. One wait at a time. */
	async waitBeside(timeoutMs: number): Promise<number> {
		return Math.max(0, await waitBesideCall(this.fd, this.#memory.address, this.#maxEvents, timeoutMs))
	}

	/** The key of event `index` of the last `wait`. */
	key(index: number): number {
		return this.#words[index * EVENT_WORDS + KEY_WORD] ?? 0
	}

	/** The EPOLL* bits of event `index` of the last `wait`. */
	events(index: number): number {
		return this.#words[index * EVENT_WORDS] ?? 0
	}

	/** Closes the descriptor and frees the memory; the set must not be used afterwards. */
	close(): void {
		close(this.fd)
		unmap(this.#memory)
	}

	#control(operation: number, fd: number, events: number, key: number): number {
		const at = this.#maxEvents * EVENT_WORDS
		this.#words[at] = events
		this.#words[at + KEY_WORD] = key
		return result(ctlCall(this.fd, operation, fd, this.#memory.address + at * 4))
	}
}
