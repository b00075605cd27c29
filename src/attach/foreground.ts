/**
 * A command in the foreground of `pogctl run`: passes signals on and waits for the end.
 *
 * Source: proc(5) for the task lists and `stat`, pid_namespaces(7): the first process of a namespace is deaf to signals
 * that it does not handle, so they go to the command below it. Invariants: one keypress is one signal to the command; the
 * terminal's foreground is ours again at the end.
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { takeForeground } from '../sys/terminal.ts'

/** As docker, chroot and env: the command is not to blame. */
export const EXIT_NOT_STARTED = 125
const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const
/** What a terminal sends to its whole foreground group, the command included. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGWINCH'])

/** The signals sent to this process from its making on; who makes it closes it. */
export class SignalInbox {
	/** The first that came while nobody was there to take it. */
	pending: NodeJS.Signals | undefined
	#taker: ((signal: NodeJS.Signals) => void) | undefined
	readonly #listener = (signal: NodeJS.Signals): void => {
		if (this.#taker !== undefined) this.#taker(signal)
		else if (signal !== 'SIGWINCH') this.pending ??= signal
	}

	constructor() {
		for (const signal of FORWARDED) process.on(signal, this.#listener)
	}

	/** Who takes them from now on. */
	deliver(taker: (signal: NodeJS.Signals) => void): void {
		this.#taker = taker
	}

	close(): void {
		for (const signal of FORWARDED) process.off(signal, this.#listener)
	}
}

/** The exit code that shells report for a death by this signal. */
export function codeOfSignal(signal: NodeJS.Signals): number {
	return 128 + constants.signals[signal]
}

/**
 * Waits for `child` (unshare, whose child is the namespace's first process, whose child is the command) to end,
 * forwarding signals meanwhile. The first process writes "ready" and the command's status to descriptor 3, since a shell that
 * gives a terminal back to a group it cannot see loses its own. The exit code as shells report it, or the error when the child
 * could not be started. `onReady` is told the namespace's first process when the command starts.
 */
export async function waitForeground(
	child: ChildProcess,
	signals: SignalInbox,
	onReady: (pid: number) => void = () => {},
): Promise<number | Error> {
	const wasForeground = inForeground()
	let endedBy: NodeJS.Signals | undefined
	let told = ''
	signals.deliver(signal => {
		if (FROM_TERMINAL.has(signal) && inForeground()) return
		// Before that word the namespace's children are those of the set-up.
		const command = told.startsWith('ready\n') ? commandOf(child.pid ?? 0) : undefined
		if (command !== undefined) send(command, signal)
		else if (signal !== 'SIGWINCH') {
			// Still setting up: nobody to tell, and nothing to lose.
			endedBy ??= signal
			endSetUp(child)
		}
	})
	child.stdio[3]?.on('data', (chunk: Buffer) => {
		const before = told
		told += chunk.toString('latin1')
		const init = told.startsWith('ready\n') && !before.startsWith('ready\n') ? firstChild(child.pid ?? 0) : undefined
		if (init !== undefined) onReady(init)
	})
	const ended = await new Promise<number | Error>(resolve => {
		child.once('error', resolve)
		child.once('close', (code, signal) => {
			const status = Number.parseInt(told.replace('ready\n', ''), 10)
			if (!Number.isNaN(status)) resolve(status)
			// Not a word: the command was never started, or everything was killed.
			else resolve(signal === null && code !== 0 ? EXIT_NOT_STARTED : codeOfSignal(endedBy ?? signal ?? 'SIGKILL'))
		})
	})
	if (wasForeground) takeForeground()
	return ended
}

/** Whether this process is in the foreground group of its terminal. */
export function inForeground(): boolean {
	// After the command in parentheses: state, ppid, pgrp, session, tty_nr, tpgid
	const stat = readOr('/proc/self/stat')
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
	return fields[2] !== undefined && fields[2] === fields[5]
}

/** Ends unshare and the first process it may just have made, which might not be bound to unshare's end yet. */
function endSetUp(child: ChildProcess): void {
	const { pid } = child
	if (pid === undefined) return
	// A process that is told to stop makes no child any more: what there is, is all.
	send(pid, 'SIGSTOP')
	const init = firstChild(pid)
	send(pid, 'SIGKILL')
	if (init !== undefined) send(init, 'SIGKILL')
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

function readOr(path: string): string {
	try {
		return readFileSync(path, 'latin1')
	} catch {
		return ''
	}
}
