/**
 * The keeper's place among the processes of the machine, and that of the engines it starts: before others, because what containers
 * wait for is how soon an engine runs. Source: setpriority(2), sched(7) "The autogroup feature". Without CAP_SYS_NICE it
 * stays as it is.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { AWAITED, URGENT } from '../lib/nice.ts'

/** Behind what containers do; but not last, or it would never be loaded where there is always something to do. */
const BEHIND = 5

/** An engine inherits it from its first instruction on. */
export function hurry(): void {
	try {
		setPriority(URGENT)
	} catch {}
}

/**
 * An engine that is only loaded, in case: nobody waits for it, and loading takes a processor for some time. Called before it has
 * threads. Where it could not be brought forward again it stays as it is.
 */
export function setAside(pid: number): void {
	try {
		if (getPriority() === URGENT) setPriority(pid, BEHIND)
	} catch {}
}

/** Now everybody waits for it. */
export function bringForward(pid: number): void {
	try {
		for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), AWAITED)
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
		if (session === String(process.pid)) writeFileSync('/proc/self/autogroup', String(AWAITED))
	} catch {}
}
