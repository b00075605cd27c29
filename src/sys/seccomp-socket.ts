/**
 * Handing over the descriptor of a seccomp listener by a stream socket: a few bytes of text and one descriptor.
 *
 * Invariant: every descriptor that arrives is answered; none is inherited by programs we start.
 */
import { chmodSync } from 'node:fs'
import { bind, result } from './libc.ts'
import {
	bindTo,
	connectTo,
	MessageMemory,
	MSG_PEEK,
	openSocket,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	SOCK_SEQPACKET,
	SOCK_STREAM,
} from './unix-sockets.ts'

const listenCall = bind('int listen(int, int)')
const acceptCall = bind('int accept4(int, int64_t, int64_t, int)')

/** For its owner alone, whatever the umask is. */
const SOCKET_MODE = 0o600
const BACKLOG = 128

/** Bytes of one `receive`. */
export const PIECE_BYTES = 16 * 1024

/** Listens for connections at `path` (at most 107 bytes, not there yet). A non-blocking descriptor, or a negative errno. */
export function listenStream(path: string): number {
	return listen(path, SOCK_STREAM)
}

/** The same for connections that keep the borders of messages. */
export function listenPackets(path: string): number {
	return listen(path, SOCK_SEQPACKET)
}

function listen(path: string, kind: number): number {
	return openSocket(kind | SOCK_NONBLOCK, bindTo(path), fd => {
		// Before it listens, so that nobody else can connect at any moment.
		chmodSync(path, SOCKET_MODE)
		return result(listenCall(fd, BACKLOG))
	})
}

/** Connects to a listener. A descriptor, or a negative errno. */
export function connectStream(path: string): number {
	return openSocket(SOCK_STREAM, connectTo(path))
}

/** Takes a waiting connection: a non-blocking descriptor, -EAGAIN when there is none, or another negative errno. */
export function acceptStream(fd: number): number {
	return result(acceptCall(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC))
}

/** Receives and sends text with descriptors; one object serves all connections. */
export class DescriptorMessages {
	readonly #memory = new MessageMemory(PIECE_BYTES)

	/** A piece of text and the descriptors that came with it, which are the caller's now; text empty at the end; or a negative errno. */
	receive(fd: number): { text: Buffer; descriptors: readonly number[] } | number {
		return this.#receive(fd, 0)
	}

	/** The same, and it stays to be received: the descriptors are others, of the same open files. */
	peek(fd: number): { text: Buffer; descriptors: readonly number[] } | number {
		return this.#receive(fd, MSG_PEEK)
	}

	#receive(fd: number, flags: number): { text: Buffer; descriptors: readonly number[] } | number {
		const message = this.#memory.receive(fd, flags)
		return typeof message === 'number' ? message : { text: message.bytes, descriptors: message.descriptors }
	}

	/** Sends bytes alone, `PIECE_BYTES` at most. The bytes sent, or a negative errno. */
	sendBytes(fd: number, bytes: Uint8Array): number {
		return this.#memory.send(fd, bytes)
	}

	/** Sends text, `PIECE_BYTES` at most, and a descriptor with it. The bytes sent, or a negative errno. */
	send(fd: number, text: string, descriptor: number): number {
		return this.#memory.send(fd, Buffer.from(text), [descriptor])
	}
}
