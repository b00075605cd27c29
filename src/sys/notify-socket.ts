/**
 * The datagrams of sd_notify(3): a few lines of text, descriptors, and the kernel's word on who sent them.
 * Source: unix(7) (SCM_RIGHTS, SCM_CREDENTIALS), cmsg(3), recvmsg(2) of man-pages 6.03; struct msghdr of 64-bit Linux.
 *
 * Invariant: every descriptor that arrives is answered to the caller, close-on-exec; none is lost on the way, and a sent
 * one is held by the message itself from the moment `send` returns, whatever becomes of the sender.
 */
import { E2BIG, ENAMETOOLONG } from '../lib/errno.ts'
import { close } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const socketCall = bind('int socket(int, int, int)')
const bindCall = bind('int bind(int, int64_t, int)')
const connectCall = bind('int connect(int, int64_t, int)')
const setsockoptCall = bind('int setsockopt(int, int, int, int64_t, int)')
const recvmsgCall = bind('int64_t recvmsg(int, int64_t, int)')
const sendmsgCall = bind('int64_t sendmsg(int, int64_t, int)')
const fcntlCall = bind('int fcntl(int, int, int64_t)')
const socketpairCall = bind('int socketpair(int, int, int, int64_t)')

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_SEQPACKET = 5
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_PASSCRED = 16
const SO_SNDTIMEO = 21
const SCM_RIGHTS = 1
const SCM_CREDENTIALS = 2
const MSG_CMSG_CLOEXEC = 0x40000000
const MSG_NOSIGNAL = 0x4000
const MSG_DONTWAIT = 0x40
const F_SETFD = 2
const FD_CLOEXEC = 1
const SUN_PATH_BYTES = 108

/** Where things lie in the scratch memory of one message. */
const IOVEC_AT = 64
const CONTROL_AT = 128
/** The kernel's own bound of descriptors in a message (SCM_MAX_FD of include/net/scm.h) and one set of credentials. */
const CONTROL_BYTES = 1072
const CMSG_HEADER_BYTES = 16
const DATA_AT = 2048
/** As systemd: a longer message is cut off. */
export const MESSAGE_BYTES = 4096
/** Descriptors of one message: what the kernel takes (SCM_MAX_FD), and room for credentials beside them. */
export const MESSAGE_DESCRIPTORS = 250

/** One datagram; `pid` is the sender's as this process sees it, 0 when the kernel did not say. */
export interface NotifyMessage {
	readonly text: string
	readonly descriptors: readonly number[]
	readonly pid: number
}

/** A socket that takes messages at `path` (at most 107 bytes, not there yet), non-blocking; or a negative errno. */
export function bindNotifySocket(path: string): number {
	return withSocket(path, SOCK_NONBLOCK, bindCall, (fd, scratch) => {
		new DataView(scratch.buffer).setUint32(0, 1, true)
		return result(setsockoptCall(fd, SOL_SOCKET, SO_PASSCRED, scratch.address, 4))
	})
}

/**
 * A socket that sends to `path`, or to the abstract name after an `@`; a send waits at most `timeoutMs` for a receiver that is
 * behind. Or a negative errno.
 */
export function connectNotifySocket(path: string, timeoutMs: number): number {
	return withSocket(path, 0, connectCall, (fd, scratch) => {
		const view = new DataView(scratch.buffer)
		view.setBigInt64(0, BigInt(Math.trunc(timeoutMs / 1000)), true)
		view.setBigInt64(8, BigInt((timeoutMs % 1000) * 1000), true)
		return result(setsockoptCall(fd, SOL_SOCKET, SO_SNDTIMEO, scratch.address, 16))
	})
}

