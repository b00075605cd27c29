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
 * an answer (sockets of datagrams) looking again would only take the processor from the senders: after a few of them the
 * loop leaves all such endpoints alone for a moment, so that the next come together and without waking anybody. They have an
 * epoll set of their own, inside the other: to leave a thousand alone is one system call, and so is to ask who of them has work.
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
	/** Nobody said so: it is only looked at again. */
	guessed: boolean
	/** It is looked at before the loop sleeps. */
	warm: boolean
	/** It worked since epoll was asked last. */
	worked: boolean
	/** What a unit of its work takes, in milliseconds: quick to learn that it is much, slow to forget. */
	unitMs: number
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
/** How long patient endpoints are left alone, in a stream, when they did not have much to do. */
const REST_MS = 4
const LATELY_MS = 2
/** So many came in a row, each soon after the one before: then it is a stream, of which nobody sees by a few milliseconds who was first. */
const STREAM = 16
const FEW_UNITS = 160
/** With more busy endpoints than this there is always something to do. */
const CROWD = 8

/** Where the set of the patient is among the endpoints: no seat has this key. */
const PATIENT_KEY = 0xffff_ffff

export class Reactor implements Loop {
	readonly #epoll = new Epoll()
	readonly #patient = new Epoll()
	readonly #seats: (Seat | undefined)[] = []
	readonly #byEndpoint = new Map<Endpoint, Seat>()
	readonly #free: number[] = []
	readonly #turns = new Turns()
	/** Seats that are looked at without asking epoll. */
	#warm: Seat[] = []
	#running = true
	#paused = false
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
	/** When one of the patient worked last, how often that was soon after the time before, and until when they are left alone (0: they are not). */
	#patientWorkedMs = Number.NEGATIVE_INFINITY
	#patientInRow = 0
	#restsUntilMs = 0
	/** The clock at the end of the last turn. */
	#nowMs = 0
	readonly #onContended: () => void
	readonly #now: () => number
	/** Due times are of the clock. */
	readonly #timers: { everyMs: number; dueMs: number; run: () => void }[] = []

	/**
	 * `onContended`: told now and then while several accounts have work at once. `now`: the clock, in milliseconds; only tests have
	 * another, on which the outcome does not depend on how busy the machine is.
	 */
	constructor(onContended: () => void = () => {}, now = () => performance.now()) {
		this.#onContended = onContended
		this.#now = now
		const added = this.#epoll.add(this.#patient.fd, EPOLLIN, PATIENT_KEY)
		if (added < 0) throw new Error(`Cannot watch an epoll instance: errno ${-added}`)
	}

	add(endpoint: Endpoint, account = new Account()): void {
		const key = this.#free.pop() ?? this.#seats.length
		const seat: Seat = { endpoint, account, key, ready: false, guessed: false, warm: false, worked: false, unitMs: 0 }
		this.#seats[key] = seat
		this.#byEndpoint.set(endpoint, seat)
		const added = this.#setOf(endpoint).add(endpoint.fd, EPOLLIN, key)
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
		this.#setOf(endpoint).remove(endpoint.fd)
	}

