/**
 * What a container asks of its POG: annotations `pogs.*`, or variables `POGS_*` of its process where an engine passes no annotations.
 *
 * Source: OCI runtime specification 1.0.2, config.md, "Annotations". Docker 20.10 gives a runtime neither labels nor annotations, so
 * `docker run -e POGS_RING=1m` is its way. An annotation beats a variable. Invariant: a setting that is not understood is told, never
 * dropped in silence; none of them reaches a file outside the policy's directory or a bound beyond the service's.
 */
import { posix } from 'node:path'
import { parseSize, SIZE_FORMS } from '../../lib/size.ts'
import { ATTACH_ALL, ATTACHABLE, type Attachable } from './attachable.ts'
import type { OciConfig, Parsed } from './config.ts'

export interface ContainerSettings {
	/** Name of the POG; the container's id when left out. */
	readonly name?: string
	readonly ringBytes?: number
	readonly quotaBytes?: number
	/** Records a second; 0 is no limit. */
	readonly ratePerSecond?: number
	/** A file of the host, below the directory that the policy allows. */
	readonly confPath?: string
	/** Empty: the container gets no POG. */
	readonly attach: ReadonlySet<Attachable>
}

type Written = { -readonly [K in keyof ContainerSettings]?: ContainerSettings[K] }

/** One reader a setting: it writes into `settings`, or answers what was expected instead. */
interface SettingRule {
	readonly what: string
	read(text: string, settings: Written, confDir: string): string | undefined
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
const ALL_WORDS = `all, none or a list of ${Object.keys(ATTACHABLE).join(', ')}`

/** The settings: annotation `pogs.KEY`, variable `POGS_KEY`. */
export const SETTINGS: Readonly<Record<string, SettingRule>> = {
	name: {
		what: 'name of the POG',
		read: (text, settings) => {
			if (!NAME.test(text)) return '1 to 64 of A-Z a-z 0-9 . _ - , not starting with a dot or a dash'
			settings.name = text
			return undefined
		},
	},
	ring: {
		what: 'text bytes of the ring',
		read: (text, settings) => {
			const bytes = parseSize(text)
			if (bytes === undefined) return SIZE_FORMS
			settings.ringBytes = bytes
			return undefined
		},
	},
	quota: {
		what: "bytes for the container's own files below /var/log",
		read: (text, settings) => {
			const bytes = parseSize(text)
			if (bytes === undefined) return SIZE_FORMS
			settings.quotaBytes = bytes
			return undefined
		},
	},
	rate: {
		what: 'records a second that are accepted, 0 for no limit',
		read: (text, settings) => {
			if (!/^[0-9]{1,9}$/.test(text)) return 'a whole number of records a second'
			settings.ratePerSecond = Number(text)
			return undefined
		},
	},
	conf: {
		what: 'file of the host with its syslog.conf',
		read: (text, settings, confDir) => {
			// By name alone; whoever opens it must not follow links out of there either.
			const path = posix.resolve(confDir, text)
			if (!path.startsWith(`${confDir}/`) || text.includes('\0')) return `a file below ${confDir}`
			settings.confPath = path
			return undefined
		},
	},
	attach: {
		what: 'what is put into the container',
		read: (text, settings) => {
			const words = text.split(/[\s,+]+/).filter(word => word !== '')
			if (words.length === 1 && words[0] === 'none') settings.attach = new Set()
			else if (words.length === 1 && words[0] === 'all') settings.attach = ATTACH_ALL
			else if (words.length === 0 || !words.every(isAttachable)) return ALL_WORDS
			else settings.attach = new Set(words.filter(isAttachable))
			return undefined
		},
	},
}

/** The settings of one container, or all that is wrong with them. `confDir`: the only place that `pogs.conf` may name, normal. */
export function readSettings(config: OciConfig, confDir: string): Parsed<ContainerSettings> {
	const settings: Written = {}
	const problems: string[] = []
	for (const [key, { name, text }] of wordsOf(config)) {
		const rule = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] : undefined
		const expected =
			rule === undefined ? `one of ${Object.keys(SETTINGS).join(', ')}` : rule.read(text, settings, confDir)
		if (expected === undefined) continue
		problems.push(
			rule === undefined
				? `unknown setting "${name}", expected ${expected}`
				: `cannot use ${name} "${text}", expected ${expected}`,
		)
	}
	if (problems.length > 0) return { problem: `Cannot use the container's settings: ${problems.join('; ')}` }
	return { value: { attach: ATTACH_ALL, ...settings } }
}

/** The settings given, by key. */
function wordsOf(config: OciConfig): Map<string, { name: string; text: string }> {
	const words = new Map<string, { name: string; text: string }>()
	for (const variable of config.process?.env ?? []) {
		const match = /^POGS_([A-Z]+)=(.*)$/s.exec(variable)
		const key = match?.[1]?.toLowerCase()
		// An image may have variables of that form that mean something else to it.
		if (key !== undefined && Object.hasOwn(SETTINGS, key))
			words.set(key, { name: `POGS_${match?.[1]}`, text: match?.[2] ?? '' })
	}
	for (const [name, text] of Object.entries(config.annotations ?? {})) {
		if (name.startsWith('pogs.')) words.set(name.slice(5), { name, text })
	}
	return words
}

function isAttachable(word: string): word is Attachable {
	return Object.hasOwn(ATTACHABLE, word)
}
