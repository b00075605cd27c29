/**
 * The syslog(2) calls of one POG's container: its listeners (one a session: start, and each exec), the calls that come, and
 * the READs that wait for a record.
 *
 * Order of every answer: take hold of the caller's memory, see that the caller still waits, write, answer, and only when the
 * kernel took the answer let the call have its effect (see `answer.ts`). Invariant: the caller is never sent on to the real
 * system call. A waiting call is answered at most once; one that a signal took away is forgotten when its thread calls
 * again, when a record comes, or when too many wait.
 */
import { EFAULT, ENOMEM, ENOSYS } from '../lib/errno.ts'
import type { Memory } from '../lib/memory.ts'
import type { Pog } from '../pog/pog.ts'
import { close } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'
import { ProcessMemory } from '../sys/process-memory.ts'
import { isSyslogCall } from '../sys/seccomp.ts'
import { Notifications, type NotifyId } from '../sys/seccomp-notify.ts'
import { answer, type Delivery, type SyslogCall } from './answer.ts'
import { Callers } from './caller.ts'
import { KmsgText } from './kmsg-text.ts'

/** What all POGs of a thread answer calls with. */
export class SyslogDesk {
	readonly notifications = new Notifications()
	readonly memory = new ProcessMemory()
	readonly callers = new Callers()
	/** Text on its way to a caller. */
	readonly scratch: Memory = allocate(64 * 1024)
}

/** One descriptor that calls come from. */
export interface Listener {
	readonly fd: number
	/** The user namespace that capabilities count in. */
	readonly userNamespace: string
	turn(units: number): number
	over(): void
	onClose(): void
}

interface WaitingCall extends NotifyId, SyslogCall {
	readonly listener: Listener
	readonly tid: number
}

/** A large ring makes long answers: then others have their turn after each. */
const TURN_MS = 0.5

/** A call that waits was found privileged when it came; the kernel asks no second time either. */
const CHECKED = (): boolean => true

export class SyslogCalls {
	readonly listeners = new Set<Listener>()
	readonly #pog: Pog
	readonly #text: KmsgText
	readonly #desk: SyslogDesk
	/** By thread: a thread has one call at a time. Oldest first. */
	readonly #waiting = new Map<number, WaitingCall>()

	constructor(pog: Pog, desk: SyslogDesk) {
		this.#pog = pog
		this.#text = new KmsgText(pog)
		this.#desk = desk
		pog.onKmsg.push(() => this.#wake())
	}

	/** READs that wait. */
	get waiting(): number {
		return this.#waiting.size
	}

	/** Serves the calls of a descriptor, which is ours from now on. `onClose` is told before it is closed. */
	listen(fd: number, userNamespace: string, onClose: (listener: Listener) => void): Listener {
		const listener: Listener = {
			fd,
			userNamespace,
			turn: units => this.#turn(listener, units),
			over: () => this.#close(listener),
			onClose: () => onClose(listener),
		}
		this.#desk.notifications.prepare(fd)
		this.listeners.add(listener)
		return listener
	}

	/** Gives all descriptors back: calls that wait, and later ones, get ENOSYS from the kernel. */
	closeAll(): void {
		for (const listener of this.listeners) this.#close(listener)
	}

	#close(listener: Listener): void {
		if (!this.listeners.delete(listener)) return
		for (const [tid, call] of this.#waiting) if (call.listener === listener) this.#waiting.delete(tid)
		listener.onClose()
		close(listener.fd)
	}

	#turn(listener: Listener, units: number): number {
		const { notifications } = this.#desk
		const until = performance.now() + TURN_MS
		for (let done = 0; done < units; done++) {
			if (done > 0 && performance.now() > until) return done
			const received = notifications.receive(listener.fd)
			if (received < 0) return done > 0 ? done : received
			if (received === 0) return done
			const { tid, arch, nr } = notifications
			const call: WaitingCall = {
				listener,
				tid,
				idLow: notifications.idLow,
				idHigh: notifications.idHigh,
				type: notifications.intArgument(0),
				buffer: notifications.lowArgument(1) + notifications.highArgument(1) * 2 ** 32,
				len: notifications.intArgument(2),
			}
			// What the thread waited for before, a signal took away.
			this.#waiting.delete(tid)
			if (isSyslogCall(arch, nr)) this.#obey(call)
			// A filter that was changed behind our back sends what only the kernel can do.
			else notifications.send(listener.fd, call, -ENOSYS)
		}
		return units
	}

	#obey(call: WaitingCall): void {
		const privileged = (): boolean =>
			this.#desk.callers.isPrivileged(call.tid, this.#pog.owner.uid, call.listener.userNamespace)
		if (this.#answer(call, privileged) === 'wait') this.#wait(call)
	}

	#answer(call: WaitingCall, privileged: () => boolean): 'wait' | 'answered' {
		const found = answer(call, this.#text, privileged)
		if (found === 'wait') return 'wait'
		const value = 'delivery' in found ? this.#deliver(call, found.delivery) : found.value
		const { notifications } = this.#desk
		if (value !== undefined && notifications.send(call.listener.fd, call, value) === 0) found.settle?.(value)
		return 'answered'
	}

	/** Brings the bytes to the caller. What the call answers, or undefined when nobody waits for it any more. */
	#deliver(call: WaitingCall, delivery: Delivery): number | undefined {
		const { stretch } = delivery
		if (stretch.sizeBytes === 0) return delivery.value(0)
		const { memory, notifications, scratch } = this.#desk
		// Addresses that no program has, and that a number would not hold to the byte.
		if (call.buffer > Number.MAX_SAFE_INTEGER - stretch.sizeBytes) return -EFAULT
		const opened = memory.open(call.tid)
		try {
			if (!notifications.isValid(call.listener.fd, call)) return undefined
			if (opened < 0) return -EFAULT
			const room = memory.writable(call.buffer, stretch.sizeBytes)
			let given = 0
			this.#text.render(stretch, scratch.bytes, bytes => {
				const some = Math.min(bytes, room - given)
				const written = some > 0 ? memory.write(call.buffer + given, scratch.address, some) : 0
				given += Math.max(0, written)
				return written
			})
			return delivery.value(given)
		} finally {
			memory.close()
		}
	}

	/** Keeps a READ until a record comes. */
	#wait(call: WaitingCall): void {
		if (this.#waiting.size >= this.#pog.limits.pendingReads) this.#makeRoom()
		this.#waiting.set(call.tid, call)
	}

	/** Forgets who waits no more; if all do, the oldest one has waited long enough. */
	#makeRoom(): void {
		const { notifications } = this.#desk
		const before = this.#waiting.size
		for (const [tid, call] of this.#waiting)
			if (!notifications.isValid(call.listener.fd, call)) this.#waiting.delete(tid)
		if (this.#waiting.size < before) return
		for (const [tid, call] of this.#waiting) {
			this.#waiting.delete(tid)
			notifications.send(call.listener.fd, call, -ENOMEM)
			return
		}
	}

	/** A record came: who waited longest gets it; the others as far as it goes. */
	#wake(): void {
		if (this.#waiting.size === 0) return
		for (const [tid, call] of this.#waiting) {
			if (this.#answer(call, CHECKED) === 'wait') return
			this.#waiting.delete(tid)
		}
	}
}
