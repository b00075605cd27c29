/**
 * The keeper's place among the processes of the machine, and that of the engines it starts: before others, because what containers
 * wait for is how soon an engine runs. Source: setpriority(2), sched(7) "The autogroup feature". Without CAP_SYS_NICE it
 * stays as it is.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

/** As the engine's own. */
const NICE = -10

/** An engine inherits it from its first instruction on. */
export function hurry(): void {
	try {
		setPriority(NICE)
	} catch {}
}

/**
 * An engine has died: where the kernel weighs sessions, ours, if it is the service's alone, is to be ahead until the next engine says
 * that it is calm (`src/engine/priority.ts`).
 */
export function hurryGroup(): void {
	try {
		// pid (comm) state ppid pgrp session: proc(5).
		const session = readFileSync('/proc/self/stat', 'latin1')
			.replace(/^.*\) /s, '')
			.split(' ')[3]
		if (session === String(process.pid)) writeFileSync('/proc/self/autogroup', String(NICE))
	} catch {}
}
