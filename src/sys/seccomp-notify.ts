/**
 * The listener's side of seccomp user notification: receive a call, ask whether its caller still waits, answer.
 * Source: seccomp_unotify(2), include/uapi/linux/seccomp.h, kernel/seccomp.c (v6.12).
 *
 * NOTIF_RECV sleeps when there is nothing, whatever the descriptor's flags, so `receive` polls first. Invariant: nothing is
 * allocated a call; the call received last is read from this object's fields until the next `receive`.
 */
import { EAGAIN, EINTR, ENOENT } from '../lib/errno.ts'
import type { Memory } from '../lib/memory.ts'
import { ioctl } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate } from './memory.ts'

const pollCall = bind('int poll(int64_t, uint64_t, int)')

const NOTIF_RECV = 0xc0502100
const NOTIF_SEND = 0xc0182101
const NOTIF_ID_VALID = 0x40082102
const NOTIF_SET_FLAGS = 0x40082104
/** The answered caller runs at once where we ran (v6.6): one request at a time is what a log is asked. */
const FD_SYNC_WAKE_UP = 1

const POLLIN = 0x0001

/** struct seccomp_notif: id u64, pid u32, flags u32, then struct seccomp_data: nr i32, arch u32, ip u64, args 6 * u64. */
const NOTIF_BYTES = 80
const NOTIF = { idLow: 0, idHigh: 1, pid: 2, nr: 4, arch: 5, args: 8 } as const
/** struct seccomp_notif_resp: id u64, val s64, error s32, flags u32. */
const ANSWER_AT = 128
const ANSWER = { idLow: 32, idHigh: 33, valueLow: 34, valueHigh: 35, error: 36, flags: 37 } as const
const ID_AT = 192
const ID_WORD = 48
/** struct pollfd: fd i32, events i16, revents i16. */
const POLL_AT = 224
const POLL_WORD = 56
/** What reading and answering calls takes. */
export const NOTIFICATION_BYTES = 256

/** Names a call that waits for its answer: a 64-bit cookie in two halves. */
export interface NotifyId {
	readonly idLow: number
	readonly idHigh: number
}

/** What one listener reads calls with, for all its descriptors. */
export class Notifications {
	readonly #memory: Memory
	readonly #words: Uint32Array
	readonly #signed: Int32Array

	/** `memory`: NOTIFICATION_BYTES at least. What an earlier process received into it is in the fields. */
	constructor(memory: Memory = allocate(NOTIFICATION_BYTES)) {
		this.#memory = memory
		this.#words = new Uint32Array(memory.buffer, 0, NOTIFICATION_BYTES / 4)
		this.#signed = new Int32Array(memory.buffer, 0, NOTIFICATION_BYTES / 4)
	}

	/** The call received last needs no more attention: the fields say that there is none. */
	forget(): void {
		this.#words[NOTIF.idLow] = 0
		this.#words[NOTIF.idHigh] = 0
	}

	/** Asks for the quicker way of waking callers; kernels before 6.6 have none. */
	prepare(fd: number): void {
		ioctl(fd, NOTIF_SET_FLAGS, FD_SYNC_WAKE_UP)
	}

	/** 1 with a call in the fields; 0 when there is none; negative when there will never be one again. */
	receive(fd: number): number {
		this.#signed[POLL_WORD] = fd
		this.#words[POLL_WORD + 1] = POLLIN
		const ready = result(pollCall(this.#memory.address + POLL_AT, 1, 0))
		if (ready <= 0) return ready === 0 || ready === -EINTR ? 0 : ready
		// POLLHUP without POLLIN: everything that had the filter is gone.
		if (((this.#words[POLL_WORD + 1] ?? 0) & (POLLIN << 16)) === 0) return -ENOENT
		this.#words.fill(0, 0, NOTIF_BYTES / 4)
		const received = ioctl(fd, NOTIF_RECV, this.#memory.address)
		if (received === 0) return 1
		// Withdrawn between poll and here, or a signal for us.
		return received === -ENOENT || received === -EINTR || received === -EAGAIN ? 0 : received
	}

	get idLow(): number {
		return this.#words[NOTIF.idLow] ?? 0
	}

	get idHigh(): number {
		return this.#words[NOTIF.idHigh] ?? 0
	}

	/** The calling thread, in our pid namespace; 0 when it is not there. */
	get tid(): number {
		return this.#words[NOTIF.pid] ?? 0
	}

	get nr(): number {
		return this.#signed[NOTIF.nr] ?? 0
	}

	/** AUDIT_ARCH_* of the caller's system call table. */
	get arch(): number {
		return this.#words[NOTIF.arch] ?? 0
	}

	/** An `int` argument. */
	intArgument(index: number): number {
		return this.#signed[NOTIF.args + 2 * index] ?? 0
	}

	/** The lower half of a pointer argument. */
	lowArgument(index: number): number {
		return this.#words[NOTIF.args + 2 * index] ?? 0
	}

	highArgument(index: number): number {
		return this.#words[NOTIF.args + 2 * index + 1] ?? 0
	}

	/** Whether the caller still waits: not when a signal or its end took it away. */
	isValid(fd: number, id: NotifyId): boolean {
		this.#words[ID_WORD] = id.idLow
		this.#words[ID_WORD + 1] = id.idHigh
		return ioctl(fd, NOTIF_ID_VALID, this.#memory.address + ID_AT) === 0
	}

	/** Answers with a value of 0 or more, or a negative errno. 0, or -ENOENT when the caller waits no more. */
	send(fd: number, id: NotifyId, value: number): number {
		const words = this.#words
		words[ANSWER.idLow] = id.idLow
		words[ANSWER.idHigh] = id.idHigh
		words[ANSWER.valueLow] = value < 0 ? 0 : value
		words[ANSWER.valueHigh] = 0
		this.#signed[ANSWER.error] = value < 0 ? value : 0
		words[ANSWER.flags] = 0
		return ioctl(fd, NOTIF_SEND, this.#memory.address + ANSWER_AT)
	}
}
