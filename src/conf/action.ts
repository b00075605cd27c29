/**
 * The action of a rule: where its records go. Source: syslog.conf(5) of sysklogd 2.7, ACTIONS, and the forms of rsyslog
 * that Debian's files use.
 *
 * Every form of either dialect has a row, also those refused, so that each gets an answer of its own. Adding a kind of
 * action is one row here and one member in `configuration.ts`.
 */
import type { Action } from './configuration.ts'
import { type Fault, fault, isFault, quote } from './fault.ts'
import { NO_OPTIONS, type Options, parseOptions } from './options.ts'
import { parseLogPath } from './path.ts'

export interface ActionRead {
	/** Format and rotation of a file are filled in from `options` by the caller. */
	readonly action: Action
	readonly options: Options
	/** Where the action itself begins. */
	readonly offset: number
}

/** Reads the action at `start`, where blanks may stand, to the end of the line. */
export function parseAction(text: string, start: number): ActionRead | Fault {
	let at = start
	while (isBlank(text, at)) at++
	if (at >= text.length) return fault(at, `Expected an action after the selector: ${EXPECTED}`)
	const row = ACTIONS.find(({ opens }) => text.startsWith(opens, at)) ?? USERS
	const end = row.end?.(text, at) ?? wordEnd(text, at)
	const action = row.read(text.slice(at, end), at)
	if (isFault(action)) return action
	let rest = end
	while (isBlank(text, rest)) rest++
	if (rest >= text.length || (text[rest] === '#' && rest > end)) return { action, options: NO_OPTIONS, offset: at }
	if (text[rest] === ';') return { action, options: parseOptions(text, rest + 1), offset: at }
	return fault(rest, `Unexpected ${quote(text.slice(rest))} after the action, expected ";" and options, or nothing`)
}

interface ActionRow {
	readonly opens: string
	/** Where the action ends, when that is not at the next blank or `;`. */
	end?(text: string, at: number): number
	/** The action for the text from its first to its last byte. */
	read(written: string, at: number): Action | Fault
}

const EXPECTED = 'a file below /var/log, /dev/console, users, * or stop'

const USERS: ActionRow = { opens: '', end: usersEnd, read: readUsers }

/** The first row whose opening fits; users when none does. */
const ACTIONS: readonly ActionRow[] = [
	{ opens: '/', read: readFile },
	{ opens: '-/', read: readFile },
	{ opens: '*', read: (written, at) => (written === '*' ? { kind: 'wall' } : readUsers(written, at)) },
	{ opens: '~', read: (written, at) => (written === '~' ? { kind: 'discard' } : readUsers(written, at)) },
	{ opens: 'stop', read: (written, at) => (written === 'stop' ? { kind: 'discard' } : readUsers(written, at)) },
	{ opens: ':omusrmsg:', end: usersEnd, read: readUserMessage },
	refused('@', 'Forwarding to another host'),
	refused('-@', 'Forwarding to another host'),
	refused('|', 'Writing to a pipe or a program'),
	refused('-|', 'Writing to a pipe or a program'),
	refused('?', 'A file named by a template'),
	refused('-?', 'A file named by a template'),
	refused('^', 'Running a program'),
	refused('>', 'Writing to a database'),
	refused('$', 'An output channel'),
	refused(':', 'An output module of rsyslog'),
	refused('action(', 'An action() of rsyslog'),
	refused('{', 'A block of rsyslog'),
]

function refused(opens: string, what: string): ActionRow {
	return { opens, read: (_written, at) => fault(at, `${what} is not supported, expected ${EXPECTED}`) }
}

function readFile(written: string, at: number): Action | Fault {
	const unsynced = written.startsWith('-')
	const name = unsynced ? written.slice(1) : written
	if (name === '/dev/console') return { kind: 'console' }
	const path = parseLogPath(name, unsynced ? at + 1 : at)
	if (typeof path !== 'string') return path
	return { kind: 'file', path, sync: !unsynced, format: 'RFC3164', rotate: null }
}

function readUserMessage(written: string, at: number): Action | Fault {
	const names = written.slice(':omusrmsg:'.length)
	return names === '*' ? { kind: 'wall' } : readUsers(names, at + ':omusrmsg:'.length)
}

/** Names as useradd(8) takes them, in a list with commas. */
function readUsers(written: string, at: number): Action | Fault {
	const users = written.split(',').map(name => name.trim())
	if (users.every(name => /^[A-Za-z_][A-Za-z0-9_-]{0,31}\$?$/.test(name))) return { kind: 'users', users }
	return fault(at, `Unknown action ${quote(written)}, expected ${EXPECTED}`)
}

function usersEnd(text: string, at: number): number {
	let end = wordEnd(text, at)
	while (text[end - 1] === ',' && isBlank(text, end)) {
		while (isBlank(text, end)) end++
		end = wordEnd(text, end)
	}
	return end
}

function wordEnd(text: string, start: number): number {
	let at = start
	while (at < text.length && !isBlank(text, at) && text[at] !== ';') at++
	return at
}

function isBlank(text: string, at: number): boolean {
	return text[at] === ' ' || text[at] === '\t'
}
