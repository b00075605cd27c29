/**
 * The service's place among the processes of the machine: before the containers it works for while several of them want it at once,
 * so that no number of busy ones keeps the others waiting for it; one of many otherwise. Source: setpriority(2), sched(7)
 * "The nice value and group scheduling", proc(5) /proc/PID/autogroup.
 *
 * It is a weight, not real time: the containers have what the service leaves, and it serves them by turns (`turns.ts`).
 * An engine that takes over is further ahead for a moment, for all wait for it: of two processors that 85 processes want at once a value
 * of -10 gives it a fifth of one (`decisions/0040-keeper-and-takeover.md`).
 * Not always: a heavy process that yields its processor gets it back at once, and a single client on the same one would
 * wait for it (measured: 20,000 writes a second instead of 90,000).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { AWAITED, ORDINARY, URGENT } from '../lib/nice.ts'

/** Contended looks within a tick that raise it, and below which a tick is calm: a look is some 0.3 ms of work. */
const MANY = 100
const FEW = 20
const CALM_TICKS = 5

/** The main thread is always ahead: it answers the API, and has little to do. Called before other threads are started. */
export function raiseMainThread(awaited: boolean): void {
	setNice(0, awaited ? AWAITED : URGENT)
}

/** Of the thread that makes it. */
export class Priority {
	readonly #group: boolean
	#contended = 0
	#calm = 0
	#level: number = ORDINARY
	/** The group may have another value than it had when the service began. */
	#raised = false

	/**
	 * `leader`: the process that started us as a service; a session of its own is the service's alone. `awaited`: many have waited
	 * already, for an engine that died.
	 */
	constructor(leader: number, awaited: boolean) {
		this.#group = session() === leader
		this.#set(awaited ? AWAITED : ORDINARY)
	}

	/** Work of several POGs was waiting at once. */
	note(): void {
		if (++this.#contended === MANY && this.#level === ORDINARY) this.#set(URGENT)
	}

	/** To be called every second. */
	tick(): void {
		this.#calm = this.#contended < FEW ? this.#calm + 1 : 0
		this.#contended = 0
		if (this.#level === AWAITED) {
			// What the keeper brought forward with us as well.
			for (const thread of readdirSync('/proc/self/task')) setNice(Number(thread), URGENT)
			this.#set(URGENT)
		} else if (this.#level === URGENT && this.#calm >= CALM_TICKS) this.#set(ORDINARY)
	}

	#set(level: number): void {
		this.#level = level
		this.#raised ||= level !== ORDINARY
		setNice(0, level)
		// A value counts within a group only. Where the kernel makes one for each session, the session's own value counts outside.
		if (this.#group && this.#raised) ignoring(() => writeFileSync('/proc/self/autogroup', String(level)))
	}
}

/** Of a thread; 0 is the calling one, whatever getpriority(2) says of processes. */
function setNice(thread: number, nice: number): void {
	ignoring(() => setPriority(thread, nice))
}

/** Without the privilege, or without autogroups, it stays as it is. */
function ignoring(act: () => void): void {
	try {
		act()
	} catch {}
}

/** The process that our session is named after. */
function session(): number {
	// pid (comm) state ppid pgrp session: proc(5).
	const fields = readFileSync('/proc/self/stat', 'latin1').replace(/^.*\) /s, '')
	return Number(fields.split(' ')[3])
}
