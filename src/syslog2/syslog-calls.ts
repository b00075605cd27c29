/**
 * The syslog(2) calls of one POG's container: its listeners (one a session: start, and each exec), the calls that come, and
 * the READs that wait for a record.
 *
 * Order of every answer: take hold of the caller's memory, see that the caller still waits, write, answer, and only when the
 * kernel took the answer let the call have its effect (see `answer.ts`). Invariant: the caller is never sent on to the real
 * system call. A waiting call is answered at most once; one that a signal took away is forgotten when its thread calls
 * again, when a record comes, or when too many wait.
 */
import { EFAULT, EINTR, EIO, ENOMEM, ENOSYS } from '../lib/errno.ts'
import type { Memory } from '../lib/memory.ts'
import type { Pog } from '../pog/pog.ts'
import { type Cell, kindOf, noteOf, publish } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { close } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'
import { ProcessMemory } from '../sys/process-memory.ts'
import { isSyslogCall } from '../sys/seccomp.ts'
import type { Notifications, NotifyId } from '../sys/seccomp-notify.ts'
import { answer, apply, type Delivery, type Effect, type SyslogCall } from './answer.ts'
import { CallJournal } from './call-journal.ts'
import { Callers } from './caller.ts'
import { KmsgText } from './kmsg-text.ts'

/** What all POGs of a thread answer calls with. */
export class SyslogDesk {
	readonly journal: CallJournal
	readonly memory = new ProcessMemory()
	readonly callers = new Callers()
	/** Text on its way to a caller. */
	readonly scratch: Memory = allocate(64 * 1024)

	/** `memory`: for the call that is being answered, where it survives this process. */
	constructor(memory?: Memory) {
		this.journal = new CallJournal(memory)
	}

	get notifications(): Notifications {
		return this.journal.notifications
	}
}

/** Where a call came from and its answer goes. */
export interface AnswerPath {
	/** Its number among those of its POG, for a later engine too; negative when a later one hears nothing of its calls. */
	readonly number: number
	/** The user namespace that capabilities count in. */
	readonly userNamespace: string
	/** Whether the caller still waits. */
	isValid(id: NotifyId): boolean
	/** Answers with a value of 0 or more, or a negative errno. 0, or a negative errno when the caller waits no more. */
	send(id: NotifyId, value: number, effect?: Effect): number
}

/** One descriptor that calls come from. */
export interface Listener extends AnswerPath {
	readonly fd: number
	turn(units: number): number
	over(): void
	onClose(): void
}

/** A call by whatever way it came; `tid`: the thread that makes it. */
export interface IncomingCall extends NotifyId, SyslogCall {
	readonly tid: number
}

interface WaitingCall extends IncomingCall {
	readonly from: AnswerPath
	/** Where it is kept while it waits. */
	cell: Cell | null
}

