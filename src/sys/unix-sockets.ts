/**
 * Unix sockets at a path, and messages on them with descriptors and the kernel's word on who sent them: what the sockets of the keeper and of
 * the seccomp listeners have in common.
 * Source: unix(7) (SCM_RIGHTS, SCM_CREDENTIALS), cmsg(3), recvmsg(2) of man-pages 6.03; struct msghdr of 64-bit Linux; SCM_MAX_FD of
 * include/net/scm.h.
 *
 * Invariant: every descriptor that arrives is answered to the caller, close-on-exec; a sent one is held by the message itself from the
 * moment `send` returns, whatever becomes of the sender.
 */
import { E2BIG, ENAMETOOLONG } from '../lib/errno.ts'
import type { Memory } from '../lib/memory.ts'
import { close } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const socketCall = bind('int socket(int, int, int)')
const bindCall = bind('int bind(int, int64_t, int)')
const connectCall = bind('int connect(int, int64_t, int)')
const recvmsgCall = bind('int64_t recvmsg(int, int64_t, int)')
const sendmsgCall = bind('int64_t sendmsg(int, int64_t, int)')

export const AF_UNIX = 1
export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_SEQPACKET = 5
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000
export const SOL_SOCKET = 1
export const SO_PASSCRED = 16
export const MSG_DONTWAIT = 0x40
export const MSG_PEEK = 2
const SCM_RIGHTS = 1
export const SCM_CREDENTIALS = 2
const MSG_CMSG_CLOEXEC = 0x40000000
const MSG_NOSIGNAL = 0x4000
const SUN_PATH_BYTES = 108
/** Of the scratch memory in which addresses and options are laid out. */
const SCRATCH_BYTES = 4096

/** Where things lie in the scratch memory of one message. */
const IOVEC_AT = 64
const CONTROL_AT = 128
/** The kernel's own bound of descriptors in a message (SCM_MAX_FD) and one set of credentials. */
const CONTROL_BYTES = 1072
const CMSG_HEADER_BYTES = 16
const DATA_AT = 2048
/** Descriptors of one message: what the kernel takes (SCM_MAX_FD), and room for credentials beside them. */
export const MESSAGE_DESCRIPTORS = 250

/** Is a path short enough to be a socket's? */
export function isSocketPath(path: string): boolean {
	return Buffer.byteLength(path) < SUN_PATH_BYTES
}

/** What is done to a new socket: 0 or more when it succeeded, or a negative errno. The scratch memory is of no use afterwards. */
export type Arrange = (fd: number, scratch: Memory) => number

/** A close-on-exec socket of a kind (SOCK_*), arranged; or a negative errno, and there is none. */
export function openSocket(kind: number, ...steps: readonly Arrange[]): number {
	return arranged(result(socketCall(AF_UNIX, kind | SOCK_CLOEXEC, 0)), ...steps)
}

/** The same of one that was made already, or could not be: then `fd` is a negative errno. */
export function arranged(fd: number, ...steps: readonly Arrange[]): number {
	if (fd < 0) return fd
	const scratch = allocate(SCRATCH_BYTES)
	let answer = 0
	for (const step of steps) if (answer >= 0) answer = step(fd, scratch)
	unmap(scratch)
	if (answer >= 0) return fd
	close(fd)
	return answer
}

/** Binds to `path` (at most 107 bytes, not there yet). */
export function bindTo(path: string): Arrange {
	return addressed(path, bindCall)
}

/** Connects to `path`, or to the abstract name after an `@`. */
export function connectTo(path: string): Arrange {
	return addressed(path, connectCall)
}

function addressed(path: string, call: typeof bindCall): Arrange {
	return (fd, { address, buffer, bytes }) => {
		if (!isSocketPath(path)) return -ENAMETOOLONG
		const name = Buffer.from(path)
		const abstract = path.startsWith('@')
		bytes.fill(0, 0, 2 + SUN_PATH_BYTES)
		new DataView(buffer).setUint16(0, AF_UNIX, true)
		bytes.set(name, 2)
		if (abstract) bytes[2] = 0
		// An abstract name is as long as it is said to be; a path ends at its NUL.
		return result(call(fd, address, 2 + name.length + (abstract ? 0 : 1)))
	}
}

/** One message; `pid` is the sender's as this process sees it, 0 when the kernel did not say. */
export interface Message {
	readonly bytes: Buffer
	/** The receiver's now. */
	readonly descriptors: readonly number[]
	readonly pid: number
}

/** Memory in which messages of a size at most are received and sent, one after the other, on whatever sockets. */
export class MessageMemory {
	readonly #mostBytes: number
	readonly #memory: Memory
	readonly #view: DataView

	constructor(mostBytes: number) {
		this.#mostBytes = mostBytes
		this.#memory = allocate(DATA_AT + mostBytes)
		this.#view = new DataView(this.#memory.buffer)
	}

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

	/**
	 * The next message, or what a stream has; empty at its end. Or a negative errno (-EAGAIN: none is there). `flags`: with MSG_PEEK it
	 * stays to be received, and its descriptors come again then.
	 */
	receive(fd: number, flags = 0): Message | number {
		this.#prepare(this.#mostBytes, CONTROL_BYTES)
		const received = result(recvmsgCall(fd, this.#memory.address, MSG_CMSG_CLOEXEC | flags))
		if (received < 0) return received
		const bytes = Buffer.from(this.#memory.bytes.subarray(DATA_AT, DATA_AT + received))
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
		return { bytes, descriptors, pid }
	}

	/** Sends bytes, and descriptors with them. The bytes sent; -E2BIG for more than there is room for; or another negative errno. */
	send(fd: number, bytes: Uint8Array, descriptors: readonly number[] = [], flags = 0): number {
		if (bytes.length > this.#mostBytes || descriptors.length > MESSAGE_DESCRIPTORS) return -E2BIG
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
		return result(sendmsgCall(fd, this.#memory.address, flags | MSG_NOSIGNAL))
	}
}
