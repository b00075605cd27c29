/**
 * A moment in the past as people write it after `--since`: ISO 8601, an age, or seconds since the epoch.
 *
 * Source: RFC 3339 section 5.6 for the date forms (a blank may stand for the `T`, seconds and zone may be left out; without a
 * zone the time is local, dates alone too). Pure: the present is an argument.
 */

const AGE = /^([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|min|h|d|w)$/
const EPOCH = /^@?([0-9]{1,11}(?:\.[0-9]{1,9})?)$/
const DATE =
	/^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?) ?(Z|z|[+-][0-9]{2}:?[0-9]{2})?)?$/
const AGE_MS: Readonly<Record<string, number>> = {
	ms: 1,
	s: 1000,
	m: 60_000,
	min: 60_000,
	h: 3_600_000,
	d: 86_400_000,
	w: 604_800_000,
}

/** What `parseInstant` accepts, for messages. */
export const INSTANT_FORMS =
	'an age such as 10m or 2h, a date such as 2025-11-21 or 2025-11-21T22:00:01Z, or epoch seconds'

/** Microseconds of CLOCK_REALTIME; undefined when the text names no moment. */
export function parseInstant(text: string, nowMs: number): number | undefined {
	const trimmed = text.trim()
	const age = AGE.exec(trimmed)
	if (age !== null) return Math.round((nowMs - Number(age[1]) * (AGE_MS[age[2] ?? ''] ?? 0)) * 1000)
	const epoch = EPOCH.exec(trimmed)
	if (epoch !== null) return Math.round(Number(epoch[1]) * 1e6)
	const date = DATE.exec(trimmed)
	if (date === null) return undefined
	const [, day = '', time = '00:00', zone = ''] = date
	// Without a zone, ECMAScript takes a date alone as UTC but a date with a time as local: always give it a time.
	const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase()
	const ms = Date.parse(`${day}T${time.replace(',', '.')}${offset}`)
	return Number.isNaN(ms) ? undefined : ms * 1000
}
