/**
 * The service's own log: one `LEVEL message key=value ...` line an event on stderr, never into a view it serves.
 *
 * error: data was lost or somebody is needed; warn: odd, nothing lost; info: a step of somebody's life.
 */
import { writeSync } from 'node:fs'

export type Level = 'error' | 'warn' | 'info'
export type Fields = Record<string, string | number | boolean>
export type Log = (level: Level, message: string, fields?: Fields) => void

const STDERR = 2

/** Writes to standard error; a reader that is gone is no reason to stop. */
export function stderrLog(): Log {
	return (level, message, fields = {}) => {
		const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(String(value))}`)
		try {
			writeSync(STDERR, `pogshim: ${level} ${message}${pairs.join('')}\n`)
		} catch {}
	}
}

function quote(value: string): string {
	return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}
