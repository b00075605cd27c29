/**
 * Lines that are neither rules nor blocks: sysklogd's keywords, and what rsyslog's files have in their place. Source:
 * syslog.conf(5) of sysklogd 2.7; rsyslog.conf(5) and the file that Debian 12 ships.
 *
 * One row a form. A keyword that means something only to a daemon on the network says so; a directive of rsyslog that sets
 * up rsyslog itself is passed over in silence, so that the file of a distribution is accepted as it is.
 */
import { type Fault, fault, quote } from './fault.ts'
import { parseCount, parseSizeBytes } from './options.ts'

/** What a line that is no rule asks for. */
export type Statement =
	| { readonly kind: 'ignore'; readonly warning?: Fault }
	| { readonly kind: 'include'; readonly pattern: string; readonly offset: number }
	| { readonly kind: 'set'; readonly keyword: 'rotateSizeBytes' | 'rotateCount'; readonly value: number }
	/** A statement in parentheses or braces, which may go on over the next lines; with a fault when it is refused. */
	| { readonly kind: 'script'; readonly fault?: Fault }
	| { readonly kind: 'fault'; readonly fault: Fault }

/** The statement on this line, or null when it is something else. */
export function parseStatement(text: string): Statement | null {
	if (text.startsWith('$')) return parseDirective(text)
	const script = /^(?:([a-z_]+)[ \t]*\(|(if|else|foreach|set|unset|reset|call)(?![a-z0-9_.,])|[{}])/i.exec(text)
	if (script !== null) return parseScript(text, script[1] ?? script[2] ?? script[0])
	const words = /^([a-z_]+)(?:[ \t]*=[ \t]*|[ \t]+|$)(.*)$/is.exec(text)
	const name = (words?.[1] ?? '').toLowerCase()
	if (words === null || !Object.hasOwn(KEYWORDS, name)) return null
	const value = words[2] ?? ''
	return (KEYWORDS[name] as KeywordReader)(value, text.length - value.length)
}

/** How many parentheses and braces are open after the text, having begun with `depth`; quoted ones and comments do not count. */
export function scriptDepth(text: string, depth: number): number {
	let open = depth
	let quoted = ''
	for (let i = 0; i < text.length; i++) {
		const character = text.charAt(i)
		if (quoted !== '') {
			if (character === '\\') i++
			else if (character === quoted) quoted = ''
		} else if (character === '"' || character === "'") quoted = character
		else if (character === '(' || character === '{') open++
		else if (character === ')' || character === '}') open = Math.max(0, open - 1)
		else if (character === '#') break
	}
	return open
}

type KeywordReader = (value: string, offset: number) => Statement

const KEYWORDS: Readonly<Record<string, KeywordReader>> = {
	include: (value, offset) => readInclude(value, offset),
	rotate_size: (value, offset) =>
		readSetting('rotateSizeBytes', parseSizeBytes(value), 'a size such as 64k, 10M or 1G', value, offset),
	rotate_count: (value, offset) =>
		readSetting('rotateCount', parseCount(value), 'a number of files up to 999', value, offset),
	udp_size: withoutEffect(
		'udp_size',
		'480 to 2048',
		value => /^[0-9]{3,4}$/.test(value) && +value >= 480 && +value <= 2048,
	),
	secure_mode: withoutEffect('secure_mode', '0, 1 or 2', value => /^[012]$/.test(value)),
	listen: withoutEffect('listen', 'an address, a port or both', () => true),
	notify: withoutEffect('notify', 'the path of a program', value => value.startsWith('/')),
}

function withoutEffect(keyword: string, expected: string, accepts: (value: string) => boolean): KeywordReader {
	return (value, offset) =>
		accepts(value)
			? { kind: 'ignore', warning: fault(0, `Keyword "${keyword}" has no effect in a private log`) }
			: refuse(offset, `Invalid value ${quote(value)}, expected ${expected}`)
}

function readSetting(
	keyword: 'rotateSizeBytes' | 'rotateCount',
	parsed: number | undefined,
	expected: string,
	value: string,
	offset: number,
): Statement {
	return parsed === undefined
		? refuse(offset, `Invalid value ${quote(value)}, expected ${expected}`)
		: { kind: 'set', keyword, value: parsed }
}

function readInclude(value: string, offset: number): Statement {
	if (value === '') return refuse(offset, 'Expected a file or pattern to include, such as /etc/syslog.d/*.conf')
	return { kind: 'include', pattern: value, offset }
}

/** Legacy directives of rsyslog, `$Name value`. Those named here without a value set up rsyslog itself. */
const DIRECTIVES = new Set(
	`FileOwner FileGroup FileCreateMode DirOwner DirGroup DirCreateMode Umask CreateDirs WorkDirectory ModLoad
	PrivDropToUser PrivDropToGroup PreserveFQDN RepeatedMsgReduction ActionFileDefaultTemplate ActionFileEnableSync
	KLogPermitNonKernelFacility KLogPath MaxMessageSize UDPServerRun UDPServerAddress InputTCPServerRun AllowedSender
	Template DefaultNetstreamDriver OmitLocalLogging IMJournalStateFile SystemLogSocketName AddUnixListenSocket
	MarkMessagePeriod ActionQueueType ActionQueueFileName ActionQueueMaxDiskSpace ActionQueueSaveOnShutdown
	ActionResumeRetryCount EscapeControlCharactersOnReceive SystemLogRateLimitInterval SystemLogRateLimitBurst
	SystemLogUsePIDFromSystem LocalHostName IMJournalRateLimitInterval IMJournalRateLimitBurst`
		.toLowerCase()
		.split(/\s+/),
)

function parseDirective(text: string): Statement {
	const [, name = '', value = ''] = /^\$([^ \t]*)[ \t]*(.*)$/s.exec(text) ?? []
	if (name.toLowerCase() === 'includeconfig') return readInclude(value, text.length - value.length)
	if (DIRECTIVES.has(name.toLowerCase())) return { kind: 'ignore' }
	return { kind: 'ignore', warning: fault(0, `Unknown directive ${quote(`$${name}`)} has no effect`) }
}

/** Statements of rsyslog that set up rsyslog itself. */
const SCRIPTS = [
	'module',
	'input',
	'global',
	'main_queue',
	'template',
	'timezone',
	'parser',
	'lookup_table',
	'ratelimit',
]

function parseScript(text: string, name: string): Statement {
	if (name.toLowerCase() === 'include') {
		const file = /\bfile[ \t]*=[ \t]*"([^"]*)"/i.exec(text)
		if (file !== null && scriptDepth(text, 0) === 0) return readInclude(file[1] ?? '', file.index)
	}
	if (SCRIPTS.includes(name.toLowerCase())) return { kind: 'script' }
	const message = `Statement ${quote(name)} of rsyslog is not supported, expected a selector and an action`
	return { kind: 'script', fault: fault(0, message) }
}

function refuse(offset: number, message: string): Statement {
	return { kind: 'fault', fault: fault(offset, message) }
}
