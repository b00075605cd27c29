/**
 * What the server accepts for each call: query and body, checked before anything is done.
 *
 * The shapes are those of `Calls`; the compiler compares. Invariant: an unknown key is refused by name, never ignored, so that
 * a misspelt option does not pass for set.
 */
import { z } from 'zod'
import { facilityByName } from '../record/facility.ts'
import { severityByName } from '../record/severity.ts'
import { RING_BYTES } from './calls.ts'
import type { CallName, Calls, NewRecord } from './calls.ts'
import type { EventFilter } from './events.ts'
import { ATTACH_PARTS } from './service.ts'
import type { AttachRequest, PogSpec, RecordFilter } from './service.ts'

/** A POG's name: also a file name below the run directory and a label of metrics. */
const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/, {
	error: 'expected 1 to 64 of A-Z a-z 0-9 . _ - , not starting with a dot or a dash',
})
const ringBytes = z.int().min(RING_BYTES.min).max(RING_BYTES.max)
const hostId = z.int().min(0).max(0xffff_fffe)

const spec: z.ZodType<PogSpec> = z.strictObject({
	name,
	containerId: z.string().max(128).exactOptional(),
	ringBytes: ringBytes.exactOptional(),
	quotaBytes: z.int().min(0).exactOptional(),
	rate: z.strictObject({ perSecond: z.int().min(1), burst: z.int().min(1) }).exactOptional(),
	hostname: z
		.string()
		.regex(/^[\x21-\x7e]{1,64}$/, { error: 'expected 1 to 64 printable characters without blanks' })
		.exactOptional(),
	conf: z.string().exactOptional(),
	owner: z.strictObject({ uid: hostId, gid: hostId }).exactOptional(),
})

/** A code, or a name of the table; codes may be written as text. */
function coded(
	what: string,
	max: number,
	byName: (name: string) => number | undefined,
): z.ZodType<number, number | string> {
	return z.union([z.string(), z.number()]).transform((given, context) => {
		const code = typeof given === 'number' || /^[0-9]{1,3}$/.test(given) ? Number(given) : byName(given)
		if (code !== undefined && Number.isInteger(code) && code >= 0 && code <= max) return code
		context.addIssue({ code: 'custom', message: `unknown ${what} "${given}", expected a name or 0 to ${max}` })
		return z.NEVER
	})
}
/** One that a sender may claim; a record of /dev/kmsg may have any of 256. */
const facility = coded('facility', 23, facilityByName)
const anyFacility = coded('facility', 255, facilityByName)
const severity = coded('severity', 7, severityByName)

const record: z.ZodType<NewRecord> = z.strictObject({
	text: z.string().max(8192),
	tag: z
		.string()
		.regex(/^[\x21-\x39\x3b-\x5a\x5c\x5e-\x7e]{0,48}$/, {
			error: 'expected at most 48 printable characters, no blank : [ or ]',
		})
		.exactOptional(),
	facility: facility.exactOptional(),
	severity: severity.exactOptional(),
})

const count = z
	.string()
	.regex(/^[0-9]{1,16}$/, { error: 'expected a whole number' })
	.transform(Number)
const switched = z
	.enum(['', '0', '1', 'false', 'true'], { error: 'expected true or false' })
	.transform(text => text !== '0' && text !== 'false')

const pogs = z
	.string()
	.max(4096)
	.transform(text => text.split(','))
	.exactOptional()

const filter = z.strictObject({
	last: count.exactOptional(),
	sinceRealtimeUs: count.exactOptional(),
	untilRealtimeUs: count.exactOptional(),
	facilities: z
		.string()
		.transform((text): (number | string)[] => text.split(','))
		.pipe(z.array(anyFacility))
		.exactOptional(),
	severity: severity.exactOptional(),
	text: z.string().max(1024).exactOptional(),
	follow: switched.exactOptional(),
})
const recordFilter: z.ZodType<RecordFilter> = filter.extend({ previous: switched.exactOptional() })
const filterOfAll: z.ZodType<RecordFilter> = filter.extend({ pogs })

const eventFilter: z.ZodType<EventFilter> = filter
	.pick({ last: true, sinceRealtimeUs: true, follow: true })
	.extend({ pogs })

const pid = z
	.int()
	.min(1)
	.max(2 ** 22)
const attachRequest: z.ZodType<AttachRequest> = z.strictObject({
	pid,
	parts: z.array(z.enum(ATTACH_PARTS)).exactOptional(),
})

const none = z.strictObject({})
const noBody = z.undefined({ error: 'expected no body' })
const PLAIN = { query: none, body: noBody }

type Schemas = { readonly [N in CallName]: { query: z.ZodType<Calls[N]['query']>; body: z.ZodType<Calls[N]['body']> } }

/** The table of what is accepted. */
export const SCHEMAS: Schemas = {
	describe: PLAIN,
	list: PLAIN,
	create: { query: none, body: spec },
	show: PLAIN,
	remove: PLAIN,
	clear: PLAIN,
	resize: { query: none, body: z.strictObject({ sizeBytes: ringBytes }) },
	write: { query: none, body: record },
	records: { query: recordFilter, body: noBody },
	allRecords: { query: filterOfAll, body: noBody },
	newest: PLAIN,
	events: { query: eventFilter, body: noBody },
	readConf: PLAIN,
	writeConf: { query: none, body: z.strictObject({ text: z.string() }) },
	resetConf: PLAIN,
	attach: { query: none, body: attachRequest },
	detach: PLAIN,
	started: { query: none, body: z.strictObject({ pid, keep: z.boolean() }) },
	upgrade: PLAIN,
	metrics: PLAIN,
}

/** `Cannot accept the body: ringBytes: expected ...; unknown key "ring"`: all that is wrong with one value. */
export function describeIssues(part: 'body' | 'query', error: z.ZodError): string {
	const issues = error.issues.map(issue => {
		const path = issue.path.map(String).join('.')
		const message = issue.message
			.replace(/^Invalid input: /, '')
			.replace(/^[A-Z](?=[a-z])/, letter => letter.toLowerCase())
		return path === '' ? message : `${path}: ${message}`
	})
	return `Cannot accept the ${part}: ${issues.slice(0, 8).join('; ')}`
}