const SEVERITY_ERR = 3

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
	listen(fd: number, number: number, userNamespace: string, onClose: (listener: Listener) => void): Listener {
		const listener: Listener = {
			fd,
			number,
			userNamespace,
			isValid: id => this.#desk.notifications.isValid(fd, id),
			send: (id, value, effect) => this.#desk.journal.send(fd, this.#pog.id, id, value, effect),
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
		for (const [tid, call] of this.#waiting) if (call.from === listener) this.#forget(tid)
		listener.onClose()
		close(listener.fd)
	}

	#turn(listener: Listener, units: number): number {
		const { journal } = this.#desk
		const until = performance.now() + TURN_MS
		for (let done = 0; done < units; done++) {
			if (done > 0 && performance.now() > until) return done
			const received = journal.receive(listener.fd, this.#pog.id, listener.number)
			if (received < 0) return done > 0 ? done : received
			if (received === 0) return done
			this.#serve(listener)
		}
		return units
	}

	/** The call received last. */
	#serve(listener: Listener): void {
		const { notifications } = this.#desk
		const { tid, arch, nr } = notifications
		const call: WaitingCall = {
			from: listener,
			tid,
			idLow: notifications.idLow,
			idHigh: notifications.idHigh,
			type: notifications.intArgument(0),
			buffer: notifications.lowArgument(1) + notifications.highArgument(1) * 2 ** 32,
			len: notifications.intArgument(2),
			cell: null,
		}
		if (isSyslogCall(arch, nr)) this.#obey(call)
		// A filter that was changed behind our back sends what only the kernel can do.
		else listener.send(call, -ENOSYS)
		notifications.forget()
		this.#pog.flush()
	}

	/** Goes on with the calls that an earlier engine took and did not answer. After every `listen`. */
	recover(): void {
		const { journal, notifications } = this.#desk
		const byNumber = new Map([...this.listeners].map(listener => [listener.number, listener]))
		const { unsettled } = journal
		if (unsettled?.pog === this.#pog.id) {
			const waits = [...this.listeners].some(({ fd }) => notifications.isValid(fd, unsettled.id))
			if (!waits) this.#apply(unsettled.effect)
			journal.settled()
		}
		for (const cell of this.#pog.cells) {
			if (kindOf(cell) !== CELL_KIND.syslogCall) continue
			const listener = byNumber.get(noteOf(cell))
			const call = listener === undefined ? undefined : callIn(cell, listener)
			if (call?.from.isValid(call)) this.#waiting.set(call.tid, call)
			else this.#pog.cells.give(cell)
		}
		const left = byNumber.get(journal.left(this.#pog.id) ?? -1)
		if (left !== undefined && !this.#isWaiting(notifications)) {
			if (notifications.isValid(left.fd, notifications)) {
				if (journal.countDeath()) this.#refuse(left)
				else this.#serve(left)
			}
		}
		journal.recovered(this.#pog.id)
		this.#wake()
	}

	#isWaiting({ idLow, idHigh }: NotifyId): boolean {
		for (const call of this.#waiting.values()) if (call.idLow === idLow && call.idHigh === idHigh) return true
		return false
	}

	/** The engine died with this call twice. */
	#refuse({ fd }: Listener): void {
		const { notifications } = this.#desk
		notifications.send(fd, notifications, -EIO)
		notifications.forget()
		this.#pog.ledger.drop('refused')
		this.#pog.tell(SEVERITY_ERR, 'A call of syslog(2) is refused with EIO: the log service ended twice with it')
	}

	/** A call waits no more. */
	#forget(tid: number): void {
		const call = this.#waiting.get(tid)
		if (call === undefined) return
		this.#waiting.delete(tid)
		if (call.cell !== null) this.#pog.cells.give(call.cell)
	}

	/** Serves a call that somebody else received. */
	take(from: AnswerPath, { tid, idLow, idHigh, type, buffer, len }: IncomingCall): void {
		this.#obey({ from, tid, idLow, idHigh, type, buffer, len, cell: null })
		this.#pog.flush()
	}

	/** Answers what waits on this path as a signal would. */
	interrupt(from: AnswerPath): void {
		for (const [tid, call] of this.#waiting) {
			if (call.from !== from) continue
			this.#forget(tid)
			from.send(call, -EINTR)
		}
	}

	#obey(call: WaitingCall): void {
		// What the thread waited for before, a signal took away.
		this.#forget(call.tid)
		const privileged = (): boolean =>
			this.#desk.callers.isPrivileged(call.tid, this.#pog.owner.uid, call.from.userNamespace)
		if (this.#answer(call, privileged) === 'wait') this.#wait(call)
	}

	#answer(call: WaitingCall, privileged: () => boolean): 'wait' | 'answered' {
		const found = answer(call, this.#text, privileged)
		if (found === 'wait') return 'wait'
		const value = 'delivery' in found ? this.#deliver(call, found.delivery) : found.value
		if (value === undefined) {
			// Nobody waits any more; who brought the call does.
			call.from.send(call, -EINTR)
			return 'answered'
		}
		const effect = typeof found.effect === 'function' ? found.effect(value) : found.effect
		if (call.from.send(call, value, effect) === 0 && effect !== undefined) this.#apply(effect)
		this.#desk.journal.settled()
		return 'answered'
	}

	/** Puts an effect into force, and writes down what is kept outside the ring: only then may it be forgotten that it was due. */
	#apply(effect: Effect): void {
		apply(effect, this.#text)
		this.#pog.flush()
	}

	/** Brings the bytes to the caller. What the call answers, or undefined when nobody waits for it any more. */
	#deliver(call: WaitingCall, delivery: Delivery): number | undefined {
		const { stretch } = delivery
		if (stretch.sizeBytes === 0) return delivery.value(0)
		const { memory, scratch } = this.#desk
		// Addresses that no program has, and that a number would not hold to the byte.
		if (call.buffer > Number.MAX_SAFE_INTEGER - stretch.sizeBytes) return -EFAULT
		const opened = memory.open(call.tid)
		try {
			if (!call.from.isValid(call)) return undefined
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
		call.cell = this.#keep(call)
		this.#waiting.set(call.tid, call)
	}

	#keep(call: WaitingCall): Cell | null {
		const { idLow, idHigh, tid, type, buffer, len, from } = call
		const cell = from.number < 0 ? undefined : this.#pog.cells.take()
		if (cell === undefined) return null
		cell.floats.set([idLow, idHigh, tid, type, buffer, len], cell.at + 1)
		publish(cell, CELL_KIND.syslogCall, from.number)
		return cell
	}

	/** Forgets who waits no more; if all do, the oldest one has waited long enough. */
	#makeRoom(): void {
		const before = this.#waiting.size
		for (const [tid, call] of this.#waiting) if (!call.from.isValid(call)) this.#forget(tid)
		if (this.#waiting.size < before) return
		for (const [tid, call] of this.#waiting) {
			this.#forget(tid)
			this.#pog.ledger.deny('reads')
			call.from.send(call, -ENOMEM)
			return
		}
	}

	/** A record came: who waited longest gets it; the others as far as it goes. */
	#wake(): void {
		if (this.#waiting.size === 0) return
		for (const [tid, call] of this.#waiting) {
			if (this.#answer(call, CHECKED) === 'wait') return
			this.#forget(tid)
		}
	}
}

/** The call that a cell is about. */
function callIn(cell: Cell, from: AnswerPath): WaitingCall {
	const { floats, at } = cell
	const [idLow = 0, idHigh = 0, tid = 0, type = 0, buffer = 0, len = 0] = floats.subarray(at + 1)
	return { from, tid, idLow, idHigh, type, buffer, len, cell }
}
