/**
 * The service's place among the processes of the machine: before the containers it works for while several of them want it at once,
 * so that no number of busy ones keeps the others waiting for it; one of many otherwise. Source: setpriority(2), sched(7)
 * "The nice value and group scheduling", proc(5) /proc/PID/autogroup.
 *
 * It is a weight, not real time: the containers have what the service leaves, and it serves them by turns (`turns.ts`).
 * Not always: a heavy process that yields its processor gets it back at once, and a single client on the same one would
 * wait for it (measured: 20,000 writes a second instead of 90,000).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** nice(1) value: about nine times the weight of a process of value 0. */
const URGENT = -10
const ORDINARY = 0
/** Contended looks within a tick that raise it, and below which a tick is calm: a look is some 0.3 ms of work. */
const MANY = 100
const FEW = 20
const CALM_TICKS = 5

/** The main thread is always ahead: it answers the API, and has little to do. Called before other threads are started. */
export function raiseMainThread(): void {
	niceThisThread(URGENT)
}

/** Of the thread that makes it. */
export class Priority {
	readonly #group: boolean
	#contended = 0
	#calm = 0
	#urgent = false
	/** The group may have another value than it had when the service began. */
	#raised = false

	/**
	 * `leader`: the process that started us as a service; a session of its own is the service's alone. `awaited`: many have waited
	 * already, for an engine that died: ahead until that is calm.
	 */
	constructor(leader: number, awaited: boolean) {
		this.#group = session() === leader
		this.#set(awaited)
	}

	/** Work of several POGs was waiting at once. */
	note(): void {
		if (++this.#contended === MANY && !this.#urgent) this.#set(true)
	}

	/** To be called every second. */
	tick(): void {
		this.#calm = this.#contended < FEW ? this.#calm + 1 : 0
		this.#contended = 0
		if (this.#urgent && this.#calm >= CALM_TICKS) this.#set(false)
	}

	#set(urgent: boolean): void {
		this.#urgent = urgent
		this.#raised ||= urgent
		niceThisThread(urgent ? URGENT : ORDINARY)
		// A value counts within a group only. Where the kernel makes one for each session, the session's own value counts outside.
		if (this.#group && (urgent || this.#raised))
			ignoring(() => writeFileSync('/proc/self/autogroup', String(urgent ? URGENT : ORDINARY)))
	}
}

function niceThisThread(nice: number): void {
	// 0 is the calling thread, whatever getpriority(2) says of processes.
	ignoring(() => setPriority(0, nice))
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
