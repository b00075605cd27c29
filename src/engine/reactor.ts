/**
 * The loop of a shard: one epoll set, endpoints that do a bounded amount of work a turn.
 *
 * Turns are given by time used, not by their number (`turns.ts`): a POG whose requests are expensive gets fewer of them, and
 * one that has been quiet is served first. How much an endpoint may do in a turn follows from what its work cost lately, so
 * that a turn takes about `TURN_MS` whatever it is; between turns epoll is asked who came meanwhile.
 *
 * After work it looks again at the endpoints that were busy, for some tens of microseconds, before it sleeps: a client
 * that asks again at once then needs no wake-up, which costs more than the request. Between looks it yields the
 * processor, so that a client on the same one runs. When looking again did not pay lately, it does so less. Where nobody waits for
 * an answer (a socket of datagrams) looking again would only take the processor from the senders: after a few of them the
 * loop leaves that endpoint alone for a moment, so that the next come together and without waking anybody.
 *
 * Invariant: who has work and used least has the next turn; a newcomer waits for one turn, not for all who are ready.
 */
import { Epoll, EPOLLIN } from '../sys/epoll.ts'
import { yieldProcessor } from '../sys/threads.ts'
import { Account, Turns } from './turns.ts'

/** Something the kernel tells us is ready. */
export interface Endpoint {
	readonly fd: number
	/** Does up to `units` units of work; the number done, 0 when there was none, negative when it is over. */
	turn(units: number): number
	/** Nobody waits for it: its work may be left for a moment, but is done before other work of the same account. */
	readonly patient?: boolean
	/** Its work seldom comes again at once: nobody is spared a wake-up by looking again, and others want the processor. */
	readonly rare?: boolean
	/** The descriptor failed or its other end is gone: it has been taken out of the set. */
	over(): void
}

/** Where endpoints and timers are put to be served. */
export interface Loop {
	/** `account`: whose time its turns take; its own when left out. */
	add(endpoint: Endpoint, account?: Account): void
	remove(endpoint: Endpoint): void
	/** This endpoint has work that the kernel does not know of. */
	nudge(endpoint: Endpoint): void
	every(everyMs: number, run: () => void): void
	stop(): void
}

/** An endpoint with its place in the order. */
interface Seat {
	readonly endpoint: Endpoint
	readonly account: Account
	readonly key: number
	/** It has work, for all we know. */
	ready: boolean
	/** It is looked at before the loop sleeps. */
	warm: boolean
	/** It worked since epoll was asked last. */
	worked: boolean
	/** What a unit of its work takes, in milliseconds: quick to learn that it is much, slow to forget. */
	unitMs: number
	/** When it worked last, and until when it is left alone, on the clock of performance.now(); whether it comes often. */
	workedAtMs: number
	cameLately: boolean
	restsUntilMs: number
}

/** Units of work in a turn at most, however cheap they were. */
const MAX_UNITS = 32
const TURN_MS = 0.2
/** Work without asking epoll whether somebody else is ready. */
const LOOK_MS = 0.3
/** How slowly a unit's cost is forgotten. */
const FORGET = 0.25
/** Empty looks before sleeping, while looking again pays. */
const MAX_SPINS = 160
const MIN_SPINS = 4
/** Slowly: a client that was held up once by others on its processor must not cost all that follow a wake-up each. */
const DECAY_SHIFT = 4
const EXPLORE_EVERY = 16
/** How long a patient endpoint is left alone, when it had worked a short while before and did not have much to do. */
const REST_MS = 4
const LATELY_MS = 10
const FEW_UNITS = 160
/** With more busy endpoints than this there is always something to do. */
const CROWD = 8

