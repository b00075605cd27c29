/**
 * A command in the foreground of `pogctl run`: passes signals on and waits for the end.
 *
 * Source: proc(5) for the task lists and `stat`, pid_namespaces(7): the first process of a namespace is deaf to signals
 * that it does not handle, so they go to the command below it. Invariant: one keypress is one signal to the command.
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const
/** What a terminal sends to its whole foreground group, the command included. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGWINCH'])

/**
 * Waits for `child` (unshare, whose child is the namespace's first process, whose child is the command) to end,
 * forwarding signals meanwhile. The exit code as shells report it (128 and the signal's number for a death by signal), or
 * the error when it could not be started.
 */
export async function waitForeground(child: ChildProcess): Promise<number | Error> {
	const forward = (signal: NodeJS.Signals): void => {
		if (FROM_TERMINAL.has(signal) && inForeground()) return
		const command = commandOf(child.pid ?? 0)
		// Still setting up: nobody to tell, and nothing to lose.
		if (command === undefined) child.kill('SIGKILL')
		else send(command, signal)
	}
	for (const signal of FORWARDED) process.on(signal, forward)
	try {
		return await new Promise<number | Error>(resolve => {
			child.once('error', resolve)
			child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']))
		})
	} finally {
		for (const signal of FORWARDED) process.off(signal, forward)
	}
}

function send(pid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(pid, signal)
	} catch {
		// It ended just now.
	}
}

/** The first (oldest) child's oldest child. */
function commandOf(unsharePid: number): number | undefined {
	const init = firstChild(unsharePid)
	return init === undefined ? undefined : firstChild(init)
}

function firstChild(pid: number): number | undefined {
	const first = Number.parseInt(readOr(`/proc/${pid}/task/${pid}/children`), 10)
	return Number.isNaN(first) ? undefined : first
}

/** Whether this process is in the foreground group of its terminal. */
function inForeground(): boolean {
	// After the command in parentheses: state, ppid, pgrp, session, tty_nr, tpgid
	const stat = readOr('/proc/self/stat')
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
	return fields[2] !== undefined && fields[2] === fields[5]
}

function readOr(path: string): string {
	try {
		return readFileSync(path, 'latin1')
	} catch {
		return ''
	}
}
