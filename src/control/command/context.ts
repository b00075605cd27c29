/**
 * What every command of pogctl is given, and how it reports: exit codes, failures, output for people and for machines.
 *
 * Invariant: text that came out of a container never reaches a terminal with its control characters, because they would drive it;
 * machine output goes to stdout alone, and with `--json` failures are JSON too (on stderr).
 */
import type { Diagnostic } from '../../lib/diagnostic.ts'
import { formatDiagnostic } from '../../lib/diagnostic.ts'
import type { Client } from '../client.ts'

/** Exit codes. `pogctl run` passes on its command's own, and has 125 to 127 as shells and env(1) do. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, runFailed: 125, sigint: 130, sigpipe: 141 } as const

export interface Context {
	readonly runDir: string
	readonly json: boolean
	/** Colours and no raw control characters: stdout is a terminal. */
	readonly terminal: boolean
	readonly colour: boolean
	readonly client: Client
	readonly out: (text: string) => Promise<void>
	readonly err: (text: string) => void
}

export interface CommandFailure {
	status: number
	message: string
	diagnostics?: readonly Diagnostic[]
}

// C0 except tab, DEL and C1, and the characters that reorder a line's text (Unicode UAX #9).
const UNSAFE = /[^\t\x20-\x7e\u00a0-\u2029\u202f-\u2065\u206a-\uffff]/g

/** One line without anything that drives a terminal: `^[` for ESC, `^J` for a newline, `\u009b` for the rest. */
export function printable(text: string): string {
	return text.replace(UNSAFE, char => {
		const code = char.charCodeAt(0)
		if (code < 0x20 || code === 0x7f) return `^${String.fromCharCode(code ^ 0x40)}`
		return `\\u${code.toString(16).padStart(4, '0')}`
	})
}

/** Lines for people. */
export async function printLines(context: Context, lines: readonly string[]): Promise<void> {
	await context.out(lines.map(line => `${printable(line)}\n`).join(''))
}

/** One value for machines: one line of JSON, ASCII where a terminal could mind. */
export async function printJson(context: Context, value: unknown): Promise<void> {
	await context.out(`${toJson(value)}\n`)
}

export function toJson(value: unknown): string {
	// JSON leaves DEL and C1 as they are; between quotes an escape says the same.
	return JSON.stringify(value).replace(
		/[^\x20-\x7e\u00a0-\uffff]/g,
		char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
	)
}

/** Reports a failure on stderr; the exit code that goes with it. */
export function fail(context: Pick<Context, 'json' | 'err'>, failure: CommandFailure): number {
	if (context.json) {
		const { status, ...error } = failure
		context.err(`${toJson({ error: status === 0 ? error : { ...error, status } })}\n`)
	} else {
		context.err(`pogctl: ${printable(failure.message)}\n`)
		printDiagnostics(context, failure.diagnostics ?? [])
	}
	return failure.status === 0 ? EXIT.unreachable : EXIT.failed
}

/** A failure of pogctl itself: a file it cannot read, an editor that failed. */
export function failHere(context: Pick<Context, 'json' | 'err'>, message: string): number {
	fail(context, { status: 1, message })
	return EXIT.failed
}

/** `FILE:LINE:COL: error: MESSAGE` lines on stderr. */
export function printDiagnostics(context: Pick<Context, 'err'>, diagnostics: readonly Diagnostic[]): void {
	for (const diagnostic of diagnostics) context.err(`${printable(formatDiagnostic(diagnostic))}\n`)
}

/** `1 error`, `2 errors and 1 warning`; empty when there are none. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
	return (['error', 'warning'] as const)
		.map(level => ({ level, count: diagnostics.filter(diagnostic => diagnostic.level === level).length }))
		.filter(({ count }) => count > 0)
		.map(({ level, count }) => `${count} ${level}${count === 1 ? '' : 's'}`)
		.join(' and ')
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
	return diagnostics.some(diagnostic => diagnostic.level === 'error')
}
