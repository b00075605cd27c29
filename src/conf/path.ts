/**
 * Files that a rule may name: below /var/log, because that is the tree a private log has. Source: path_resolution(7).
 *
 * Invariant: an accepted path is in normal form (no empty, `.` or `..` part), so that equal files have equal paths, and no
 * text leads out of /var/log.
 */
import { type Fault, fault, quote } from './fault.ts'
import { utf8Of } from './lines.ts'

export const LOG_ROOT = '/var/log/'
/** NAME_MAX and PATH_MAX of Linux, the latter less what a mount may put before it. */
const NAME_BYTES = 255
const PATH_BYTES = 1024

/** The normal form of the path written at `offset`, as text; or why it is refused. */
export function parseLogPath(written: string, offset: number): string | Fault {
	const parts = written.split('/').filter(part => part !== '' && part !== '.')
	const path = `/${parts.join('/')}`
	if (parts.includes('..')) return fault(offset, `File ${quote(written)} has a ".." in its path, expected none`)
	if (!path.startsWith(LOG_ROOT)) {
		return fault(
			offset,
			`File ${quote(written)} is outside of /var/log, expected a file below /var/log or /dev/console`,
		)
	}
	if (written.endsWith('/'))
		return fault(offset, `File ${quote(written)} names a directory, expected a file below /var/log`)
	if (path.length > PATH_BYTES || parts.some(part => part.length > NAME_BYTES)) {
		return fault(
			offset,
			`File ${quote(written)} is too long, expected at most ${NAME_BYTES} bytes a name and ${PATH_BYTES} in all`,
		)
	}
	const text = utf8Of(path)
	if (/[\p{Cc}\u2028\u2029\ufffd]/u.test(text)) {
		return fault(offset, `File ${quote(written)} has control characters or is not UTF-8, expected a printable name`)
	}
	return text
}
