/**
 * Handing over the descriptor of a seccomp listener by a stream socket: a few bytes of text and one descriptor.
 * Source: unix(7) (SCM_RIGHTS), cmsg(3), recvmsg(2) of man-pages 6.03; struct msghdr of 64-bit Linux.
 *
 * Invariant: every descriptor that arrives is either answered or closed; none is inherited by programs we start.
 */
import { chmodSync } from 'node:fs'
import { E2BIG, ENAMETOOLONG } from '../lib/errno.ts'
import { close } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const socketCall = bind('int socket(int, int, int)')
const bindCall = bind('int bind(int, int64_t, int)')
const connectCall = bind('int connect(int, int64_t, int)')
const listenCall = bind('int listen(int, int)')
const acceptCall = bind('int accept4(int, int64_t, int64_t, int)')
const recvmsgCall = bind('int64_t recvmsg(int, int64_t, int)')
const sendmsgCall = bind('int64_t sendmsg(int, int64_t, int)')

/** For its owner alone, whatever the umask is. */
const SOCKET_MODE = 0o600
const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_SEQPACKET = 5
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000
const MSG_NOSIGNAL = 0x4000
const SUN_PATH_BYTES = 108
const BACKLOG = 128

/** Where things lie in the scratch memory of one message. */
const IOVEC_AT = 64
const CONTROL_AT = 128
const CONTROL_BYTES = 512
const CMSG_HEADER_BYTES = 16
const DATA_AT = 1024
/** Bytes of one `receive`. */
export const PIECE_BYTES = 16 * 1024

/** Is a path short enough to be a socket's? */
export function isSocketPath(path: string): boolean {
	return Buffer.byteLength(path) < SUN_PATH_BYTES
}

/** Listens for connections at `path` (at most 107 bytes, not there yet). A non-blocking descriptor, or a negative errno. */
export function listenStream(path: string): number {
	return listen(path, SOCK_STREAM)
}

/** The same for connections that keep the borders of messages. */
export function listenPackets(path: string): number {
	return listen(path, SOCK_SEQPACKET)
}

function listen(path: string, kind: number): number {
	return withAddress(path, kind | SOCK_NONBLOCK, (fd, address, sizeBytes) => {
		const bound = result(bindCall(fd, address, sizeBytes))
		if (bound < 0) return bound
		// Before it listens, so that nobody else can connect at any moment.
		chmodSync(path, SOCKET_MODE)
		return result(listenCall(fd, BACKLOG))
	})
}

/** Connects to a listener. A descriptor, or a negative errno. */
export function connectStream(path: string): number {
	return withAddress(path, SOCK_STREAM, (fd, address, sizeBytes) => result(connectCall(fd, address, sizeBytes)))
}

function withAddress(
	path: string,
	kind: number,
	run: (fd: number, address: number, sizeBytes: number) => number,
): number {
	const name = Buffer.from(path)
	if (name.length >= SUN_PATH_BYTES) return -ENAMETOOLONG
	const fd = result(socketCall(AF_UNIX, kind | SOCK_CLOEXEC, 0))
	if (fd < 0) return fd
	const scratch = allocate(4096)
	new DataView(scratch.buffer).setUint16(0, AF_UNIX, true)
	scratch.bytes.set(name, 2)
	const answer = run(fd, scratch.address, 2 + name.length + 1)
	unmap(scratch)
	if (answer >= 0) return fd
	close(fd)
	return answer
}

/** Takes a waiting connection: a non-blocking descriptor, -EAGAIN when there is none, or another negative errno. */
export function acceptStream(fd: number): number {
	return result(acceptCall(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC))
}

/** Receives and sends text with descriptors; one object serves all connections. */
export class DescriptorMessages {
	readonly #memory = allocate(DATA_AT + PIECE_BYTES)
	readonly #view = new DataView(this.#memory.buffer)

	#prepare(sizeBytes: number, controlBytes: number): void {
		const { address } = this.#memory
		const view = this.#view
		// struct msghdr: name u64, namelen u32, iov u64, iovlen u64, control u64, controllen u64, flags i32
		this.#memory.bytes.fill(0, 0, DATA_AT)
		view.setBigUint64(16, BigInt(address + IOVEC_AT), true)
		view.setBigUint64(24, 1n, true)
		view.setBigUint64(32, BigInt(controlBytes === 0 ? 0 : address + CONTROL_AT), true)
		view.setBigUint64(40, BigInt(controlBytes), true)
		view.setBigUint64(IOVEC_AT, BigInt(address + DATA_AT), true)
		view.setBigUint64(IOVEC_AT + 8, BigInt(sizeBytes), true)
	}

	/** A piece of text and the descriptors that came with it, which are the caller's now; text empty at the end; or a negative errno. */
	receive(fd: number): { text: Buffer; descriptors: number[] } | number {
		this.#prepare(PIECE_BYTES, CONTROL_BYTES)
		const received = result(recvmsgCall(fd, this.#memory.address, MSG_CMSG_CLOEXEC))
		if (received < 0) return received
		const text = Buffer.from(this.#memory.bytes.subarray(DATA_AT, DATA_AT + received))
		return { text, descriptors: this.#descriptors() }
	}

	#descriptors(): number[] {
		const view = this.#view
		const end = Number(view.getBigUint64(40, true))
		const descriptors: number[] = []
		for (let at = 0; at + CMSG_HEADER_BYTES <= end; ) {
			const sizeBytes = Number(view.getBigUint64(CONTROL_AT + at, true))
			if (sizeBytes < CMSG_HEADER_BYTES || at + sizeBytes > end) break
			const level = view.getInt32(CONTROL_AT + at + 8, true)
			const type = view.getInt32(CONTROL_AT + at + 12, true)
			if (level === SOL_SOCKET && type === SCM_RIGHTS) {
				for (let each = CMSG_HEADER_BYTES; each + 4 <= sizeBytes; each += 4)
					descriptors.push(view.getInt32(CONTROL_AT + at + each, true))
			}
			at += (sizeBytes + 7) & ~7
		}
		return descriptors
	}

	/** Sends bytes alone, `PIECE_BYTES` at most. The bytes sent, or a negative errno. */
	sendBytes(fd: number, bytes: Uint8Array): number {
		if (bytes.length > PIECE_BYTES) return -E2BIG
		this.#prepare(bytes.length, 0)
		this.#memory.bytes.set(bytes, DATA_AT)
		return result(sendmsgCall(fd, this.#memory.address, MSG_NOSIGNAL))
	}

	/** Sends text, `PIECE_BYTES` at most, and a descriptor with it. The bytes sent, or a negative errno. */
	send(fd: number, text: string, descriptor: number): number {
		const bytes = Buffer.from(text)
		if (bytes.length > PIECE_BYTES) return -E2BIG
		this.#prepare(bytes.length, CMSG_HEADER_BYTES + 8)
		this.#memory.bytes.set(bytes, DATA_AT)
		const view = this.#view
		view.setBigUint64(CONTROL_AT, BigInt(CMSG_HEADER_BYTES + 4), true)
		view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true)
		view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true)
		view.setInt32(CONTROL_AT + CMSG_HEADER_BYTES, descriptor, true)
		return result(sendmsgCall(fd, this.#memory.address, MSG_NOSIGNAL))
	}
}