function withSocket(
	path: string,
	flags: number,
	addressed: (fd: number, address: number, sizeBytes: number) => number,
	arrange: (fd: number, scratch: ReturnType<typeof allocate>) => number,
): number {
	const name = Buffer.from(path)
	if (name.length >= SUN_PATH_BYTES) return -ENAMETOOLONG
	const fd = result(socketCall(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | flags, 0))
	if (fd < 0) return fd
	const scratch = allocate(4096)
	const abstract = path.startsWith('@')
	let answer = arrange(fd, scratch)
	if (answer === 0) {
		scratch.bytes.fill(0, 0, 2 + SUN_PATH_BYTES)
		new DataView(scratch.buffer).setUint16(0, AF_UNIX, true)
		scratch.bytes.set(name, 2)
		if (abstract) scratch.bytes[2] = 0
		// An abstract name is as long as it is said to be; a path ends at its NUL.
		answer = result(addressed(fd, scratch.address, 2 + name.length + (abstract ? 0 : 1)))
	}
	unmap(scratch)
	if (answer >= 0) return fd
	close(fd)
	return answer
}

/** Sends and receives; one object serves all sockets of a thread. */
export class NotifyMessages {
	readonly #memory = allocate(DATA_AT + MESSAGE_BYTES)
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

	/** The next message; its descriptors are the caller's now. Or a negative errno (-EAGAIN: none is there). */
	receive(fd: number): NotifyMessage | number {
		this.#prepare(MESSAGE_BYTES, CONTROL_BYTES)
		const received = result(recvmsgCall(fd, this.#memory.address, MSG_CMSG_CLOEXEC))
		if (received < 0) return received
		const text = Buffer.from(this.#memory.bytes.subarray(DATA_AT, DATA_AT + received)).toString('latin1')
		const descriptors: number[] = []
		let pid = 0
		const view = this.#view
		const end = Number(view.getBigUint64(40, true))
		for (let at = CONTROL_AT; at + CMSG_HEADER_BYTES <= CONTROL_AT + end; ) {
			const sizeBytes = Number(view.getBigUint64(at, true))
			if (sizeBytes < CMSG_HEADER_BYTES || at + sizeBytes > CONTROL_AT + end) break
			const type = view.getInt32(at + 8, true) === SOL_SOCKET ? view.getInt32(at + 12, true) : 0
			// struct ucred: pid, uid, gid
			if (type === SCM_CREDENTIALS) pid = view.getInt32(at + CMSG_HEADER_BYTES, true)
			if (type === SCM_RIGHTS) {
				for (let each = CMSG_HEADER_BYTES; each + 4 <= sizeBytes; each += 4)
					descriptors.push(view.getInt32(at + each, true))
			}
			at += (sizeBytes + 7) & ~7
		}
		return { text, descriptors, pid }
	}

	/** Sends text, and descriptors with it when some are given (MESSAGE_DESCRIPTORS at most). 0, or a negative errno. */
	send(fd: number, text: string, ...descriptors: readonly number[]): number {
		return this.#sendTo(fd, text, descriptors, MSG_NOSIGNAL)
	}

	/** The same, but -EAGAIN where it would wait. */
	offer(fd: number, text: string, ...descriptors: readonly number[]): number {
		return this.#sendTo(fd, text, descriptors, MSG_NOSIGNAL | MSG_DONTWAIT)
	}

	#sendTo(fd: number, text: string, descriptors: readonly number[], flags: number): number {
		const bytes = Buffer.from(text, 'latin1')
		if (bytes.length > MESSAGE_BYTES || descriptors.length > MESSAGE_DESCRIPTORS) return -E2BIG
		const sizeBytes = CMSG_HEADER_BYTES + 4 * descriptors.length
		this.#prepare(bytes.length, descriptors.length === 0 ? 0 : (sizeBytes + 7) & ~7)
		this.#memory.bytes.set(bytes, DATA_AT)
		if (descriptors.length > 0) {
			const view = this.#view
			view.setBigUint64(CONTROL_AT, BigInt(sizeBytes), true)
			view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true)
			view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true)
			for (const [i, each] of descriptors.entries()) view.setInt32(CONTROL_AT + CMSG_HEADER_BYTES + 4 * i, each, true)
		}
		return Math.min(0, result(sendmsgCall(fd, this.#memory.address, flags)))
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
