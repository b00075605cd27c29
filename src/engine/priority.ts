/**
 * The service's place among the processes of the machine: before the containers it works for, so that no number of busy
 * ones keeps the others waiting for it. Source: setpriority(2), sched(7) "The autogroup feature", proc(5) /proc/PID/autogroup.
 *
 * It is a weight, not real time: with nothing else to do the containers have the processors to themselves, and the service,
 * which serves them by turns (`turns.ts`), cannot use more than its share of one.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** nice(1) value: about nine times the weight of a process of value 0. */
const NICE = -10

/** To be called before any thread is started: they inherit it. Does nothing where we may not. `leader`: who started us as a service. */
export function raisePriority(leader: number): void {
	try {
		setPriority(NICE)
		// A value counts within a group only, and where the kernel makes one for each session that is the session's own. A session
		// that is somebody else's is left as it is.
		if (session() === leader) writeFileSync('/proc/self/autogroup', String(NICE))
	} catch {
		// No privilege, or no autogroups.
	}
}

/** The process that our session is named after. */
function session(): number {
	// pid (comm) state ppid pgrp session: proc(5).
	const fields = readFileSync('/proc/self/stat', 'latin1').replace(/^.*\) /s, '')
	return Number(fields.split(' ')[3])
}
