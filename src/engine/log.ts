/**
 * The service's own log: one `LEVEL message key=value ...` line an event on stderr, never into a view it serves.
 *
 * error: data was lost or somebody is needed; warn: odd, nothing lost; info: a step of somebody's life. A journal has our
 * name already, and is told the level in its own way too: sd-daemon(3), systemd.exec(5) "$JOURNAL_STREAM".
 */
import { fstatSync, writeSync } from 'node:fs'

export type Level = 'error' | 'warn' | 'info'
export type Fields = Record<string, string | number | boolean>
export type Log = (level: Level, message: string, fields?: Fields) => void

const STDERR = 2
/** Severities of syslog(3). */
const SEVERITIES: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6 }

/** Writes to standard error; a reader that is gone is no reason to stop. */
export function stderrLog(environment: NodeJS.ProcessEnv = process.env): Log {
	const journal = isJournal(environment['JOURNAL_STREAM'])
	return (level, message, fields = {}) => {
		const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quote(String(value))}`)
		try {
			writeSync(STDERR, `${journal ? `<${SEVERITIES[level]}>` : 'pogshim: '}${level} ${message}${pairs.join('')}\n`)
		} catch {}
	}
}

/** Is standard error the stream of that name? Otherwise somebody has directed it elsewhere since. */
function isJournal(stream: string | undefined): boolean {
	if (stream === undefined) return false
	try {
		const { dev, ino } = fstatSync(STDERR)
		return stream === `${dev}:${ino}`
	} catch {
		return false
	}
}

function quote(value: string): string {
	return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}
