/**
 * Unix datagram sockets with sender credentials, received many at a time.
 * Source: unix(7), recvmmsg(2), cmsg(3) of man-pages 6.03; struct mmsghdr of 64-bit Linux.
 *
 * Invariant: nothing is allocated after construction. The control buffer has room for one SCM_CREDENTIALS and one
 * SCM_TIMESTAMPNS and no more, so that descriptors a sender attaches are dropped by the kernel.
 */
import type { Memory } from '../lib/memory.ts'
import { bind, result } from './libc.ts'
import { allocate } from './memory.ts'
import { withDeepQueues } from './socket-namespace.ts'
import {
	AF_UNIX,
	type Arrange,
	arranged,
	bindTo,
	MSG_DONTWAIT,
	SCM_CREDENTIALS,
	SO_PASSCRED,
	SOCK_CLOEXEC,
	SOCK_DGRAM,
	SOCK_NONBLOCK,
	SOL_SOCKET,
} from './unix-sockets.ts'

const socketCall = bind('int socket(int, int, int)')
const setsockoptCall = bind('int setsockopt(int, int, int, int64_t, int)')
const recvmmsgCall = bind('int recvmmsg(int, int64_t, unsigned int, int, int64_t)')

const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
const SO_TIMESTAMPNS = 35
const RECEIVE_BUFFER_BYTES = 4 << 20

/** Binds a non-blocking datagram socket at `path` (at most 107 bytes). A descriptor, or a negative errno. */
export function bindDatagramSocket(path: string): number {
	const made = withDeepQueues(() => result(socketCall(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)))
	const withSendersAndTimes: Arrange = (fd, { address, buffer }) => {
		const view = new DataView(buffer)
		view.setUint32(0, 1, true)
		setsockoptCall(fd, SOL_SOCKET, SO_PASSCRED, address, 4)
		setsockoptCall(fd, SOL_SOCKET, SO_TIMESTAMPNS, address, 4)
		view.setUint32(0, RECEIVE_BUFFER_BYTES, true)
		if (setsockoptCall(fd, SOL_SOCKET, SO_RCVBUFFORCE, address, 4) !== 0)
			setsockoptCall(fd, SOL_SOCKET, SO_RCVBUF, address, 4)
		return 0
	}
	// Before it has an address, so that nothing arrives without them.
	return arranged(made, withSendersAndTimes, bindTo(path))
}

const HEADER_BYTES = 64
const IOVEC_BYTES = 16
/** CMSG_SPACE(sizeof(struct ucred)), and that of a struct timespec. */
const MESSAGE_BYTES = 32
const CONTROL_BYTES = 2 * MESSAGE_BYTES
const SCM_TIMESTAMPNS = SO_TIMESTAMPNS

/** msg_len of a message that the kernel has not filled in: no datagram is so long. */
const NOT_RECEIVED = 0xffff_ffff

/** A batch of datagrams. Read the fields of message i only until the next `receive`. */
export class DatagramBatch {
	readonly #count: number
	readonly #slotBytes: number
	readonly #memory: Memory
	readonly #words: Uint32Array
	readonly #dataAt: number
	readonly #controlAt: number

	/**
	 * `count` datagrams at a time, of `maxBytes` and a little more each: so that one that was longer is seen to be. `map` makes
	 * the memory; what an earlier process received into it is still there.
	 */
	constructor(count: number, maxBytes: number, map: (sizeBytes: number) => Memory = allocate) {
		this.#count = count
		this.#slotBytes = (maxBytes + 8) & ~7
		this.#controlAt = count * (HEADER_BYTES + IOVEC_BYTES)
		this.#dataAt = this.#controlAt + count * CONTROL_BYTES
		this.#memory = map(this.#dataAt + count * this.#slotBytes)
		this.#words = new Uint32Array(this.#memory.buffer)
		for (let i = 0; i < count; i++) {
			const header = (i * HEADER_BYTES) / 4
			const iovec = (count * HEADER_BYTES + i * IOVEC_BYTES) / 4
			this.#pointer(header + 4, count * HEADER_BYTES + i * IOVEC_BYTES)
			this.#words[header + 6] = 1
			this.#pointer(header + 8, this.#controlAt + i * CONTROL_BYTES)
			this.#pointer(iovec, this.#dataAt + i * this.#slotBytes)
			this.#words[iovec + 2] = this.#slotBytes
		}
	}

	#pointer(word: number, offset: number): void {
		const address = this.#memory.address + offset
		this.#words[word] = address
		this.#words[word + 1] = Math.floor(address / 2 ** 32)
	}

	get bytes(): Uint8Array {
		return this.#memory.bytes
	}

	/** Receives up to `most` of what is there: the number of datagrams, or a negative errno (-EAGAIN: none). */
	receive(fd: number, most = this.#count): number {
		const count = Math.min(most, this.#count)
		for (let i = 0; i < count; i++) this.#words[(i * HEADER_BYTES) / 4 + 10] = CONTROL_BYTES
		return result(recvmmsgCall(fd, this.#memory.address, count, MSG_DONTWAIT, 0))
	}

	/** Forgets all that was received: every one of them, also those that the next `receive` leaves alone. */
	clear(): void {
		for (let i = 0; i < this.#count; i++) this.#words[(i * HEADER_BYTES) / 4 + 14] = NOT_RECEIVED
	}

	/** Datagrams that the last `receive` since `clear` took, although its process may have been killed before it was told. */
	get received(): number {
		let count = 0
		while (count < this.#count && this.sizeBytes(count) !== NOT_RECEIVED) count++
		return count
	}

	/** Where datagram i starts in `bytes`. */
	start(i: number): number {
		return this.#dataAt + i * this.#slotBytes
	}

	sizeBytes(i: number): number {
		return this.#words[(i * HEADER_BYTES) / 4 + 14] ?? 0
	}

	/** The sender's ids as the kernel vouches for them, in this process's namespaces; pid 0 when it told none. */
	pid(i: number): number {
		return this.#credential(i, 0)
	}

	uid(i: number): number {
		return this.#credential(i, 1)
	}

	gid(i: number): number {
		return this.#credential(i, 2)
	}

	/** When it was sent, in microseconds of CLOCK_REALTIME; 0 when the kernel did not say. */
	sentUs(i: number): number {
		const at = this.#control(i, SCM_TIMESTAMPNS)
		if (at < 0) return 0
		const [seconds = 0, high = 0, nanoseconds = 0] = [this.#words[at], this.#words[at + 1], this.#words[at + 2]]
		return (high * 2 ** 32 + seconds) * 1e6 + Math.floor(nanoseconds / 1000)
	}

	#credential(i: number, field: number): number {
		const at = this.#control(i, SCM_CREDENTIALS)
		return at < 0 ? 0 : (this.#words[at + field] ?? 0)
	}

	/** The word at which the data of a control message begins; -1 when there is none of that type. */
	#control(i: number, type: number): number {
		const given = this.#words[(i * HEADER_BYTES) / 4 + 10] ?? 0
		for (let k = 0; k * MESSAGE_BYTES + 28 <= given; k++) {
			const at = (this.#controlAt + i * CONTROL_BYTES + k * MESSAGE_BYTES) / 4
			if (this.#words[at + 3] === type) return at + 4
		}
		return -1
	}
}
