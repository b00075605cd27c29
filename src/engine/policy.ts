/**
 * The host's policy: `pogs.conf` (defaults and bounds) and `syslog.conf` (the default configuration of every POG) in
 * /etc/pogs, watched, in force without a restart.
 *
 * A file that cannot be read or understood leaves the last good one in force, with a line in the service's log.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { FSWatcher } from 'chokidar'
import { DEFAULT_SYSLOG_CONF } from '../conf/default.ts'
import { parseConfiguration } from '../conf/parse.ts'
import { type Diagnostic, formatDiagnostic } from '../lib/diagnostic.ts'
import { parseSize, SIZE_FORMS } from '../lib/size.ts'
import { DEVKMSG_MODES, type DevkmsgMode, type PogPolicy } from '../pog/limits.ts'
import { DEFAULT_RING_BYTES, MAX_RING_BYTES, MIN_RING_BYTES } from '../ring/layout.ts'
import type { Log } from './log.ts'

export interface HostPolicy extends PogPolicy {
	/** Ring of a POG that asks for none. */
	ringBytes: number
	/** Text bytes that a ring may have at most. */
	maxRingBytes: number
	passthrough: boolean
	/** The next engine is loaded before this one dies. */
	standby: boolean
	/** Bytes of a container's own files below /var/log. */
	quotaBytes: number
	/** How long the log of a container that is gone stays readable from the host, and of how many. */
	retainMs: number
	retainCount: number
	/** Records that a POG may make a second and at once, when it asks for no limit of its own; 0 for no limit. */
	ratePerSecond: number
	burst: number
}

export const DEFAULT_POLICY: HostPolicy = {
	ringBytes: DEFAULT_RING_BYTES,
	maxRingBytes: MAX_RING_BYTES,
	quotaBytes: 64 << 20,
	retainMs: 600_000,
	retainCount: 100,
	ratePerSecond: 0,
	burst: 0,
	devkmsg: 'on',
	passthrough: true,
	standby: true,
	defaultConf: DEFAULT_SYSLOG_CONF,
}

/** Sets one key, or answers what was expected. */
type Setter = (policy: HostPolicy, value: string) => string | undefined

function size(key: 'ringBytes' | 'maxRingBytes' | 'quotaBytes', least: number, most: number): Setter {
	return (policy, value) => {
		const bytes = parseSize(value)
		if (bytes === undefined) return SIZE_FORMS
		if (bytes < least || bytes > most) return `a size from ${least} to ${most} bytes`
		policy[key] = bytes
		return undefined
	}
}

function count(key: 'retainCount' | 'ratePerSecond' | 'burst'): Setter {
	return (policy, value) => {
		if (!/^\d{1,7}$/.test(value)) return 'a number from 0 to 9999999'
		policy[key] = Number(value)
		return undefined
	}
}

function onOff(key: 'passthrough' | 'standby'): Setter {
	return (policy, value) => {
		if (value !== 'on' && value !== 'off') return 'on or off'
		policy[key] = value === 'on'
		return undefined
	}
}

const DURATION_UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** The longest a timer can run. */
const MAX_RETAIN_MS = 2 ** 31 - 1

/** Every key of pogs.conf. */
const KEYS: Readonly<Record<string, Setter>> = {
	ring: size('ringBytes', MIN_RING_BYTES, MAX_RING_BYTES),
	'max-ring': size('maxRingBytes', MIN_RING_BYTES, MAX_RING_BYTES),
	quota: size('quotaBytes', 0, 2 ** 40),
	retain: (policy, value) => {
		const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(value) ?? []
		const ms = Number(count) * (DURATION_UNITS[unit] ?? Number.NaN)
		if (!(ms <= MAX_RETAIN_MS)) return 'a time such as 90s, 10m, 2h or 1d, at most 24d'
		policy.retainMs = ms
		return undefined
	},
	'retain-count': count('retainCount'),
	rate: (policy, value) => count('ratePerSecond')(policy, value.replace(/\/s$/, '')),
	burst: count('burst'),
	devkmsg: (policy, value) => {
		if (!DEVKMSG_MODES.includes(value as DevkmsgMode)) return DEVKMSG_MODES.join(', ')
		policy.devkmsg = value as DevkmsgMode
		return undefined
	},
	passthrough: onOff('passthrough'),
	standby: onOff('standby'),
}