export class Reactor implements Loop {
	readonly #epoll = new Epoll()
	readonly #seats: (Seat | undefined)[] = []
	readonly #byEndpoint = new Map<Endpoint, Seat>()
	readonly #free: number[] = []
	readonly #turns = new Turns()
	/** Seats that are looked at without asking epoll. */
	#warm: Seat[] = []
	#running = true
	#spins = MAX_SPINS
	/** Times that there was work after a sleep. */
	#wakes = 0
	/** Looks in vain since there was work; how many are allowed this time, and whether one was followed by work. */
	#idle = 0
	#most = MAX_SPINS
	#paid = false
	/** Whether somebody waits for what was done since then; how much was done for those who do not. */
	#awaited = false
	#unawaited = 0
	#resting: Seat[] = []
	/** performance.now() at the end of the last turn. */
	#nowMs = 0
	readonly #onContended: () => void
	/** Due times are milliseconds of performance.now(). */
	readonly #timers: { everyMs: number; dueMs: number; run: () => void }[] = []

	/** `onContended`: told now and then while several accounts have work at once. */
	constructor(onContended: () => void = () => {}) {
		this.#onContended = onContended
	}

	add(endpoint: Endpoint, account = new Account()): void {
		const key = this.#free.pop() ?? this.#seats.length
		const times = { unitMs: 0, workedAtMs: Number.NEGATIVE_INFINITY, restsUntilMs: 0, cameLately: false }
		const seat: Seat = { endpoint, account, key, ready: false, warm: false, worked: false, ...times }
		this.#seats[key] = seat
		this.#byEndpoint.set(endpoint, seat)
		const added = this.#epoll.add(endpoint.fd, EPOLLIN, key)
		if (added < 0) throw new Error(`Cannot watch descriptor ${endpoint.fd}: errno ${-added}`)
	}

	remove(endpoint: Endpoint): void {
		const seat = this.#byEndpoint.get(endpoint)
		if (seat === undefined) return
		this.#byEndpoint.delete(endpoint)
		this.#seats[seat.key] = undefined
		this.#free.push(seat.key)
		seat.ready = seat.warm = false
		this.#warm = this.#warm.filter(other => other !== seat)
		this.#resting = this.#resting.filter(other => other !== seat)
		this.#epoll.remove(endpoint.fd)
	}

	nudge(endpoint: Endpoint): void {
		const seat = this.#byEndpoint.get(endpoint)
		if (seat !== undefined) this.#welcome(seat)
	}

	every(everyMs: number, run: () => void): void {
		this.#timers.push({ everyMs, dueMs: performance.now() + everyMs, run })
	}

	stop(): void {
		this.#running = false
	}

	/** Serves until `stop`. */
	run(): void {
		while (this.#running) {
			const slept = this.#warm.length === 0
			const ready = this.#epoll.wait(slept ? this.#untilTimer() : 0)
			if (slept) this.#wake()
			for (let i = 0; i < ready; i++) {
				const seat = this.#seats[this.#epoll.key(i)]
				if (seat !== undefined) this.#welcome(seat)
			}
			this.#nowMs = performance.now()
			if (this.#resting.length > 0) this.#rouse(seat => seat.restsUntilMs <= this.#nowMs)
			this.#serve()
			this.#runTimers()
		}
		this.#epoll.close()
	}

	#untilTimer(): number {
		let due = Number.POSITIVE_INFINITY
		for (const timer of this.#timers) due = Math.min(due, timer.dueMs)
		for (const seat of this.#resting) due = Math.min(due, seat.restsUntilMs)
		return due === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(due - performance.now()))
	}

	#runTimers(): void {
		for (const timer of this.#timers) {
			if (timer.dueMs > this.#nowMs) continue
			timer.dueMs = this.#nowMs + timer.everyMs
			timer.run()
		}
	}

	#welcome(seat: Seat): void {
		// Who looks at a log sees what was sent to it before.
		if (this.#resting.length > 0 && seat.endpoint.patient !== true)
			this.#rouse(({ account }) => account === seat.account)
		if (!seat.ready) this.#turns.enter(seat.account)
		seat.ready = true
		if (seat.warm) return
		seat.warm = true
		this.#warm.push(seat)
	}

	#wake(): void {
		this.#wakes = (this.#wakes + 1) % EXPLORE_EVERY
		// Now and then as often as ever, to notice when looking again pays again.
		this.#most = this.#wakes === 0 ? MAX_SPINS : this.#spins
		this.#idle = 0
		this.#paid = false
		this.#awaited = false
		this.#unawaited = 0
	}

