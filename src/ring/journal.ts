/**
 * What makes every request count exactly once, although the engine may be killed at any store.
 *
 * The kernel sends a request again that was taken and not answered. One thread carries out one request at a time, so there is one
 * at most whose effects are in doubt, and one read whose answer may be under way: both are here, with what is needed to take
 * back what does not count (`recover`) or to answer again what does (`known`).
 *
 * Invariant: a request counts from one single store on: the ring's head for one that appends a record, PHASE.done for any other.
 * Before it the ring is put back as it was at the request's begin.
 */
import type { Cell, Cells } from './cells.ts'
import { FIELD } from './layout.ts'
import type { Ring } from './ring.ts'
import { CELL_FLOATS, PHASE, STATE } from './state-layout.ts'

/** The engine may die so often with the same request. */
const MAX_DEATHS = 2

export class Journal {
	#floats: Float64Array
	#ring: Ring
	/** The request that the engine before this one died with, and what it answers if it counts. */
	#left = 0
	#leftResult: number | undefined
	#leftApplied = false
	/** The read that may be sent again, whose position is to be put back then. */
	#undo = 0

	constructor(ring: Ring) {
		this.#ring = ring
		this.#floats = ring.floats
	}

	moveTo(ring: Ring): void {
		this.#ring = ring
		this.#floats = ring.floats
	}

	/** A request is going to be carried out. */
	begin(request: number): void {
		const floats = this.#floats
		floats[STATE.handling] = request
		if (request !== this.#left) {
			floats[STATE.result] = 0
			floats[STATE.fact] = 0
			floats[STATE.secondFact] = 0
			floats[STATE.opened] = 0
		}
		// Of one that is carried out again, what is known from the first time has to be there at its third, too.
		floats[STATE.headSeq] = this.#ring.headSeq
		floats[STATE.headPosition] = this.#ring.headPosition
		floats[STATE.nextKmsgSeq] = floats[FIELD.nextKmsgSeq] ?? 0
		floats[STATE.phase] = PHASE.begun
		floats[STATE.request] = request
	}

	/** It counts as done, with this answer, as soon as it has appended one record. */
	appends(result: number): void {
		this.#floats[STATE.result] = result
		this.#floats[STATE.phase] = PHASE.appends
	}

	/** What it answers as soon as it counts. */
	answers(result: number): void {
		this.#floats[STATE.result] = result
	}

	/** It counts. */
	done(): void {
		this.#floats[STATE.phase] = PHASE.done
	}

	/** How urgent a request is that is sent again: what the engine died with goes before what would overwrite its traces. */
	rank(request: number): number {
		return request === this.#left ? 0 : request === this.#undo ? 1 : 2
	}

	/** It has its answer, or waits for one without having changed anything. */
	end(): void {
		this.#floats[STATE.request] = 0
	}

	/** Does what is not the current request's, which has changed nothing yet: it would be taken back with it. */
	aside(work: () => void): void {
		const request = this.current
		if (request !== 0) this.end()
		work()
		if (request !== 0) this.begin(request)
	}

	/** The request that the engine before this one died with; 0 for none. */
	get left(): number {
		return this.#left
	}

	/** The request being carried out by this engine; 0 when there is none. */
	get current(): number {
		const request = this.#floats[STATE.request] ?? 0
		return this.#floats[STATE.handling] === request ? request : 0
	}

	/**
	 * Something that is so now, before the current request changes it, and which decides what the same request means when it is
	 * carried out once more. Answers what was so the first time.
	 */
	fact(now: number): number {
		return this.#fact(STATE.fact, now)
	}

	/** A second one. */
	secondFact(now: number): number {
		return this.#fact(STATE.secondFact, now)
	}