/** `key = value` lines; `#` begins a comment. Total: a bad line is a diagnostic, and the rest is obeyed. */
export function parsePolicy(text: string, file: string): { policy: HostPolicy; diagnostics: Diagnostic[] } {
	const policy = { ...DEFAULT_POLICY }
	const diagnostics: Diagnostic[] = []
	for (const [index, raw] of text.split('\n').entries()) {
		const line = raw.replace(/(^|\s)#.*$/, '')
		if (line.trim() === '') continue
		const report = (column: number, message: string): void => {
			diagnostics.push({ level: 'error', file, line: index + 1, column, message })
		}
		const [, key, value] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
		const column = line.search(/\S/) + 1
		if (key === undefined || value === undefined) {
			report(column, 'Cannot read the line: expected KEY = VALUE')
			continue
		}
		const setter = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
		if (setter === undefined) report(column, `Unknown key "${key}", expected one of ${Object.keys(KEYS).join(', ')}`)
		else {
			const expected = setter(policy, value)
			if (expected !== undefined)
				report(line.indexOf(value, line.indexOf('=')) + 1, `Cannot use "${value}" for ${key}, expected ${expected}`)
		}
	}
	return { policy, diagnostics }
}

export interface WatchedPolicy {
	readonly current: HostPolicy
	close(): Promise<void>
}

/** Reads the policy and keeps reading it; `onChange` is called with every new one. */
export function watchPolicy(etcDir: string, log: Log, onChange: (policy: HostPolicy) => void): WatchedPolicy {
	const watched = {
		current: readPolicy(etcDir, log, DEFAULT_POLICY),
		close: async () => {
			closed = true
			await watcher?.close()
		},
	}
	let closed = false
	let watcher: FSWatcher | undefined
	const look = (): void => {
		const next = readPolicy(etcDir, log, watched.current)
		if (JSON.stringify(next) === JSON.stringify(watched.current)) return
		watched.current = next
		log('info', 'policy changed', { directory: etcDir })
		onChange(next)
	}
	// Loaded when there is time: an engine that takes over has none.
	void import('chokidar').then(({ watch }) => {
		if (closed) return
		// The directory is watched, not the files: editors replace them.
		watcher = watch(etcDir, {
			depth: 0,
			ignoreInitial: true,
			awaitWriteFinish: { stabilityThreshold: 100, pollInterval: 20 },
		})
		watcher.on('all', look)
		watcher.on('ready', look)
		watcher.on('error', cause => log('warn', 'cannot watch the policy', { directory: etcDir, cause: String(cause) }))
	})
	return watched
}

function readPolicy(etcDir: string, log: Log, before: HostPolicy): HostPolicy {
	try {
		const file = `${etcDir}/pogs.conf`
		const { policy, diagnostics } = parsePolicy(existsSync(file) ? readFileSync(file, 'utf8') : '', file)
		for (const diagnostic of diagnostics) log('error', formatDiagnostic(diagnostic))
		return { ...policy, defaultConf: readDefaultConf(`${etcDir}/syslog.conf`, log, before) }
	} catch (cause) {
		log('error', 'cannot read the policy: the one before stays in force', { directory: etcDir, cause: String(cause) })
		return before
	}
}

function readDefaultConf(file: string, log: Log, before: HostPolicy): string {
	if (!existsSync(file)) return DEFAULT_SYSLOG_CONF
	const text = readFileSync(file, 'latin1')
	const { usable, diagnostics } = parseConfiguration(Buffer.from(text, 'latin1'), { file })
	for (const diagnostic of diagnostics)
		log(diagnostic.level === 'error' ? 'error' : 'warn', formatDiagnostic(diagnostic))
	return usable ? text : before.defaultConf
}
