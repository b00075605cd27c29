/**
 * Told at once when a process dumps core (a fatal signal such as SIGSEGV), before it is gone. Source:
 * include/uapi/linux/cn_proc.h, drivers/connector/cn_proc.c (v6.12; events by kind since v6.6), netlink(7).
 *
 * The kernel's log is read up to a timer tick later, when the process may have been reaped. Older kernels do not understand the
 * request and send nothing: asked for everything, they would wake us at every fork of the machine.
 */
import { EAGAIN } from '../lib/errno.ts'
import { close, read, write } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate } from './memory.ts'

const socketCall = bind('int socket(int, int, int)')
const bindCall = bind('int bind(int, int64_t, int)')

const AF_NETLINK = 16
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const NETLINK_CONNECTOR = 11
const CN_IDX_PROC = 1
const CN_VAL_PROC = 1
const PROC_CN_MCAST_LISTEN = 1
const PROC_EVENT_COREDUMP = 0x40000000
const NLMSG_DONE = 3
/** struct nlmsghdr (16), struct cn_msg (20), then the event or the request. */
const BODY_AT = 36
const REQUEST_BYTES = 8
/** struct proc_event: what u32, cpu u32, timestamp u64, then process_pid, process_tgid, parent_pid, parent_tgid. */
const EVENT_BYTES = 32

/** A process that dumps core, with its parent, by the host's numbers. */
export interface CoreDump {
	readonly tid: number
	readonly pid: number
	readonly parent: number
}

export class ProcConnector {
	/** Negative errno when there is none to be had. */
	readonly fd: number
	readonly #memory = allocate(4096)
	readonly #view = new DataView(this.#memory.buffer)

	constructor() {
		const fd = result(socketCall(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_CONNECTOR))
		if (fd < 0) {
			this.fd = fd
			return
		}
		const asked = this.#listen(fd)
		if (asked < 0) close(fd)
		this.fd = asked < 0 ? asked : fd
	}

	#listen(fd: number): number {
		const view = this.#view
		// struct sockaddr_nl: family u16, pad u16, pid u32, groups u32
		view.setUint16(0, AF_NETLINK, true)
		view.setUint32(8, CN_IDX_PROC, true)
		const bound = result(bindCall(fd, this.#memory.address, 12))
		if (bound < 0) return bound
		this.#memory.bytes.fill(0, 0, 64)
		view.setUint32(0, BODY_AT + REQUEST_BYTES, true)
		view.setUint16(4, NLMSG_DONE, true)
		view.setUint32(16, CN_IDX_PROC, true)
		view.setUint32(20, CN_VAL_PROC, true)
		view.setUint16(32, REQUEST_BYTES, true)
		view.setUint32(BODY_AT, PROC_CN_MCAST_LISTEN, true)
		view.setUint32(BODY_AT + 4, PROC_EVENT_COREDUMP, true)
		return write(fd, this.#memory.address, BODY_AT + REQUEST_BYTES)
	}

	/** The next one; undefined when something else came; -EAGAIN or another negative errno when nothing did. */
	receive(): CoreDump | undefined | number {
		const view = this.#view
		const bytes = read(this.fd, this.#memory.address, 4096)
		if (bytes <= 0) return bytes === 0 ? -EAGAIN : bytes
		if (bytes < BODY_AT + EVENT_BYTES || view.getUint32(BODY_AT, true) !== PROC_EVENT_COREDUMP) return undefined
		const numberAt = (index: number): number => view.getUint32(BODY_AT + 16 + 4 * index, true)
		return { tid: numberAt(0), pid: numberAt(1), parent: numberAt(3) }
	}
}
