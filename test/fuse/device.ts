/**
 * Stands in for /dev/fuse: one end of a SOCK_SEQPACKET pair is the session's descriptor (each read one request, each
 * writev one reply, whole), the other is the kernel's part, played by the test.
 */
import { allocate } from '../../src/sys/memory.ts'
import { bind, result } from '../../src/sys/libc.ts'
import { close, read, write } from '../../src/sys/io.ts'

const socketpair = bind('int socketpair(int, int, int, int64_t)')
const AF_UNIX = 1
const SOCK_SEQPACKET_NONBLOCK = 5 | 0o4000

export interface Device {
	/** For the session. */
	readonly fd: number
	/** Sends bytes as one request. */
	send(bytes: Uint8Array): void
	/** Every reply so far. */
	replies(): Uint8Array[]
	close(): void
}

export function openDevice(): Device {
	const scratch = allocate(256 * 1024)
	const failed = result(socketpair(AF_UNIX, SOCK_SEQPACKET_NONBLOCK, 0, scratch.address))
	if (failed < 0) throw new Error(`Cannot make a socket pair: errno ${-failed}`)
	const [fd = -1, kernel = -1] = new Int32Array(scratch.buffer, 0, 2)
	return {
		fd,
		send(bytes) {
			scratch.bytes.set(bytes)
			const sent = write(kernel, scratch.address, bytes.byteLength)
			if (sent !== bytes.byteLength) throw new Error(`Cannot send a request: ${sent}`)
		},
		replies() {
			const found: Uint8Array[] = []
			for (;;) {
				const got = read(kernel, scratch.address, scratch.bytes.byteLength)
				if (got <= 0) return found
				found.push(scratch.bytes.slice(0, got))
			}
		},
		close() {
			close(fd)
			close(kernel)
		},
	}
}