	/** Stored with one added: 0 says that the engine died before it looked. */
	#fact(field: number, now: number): number {
		const before = this.#floats[field] ?? 0
		if (this.again && before !== 0) return before - 1
		this.#floats[field] = now + 1
		return now
	}

	/** The current request is going to open this cell's handle. */
	opening(cell: Cell): void {
		this.#floats[STATE.opened] = cell.index + 1
	}

	/** The cell of the handle that the current request opened, or meant to, before the engine died; -1 for none. */
	get opened(): number {
		return this.again ? (this.#floats[STATE.opened] ?? 0) - 1 : -1
	}

	/** Whether the current request, carried out once more, has changed already what is written down with `more to follow`. */
	get applied(): boolean {
		return this.again && this.#leftApplied
	}

	/** Whether the current request was begun before, by an engine that died with it. */
	get again(): boolean {
		return this.#left !== 0 && this.current === this.#left
	}

	/** A read is going to move what this cell, or the shared position, says: it can be put back. */
	reading(request: number, cell: Cell): void {
		const floats = this.#floats
		floats[STATE.undoRequest] = 0
		const { at } = cell
		for (let i = 0; i < CELL_FLOATS; i++) floats[STATE.undoImage + i] = cell.floats[at + i] ?? 0
		floats[STATE.undoSharedSeq] = floats[FIELD.syslogSeq] ?? 0
		floats[STATE.undoSharedPartial] = floats[FIELD.syslogPartial] ?? 0
		floats[STATE.undoCell] = cell.index
		floats[STATE.undoRequest] = request
	}

	/**
	 * Puts right what the engine before this one left. `saved`: the request whose effects outside the ring were written down last,
	 * negative when more was to follow. Before anything else is done with the ring.
	 */
	recover(saved: number): void {
		const floats = this.#floats
		const ring = this.#ring
		this.#undo = floats[STATE.undoRequest] ?? 0
		const request = floats[STATE.request] ?? 0
		if (request === 0) return
		this.#left = request
		const phase = floats[STATE.phase] ?? 0
		const before = floats[STATE.headSeq] ?? 0
		const counts = phase === PHASE.done || saved === request || (phase === PHASE.appends && ring.headSeq > before)
		this.#leftApplied = saved === -request
		if (counts) {
			this.#leftResult = floats[STATE.result] ?? 0
			floats[STATE.phase] = PHASE.done
		} else {
			const applied = this.#leftApplied || phase === PHASE.undone
			if (!applied) ring.rewind(before, floats[STATE.headPosition] ?? 0, floats[STATE.nextKmsgSeq] ?? 0)
			// What is appended from now on is not the request's.
			floats[STATE.phase] = PHASE.undone
		}
		// An engine that died before it came back to the request did not die of it.
		if (floats[STATE.handling] !== request) return
		floats[STATE.deaths] = floats[STATE.suspect] === request ? (floats[STATE.deaths] ?? 0) + 1 : 1
		floats[STATE.suspect] = request
		floats[STATE.handling] = 0
	}

	/** The connection of the engine before this one is gone, and its numbers with it. After `recover`. */
	forget(): void {
		this.#left = 0
		this.#undo = 0
		const floats = this.#floats
		for (const field of [STATE.request, STATE.undoRequest, STATE.suspect, STATE.handling, STATE.negotiated])
			floats[field] = 0
	}

	/** Whether the engine has died with this request too often. */
	isPoison(request: number): boolean {
		return this.#floats[STATE.suspect] === request && (this.#floats[STATE.deaths] ?? 0) >= MAX_DEATHS
	}

	/** What a request that is sent again answers without being carried out again; undefined: it does not count. */
	known(request: number): number | undefined {
		return request === this.#left ? this.#leftResult : undefined
	}

	/** A read is sent again: its answer did not arrive. The cell that is as before it now, if there was one. */
	undo(request: number, cells: Cells): Cell | undefined {
		if (request === 0 || request !== this.#undo) return undefined
		this.#undo = 0
		const floats = this.#floats
		const cell = cells.byIndex(floats[STATE.undoCell] ?? -1)
		if (cell !== undefined) {
			for (let i = 0; i < CELL_FLOATS; i++) cell.floats[cell.at + i] = floats[STATE.undoImage + i] ?? 0
		}
		floats[FIELD.syslogPartial] = 0
		floats[FIELD.syslogSeq] = floats[STATE.undoSharedSeq] ?? 0
		floats[FIELD.syslogPartial] = floats[STATE.undoSharedPartial] ?? 0
		return cell
	}
}