	/** Leaves a seat alone for a moment, if it is one of those that keep coming. */
	#rest(seat: Seat): void {
		if (seat.endpoint.patient !== true || this.#epoll.modify(seat.endpoint.fd, 0, seat.key) < 0) return
		seat.restsUntilMs = this.#nowMs + REST_MS
		this.#resting.push(seat)
	}

	/** Ends the rest of some seats, which then have work for all we know. */
	#rouse(which: (seat: Seat) => boolean): void {
		const resting = this.#resting
		this.#resting = []
		for (const seat of resting) {
			if (!which(seat)) {
				this.#resting.push(seat)
				continue
			}
			this.#epoll.modify(seat.endpoint.fd, EPOLLIN, seat.key)
			this.#welcome(seat)
		}
	}

	/** Gives turns until it is time to ask epoll, or until nobody has had work for a while. */
	#serve(): void {
		const until = this.#nowMs + LOOK_MS
		const most = this.#warm.length > CROWD ? 1 : this.#most
		while (this.#nowMs < until && this.#running) {
			const seat = this.#next()
			if (seat !== undefined) {
				if (!this.#giveTurn(seat)) continue
				this.#paid ||= this.#idle > 0
				this.#idle = 0
			} else if (!this.#awaited && this.#unawaited < FEW_UNITS) {
				for (const warm of this.#warm) if (warm.worked && warm.cameLately) this.#rest(warm)
				this.#cool(() => false)
				return
			} else if (++this.#idle > most) {
				this.#cool(() => false)
				this.#spins = this.#paid ? MAX_SPINS : Math.max(MIN_SPINS, this.#spins - (this.#spins >> DECAY_SHIFT))
				return
			} else {
				if (this.#idle > 1) yieldProcessor()
				for (const warm of this.#warm) warm.ready = true
			}
		}
		if (this.#isContended()) this.#onContended()
		this.#cool(seat => seat.ready || seat.worked)
	}

	#isContended(): boolean {
		const first = this.#warm.find(seat => seat.ready)
		return first !== undefined && this.#warm.some(seat => seat.ready && seat.account !== first.account)
	}

	/** Leaves those to epoll that have nothing to do. */
	#cool(stays: (seat: Seat) => boolean): void {
		const warm = this.#warm
		this.#warm = warm.filter(seat => {
			seat.warm = stays(seat)
			if (!seat.warm) seat.ready = false
			seat.worked = false
			return seat.warm
		})
	}

	/** The ready one that used least. */
	#next(): Seat | undefined {
		let next: Seat | undefined
		for (const seat of this.#warm) {
			if (seat.ready && (next === undefined || seat.account.usedMs < next.account.usedMs)) next = seat
		}
		return next
	}

	/** Lets an endpoint work for about `TURN_MS`; whether it did. */
	#giveTurn(seat: Seat): boolean {
		const { endpoint, account } = seat
		const units = Math.min(MAX_UNITS, Math.max(1, Math.floor(TURN_MS / seat.unitMs)))
		const done = endpoint.turn(units)
		const beganMs = this.#nowMs
		this.#nowMs = performance.now()
		const tookMs = this.#nowMs - beganMs
		if (done > 0) {
			this.#turns.charge(account, tookMs)
			const unitMs = tookMs / done
			seat.unitMs = Math.max(unitMs, seat.unitMs + (unitMs - seat.unitMs) * FORGET)
			seat.worked = true
			if (endpoint.patient === true) this.#unawaited += done
			else if (endpoint.rare !== true) this.#awaited = true
			seat.cameLately = beganMs - seat.workedAtMs < LATELY_MS
			seat.workedAtMs = beganMs
			// Fewer than it was allowed: it saw the end.
			seat.ready = done >= units
			return true
		}
		seat.ready = false
		if (done < 0) {
			this.remove(endpoint)
			endpoint.over()
		}
		return false
	}
}
