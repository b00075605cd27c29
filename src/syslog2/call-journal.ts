/**
 * The system call that is being answered, in memory that survives the process: the kernel does not send a notification again.
 *
 * A call is received straight into it, and forgotten once it is answered or kept in a cell of its POG. What an answer is to change
 * is written down before the answer is sent: a later process finds the caller waiting still, and answers again, or not, and then
 * the change is due. (A caller that a signal took away in that moment looks the same: it then lost one read.)
 */
import type { Memory } from '../lib/memory.ts'
import { allocate } from '../sys/memory.ts'
import { NOTIFICATION_BYTES, Notifications, type NotifyId } from '../sys/seccomp-notify.ts'
import type { Effect } from './answer.ts'

/** 64-bit floats behind the notification. */
const FIELD = {
	pog: 0,
	listener: 1,
	effect: 2,
	a: 3,
	b: 4,
	idLow: 5,
	idHigh: 6,
	suspectLow: 7,
	suspectHigh: 8,
	deaths: 9,
	/** Whose effect it is: a call that waited is answered while another one's is in the memory. */
	effectPog: 10,
} as const
const FLOATS = 16
export const CALL_JOURNAL_BYTES = NOTIFICATION_BYTES + FLOATS * 8
const MAX_DEATHS = 2
/** A POG that an earlier process served is here by then, or does not come any more. */
const HELD_MS = 5000

export class CallJournal {
	readonly notifications: Notifications
	readonly #floats: Float64Array
	/** The POG of a call, or an effect, that an earlier process left, until it has taken it up; 0 for none. */
	#owner: number
	readonly #heldUntilMs = performance.now() + HELD_MS

	/** `memory`: CALL_JOURNAL_BYTES, zeroed or as an earlier process left it. */
	constructor(memory: Memory = allocate(CALL_JOURNAL_BYTES)) {
		this.notifications = new Notifications(memory)
		this.#floats = new Float64Array(memory.buffer, NOTIFICATION_BYTES, FLOATS)
		const { idLow, idHigh } = this.notifications
		const left = idLow !== 0 || idHigh !== 0 ? this.#floats[FIELD.pog] : this.unsettled?.pog
		this.#owner = left ?? 0
	}

	/** The POG of this number has taken up what was left for it. */
	recovered(pog: number): void {
		if (this.#owner === pog) this.#owner = 0
	}

	/** Receives for a POG from its listener of this number: as `Notifications.receive`, and 0 while a call is left for another. */
	receive(fd: number, pog: number, listener: number): number {
		if (this.#owner !== 0 && performance.now() < this.#heldUntilMs) return 0
		this.#owner = 0
		this.notifications.forget()
		this.#floats[FIELD.pog] = pog
		this.#floats[FIELD.listener] = listener
		return this.notifications.receive(fd)
	}

	/** Sends an answer; its effect is known before the caller has it. 0, or -ENOENT when the caller waits no more. */
	send(fd: number, pog: number, id: NotifyId, value: number, effect: Effect | undefined): number {
		if (effect === undefined) return this.notifications.send(fd, id, value)
		const floats = this.#floats
		floats[FIELD.effectPog] = pog
		floats[FIELD.a] = effect.a
		floats[FIELD.b] = effect.b
		floats[FIELD.idLow] = id.idLow
		floats[FIELD.idHigh] = id.idHigh
		floats[FIELD.effect] = effect.kind
		return this.notifications.send(fd, id, value)
	}

	/** The effect is in force, or is not to be. */
	settled(): void {
		this.#floats[FIELD.effect] = 0
	}

	/** The effect that an earlier process did not come to put into force, and whose; undefined for none. */
	get unsettled(): { pog: number; id: NotifyId; effect: Effect } | undefined {
		const [, , kind = 0, a = 0, b = 0, idLow = 0, idHigh = 0] = this.#floats
		const pog = this.#floats[FIELD.effectPog] ?? 0
		return kind === 0 ? undefined : { pog, id: { idLow, idHigh }, effect: { kind, a, b } }
	}

	/** The number of the listener that a call of this POG came by which an earlier process did not answer; undefined for none. */
	left(pog: number): number | undefined {
		const { idLow, idHigh } = this.notifications
		if ((idLow === 0 && idHigh === 0) || this.#floats[FIELD.pog] !== pog) return undefined
		return this.#floats[FIELD.listener]
	}

	/** A process died with the call received last. Whether that happened too often. */
	countDeath(): boolean {
		const floats = this.#floats
		const { idLow, idHigh } = this.notifications
		const same = floats[FIELD.suspectLow] === idLow && floats[FIELD.suspectHigh] === idHigh
		floats[FIELD.deaths] = same ? (floats[FIELD.deaths] ?? 0) + 1 : 1
		floats[FIELD.suspectLow] = idLow
		floats[FIELD.suspectHigh] = idHigh
		return (floats[FIELD.deaths] ?? 0) >= MAX_DEATHS
	}
}