	#setOf(endpoint: Endpoint): Epoll {
		return endpoint.patient === true ? this.#patient : this.#epoll
	}

	nudge(endpoint: Endpoint): void {
		const seat = this.#byEndpoint.get(endpoint)
		if (seat !== undefined) this.#welcome(seat)
	}

	every(everyMs: number, run: () => void): void {
		this.#timers.push({ everyMs, dueMs: this.#now() + everyMs, run })
	}

	stop(): void {
		this.#running = false
	}

	/** Has `run` return for a moment. */
	pause(): void {
		this.#paused = true
	}

	/** Serves until `stop`: false; or until `pause`: true, and the next call goes on. */
	run(): boolean {
		this.#paused = false
		while (this.#running && !this.#paused) {
			const slept = this.#warm.length === 0
			const ready = this.#epoll.wait(slept ? this.#untilTimer() : 0)
			if (slept) this.#wake()
			this.#nowMs = this.#now()
			if (this.#restsUntilMs > 0 && (ready > 0 || this.#restsUntilMs <= this.#nowMs)) this.#rouse()
			for (let i = 0; i < ready; i++) {
				const key = this.#epoll.key(i)
				if (key === PATIENT_KEY) this.#welcomePatient()
				else this.#welcomeKey(key)
			}
			this.#serve()
			this.#runTimers()
		}
		if (this.#running) return true
		this.#epoll.close()
		this.#patient.close()
		return false
	}

	#welcomeKey(key: number): void {
		const seat = this.#seats[key]
		if (seat !== undefined) this.#welcome(seat)
	}

	#welcomePatient(): void {
		const ready = this.#patient.wait(0)
		for (let i = 0; i < ready; i++) this.#welcomeKey(this.#patient.key(i))
	}

	#untilTimer(): number {
		let due = Number.POSITIVE_INFINITY
		for (const timer of this.#timers) due = Math.min(due, timer.dueMs)
		if (this.#restsUntilMs > 0) due = Math.min(due, this.#restsUntilMs)
		return due === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(due - this.#now()))
	}

	#runTimers(): void {
		for (const timer of this.#timers) {
			if (timer.dueMs > this.#nowMs) continue
			timer.dueMs = this.#nowMs + timer.everyMs
			timer.run()
		}
	}

	#welcome(seat: Seat): void {
		if (!seat.ready) this.#turns.enter(seat.account)
		seat.ready = true
		seat.guessed = false
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

	/** Leaves the patient alone for a moment, if they keep coming. */
	#rest(): void {
		if (this.#patientInRow < STREAM || this.#epoll.modify(this.#patient.fd, 0, PATIENT_KEY) < 0) return
		this.#restsUntilMs = this.#nowMs + REST_MS
	}

	/** Ends that. Before anybody else is served: who looks at a log sees what was sent to it before. */
	#rouse(): void {
		this.#restsUntilMs = 0
		// While they are left alone no time passes for the stream.
		this.#patientWorkedMs = this.#nowMs
		this.#epoll.modify(this.#patient.fd, EPOLLIN, PATIENT_KEY)
		this.#welcomePatient()
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
				if (this.#unawaited > 0) this.#rest()
				this.#cool(() => false)
				return
			} else if (++this.#idle > most) {
				this.#cool(() => false)
				this.#spins = this.#paid ? MAX_SPINS : Math.max(MIN_SPINS, this.#spins - (this.#spins >> DECAY_SHIFT))
				return
			} else {
				if (this.#idle > 1) {
					yieldProcessor()
					// Others may have had it for long: then who came meanwhile is asked for first.
					this.#nowMs = this.#now()
				}
				for (const warm of this.#warm) warm.ready = warm.guessed = true
			}
		}
		if (this.#isContended()) this.#onContended()
		this.#cool(seat => seat.ready || seat.worked)
	}

	#isContended(): boolean {
		let first: Seat | undefined
		for (const seat of this.#warm) {
			if (!seat.ready || seat.guessed) continue
			first ??= seat
			if (seat.account !== first.account) return true
		}
		return false
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

	/** The ready one that used least. Of one account what was sent comes first: who looks at a log sees what was sent to it before. */
	#next(): Seat | undefined {
		let next: Seat | undefined
		for (const seat of this.#warm) {
			if (!seat.ready) continue
			const sooner = next === undefined || seat.account.usedMs < next.account.usedMs
			if (sooner || (seat.account === next?.account && seat.endpoint.patient === true)) next = seat
		}
		return next
	}

	/** Lets an endpoint work for about `TURN_MS`; whether it did. */
	#giveTurn(seat: Seat): boolean {
		const { endpoint, account } = seat
		const units = Math.min(MAX_UNITS, Math.max(1, Math.floor(TURN_MS / seat.unitMs)))
		const done = endpoint.turn(units)
		const beganMs = this.#nowMs
		this.#nowMs = this.#now()
		const tookMs = this.#nowMs - beganMs
		if (done > 0) {
			this.#turns.charge(account, tookMs)
			const unitMs = tookMs / done
			seat.unitMs = Math.max(unitMs, seat.unitMs + (unitMs - seat.unitMs) * FORGET)
			seat.worked = true
			if (endpoint.patient === true) this.#countUnawaited(done, beganMs)
			else if (endpoint.rare !== true) this.#awaited = true
			// Fewer than it was allowed: it saw the end.
			seat.ready = done >= units
			seat.guessed = false
			return true
		}
		seat.ready = false
		if (done < 0) {
			this.remove(endpoint)
			endpoint.over()
		}
		return false
	}

	#countUnawaited(units: number, nowMs: number): void {
		// Those that came together count as one.
		if (this.#unawaited === 0)
			this.#patientInRow = nowMs - this.#patientWorkedMs < LATELY_MS ? this.#patientInRow + 1 : 0
		this.#unawaited += units
		this.#patientWorkedMs = nowMs
	}
}
