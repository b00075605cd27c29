/**
 * The datagrams of sd_notify(3): a few lines of text, descriptors, and the kernel's word on who sent them.
 * Source: sd_notify(3), unix(7).
 *
 * Invariant: that of `unix-sockets.ts`: no descriptor is lost on the way.
 */
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'
import {
	AF_UNIX,
	type Arrange,
	bindTo,
	connectTo,
	MessageMemory,
	MSG_DONTWAIT,
	openSocket,
	SO_PASSCRED,
	SOCK_CLOEXEC,
	SOCK_DGRAM,
	SOCK_NONBLOCK,
	SOCK_SEQPACKET,
	SOL_SOCKET,
} from './unix-sockets.ts'

const setsockoptCall = bind('int setsockopt(int, int, int, int64_t, int)')
const fcntlCall = bind('int fcntl(int, int, int64_t)')
const socketpairCall = bind('int socketpair(int, int, int, int64_t)')

const SO_SNDTIMEO = 21
const F_SETFD = 2
const FD_CLOEXEC = 1

/** As systemd: a longer message is cut off. */
export const MESSAGE_BYTES = 4096

/** One datagram; `pid` is the sender's as this process sees it, 0 when the kernel did not say. */
export interface NotifyMessage {
	readonly text: string
	readonly descriptors: readonly number[]
	readonly pid: number
}

/** A socket that takes messages at `path` (at most 107 bytes, not there yet), non-blocking; or a negative errno. */
export function bindNotifySocket(path: string): number {
	const withSenders: Arrange = (fd, scratch) => {
		new DataView(scratch.buffer).setUint32(0, 1, true)
		return result(setsockoptCall(fd, SOL_SOCKET, SO_PASSCRED, scratch.address, 4))
	}
	return openSocket(SOCK_DGRAM | SOCK_NONBLOCK, withSenders, bindTo(path))
}

/**
 * A socket that sends to `path`, or to the abstract name after an `@`; a send waits at most `timeoutMs` for a receiver that is
 * behind. Or a negative errno.
 */
export function connectNotifySocket(path: string, timeoutMs: number): number {
	const withPatience: Arrange = (fd, scratch) => {
		const view = new DataView(scratch.buffer)
		view.setBigInt64(0, BigInt(Math.trunc(timeoutMs / 1000)), true)
		view.setBigInt64(8, BigInt((timeoutMs % 1000) * 1000), true)
		return result(setsockoptCall(fd, SOL_SOCKET, SO_SNDTIMEO, scratch.address, 16))
	}
	return openSocket(SOCK_DGRAM, withPatience, connectTo(path))
}

/** Sends and receives; one object serves all sockets of a thread. */
export class NotifyMessages {
	readonly #memory = new MessageMemory(MESSAGE_BYTES)

	/** The next message; its descriptors are the caller's now. Or a negative errno (-EAGAIN: none is there). */
	receive(fd: number): NotifyMessage | number {
		const message = this.#memory.receive(fd)
		if (typeof message === 'number') return message
		return { text: message.bytes.toString('latin1'), descriptors: message.descriptors, pid: message.pid }
	}

	/** Sends text, and descriptors with it when some are given (MESSAGE_DESCRIPTORS at most). 0, or a negative errno. */
	send(fd: number, text: string, ...descriptors: readonly number[]): number {
		return Math.min(0, this.#memory.send(fd, Buffer.from(text, 'latin1'), descriptors))
	}

	/** The same, but -EAGAIN where it would wait. */
	offer(fd: number, text: string, ...descriptors: readonly number[]): number {
		return Math.min(0, this.#memory.send(fd, Buffer.from(text, 'latin1'), descriptors, MSG_DONTWAIT))
	}
}

/** Two connected sockets that keep the borders of messages; the end of one is an empty message to the other. Or a negative errno. */
export function messagePair({ wait = true } = {}): readonly [number, number] | number {
	const scratch = allocate(4096)
	const made = result(
		socketpairCall(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0, scratch.address),
	)
	const view = new DataView(scratch.buffer)
	const pair = [view.getInt32(0, true), view.getInt32(4, true)] as const
	unmap(scratch)
	return made < 0 ? made : pair
}

/** Keeps an inherited descriptor from programs that we start. 0, or -EBADF. */
export function setCloseOnExec(fd: number): number {
	return result(fcntlCall(fd, F_SETFD, FD_CLOEXEC))
}
