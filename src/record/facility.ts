/**
 * Facilities: what kind of program a record comes from.
 *
 * Source of truth: RFC 5424 section 6.2.1 for the codes, sysklogd 2.7 (`facilitynames` of its syslog.h, syslog.conf(5)) for
 * the names; there `security` is 13, unlike glibc, where it is an old name of auth. A record may carry any code from 0
 * to 255 (the kernel takes eight bits from writers of /dev/kmsg); the ones beyond the table have no name but their number.
 */

/** One row a code. `name` is what is shown; every alias is understood too. */
export const FACILITIES: readonly {
	readonly code: number
	readonly name: string
	readonly aliases: readonly string[]
}[] = [
	{ code: 0, name: 'kern', aliases: [] },
	{ code: 1, name: 'user', aliases: [] },
	{ code: 2, name: 'mail', aliases: [] },
	{ code: 3, name: 'daemon', aliases: [] },
	{ code: 4, name: 'auth', aliases: [] },
	{ code: 5, name: 'syslog', aliases: [] },
	{ code: 6, name: 'lpr', aliases: [] },
	{ code: 7, name: 'news', aliases: [] },
	{ code: 8, name: 'uucp', aliases: [] },
	{ code: 9, name: 'cron', aliases: [] },
	{ code: 10, name: 'authpriv', aliases: [] },
	{ code: 11, name: 'ftp', aliases: [] },
	{ code: 12, name: 'ntp', aliases: [] },
	{ code: 13, name: 'security', aliases: ['audit'] },
	{ code: 14, name: 'console', aliases: [] },
	{ code: 15, name: 'cron_sol', aliases: ['cron2'] },
	{ code: 16, name: 'local0', aliases: [] },
	{ code: 17, name: 'local1', aliases: [] },
	{ code: 18, name: 'local2', aliases: [] },
	{ code: 19, name: 'local3', aliases: [] },
	{ code: 20, name: 'local4', aliases: [] },
	{ code: 21, name: 'local5', aliases: [] },
	{ code: 22, name: 'local6', aliases: [] },
	{ code: 23, name: 'local7', aliases: [] },
	// Internal: the "-- MARK --" lines a syslogd writes itself; no PRI can name it.
	{ code: 24, name: 'mark', aliases: [] },
]

/** What a sender gets that names none, or claims kern, the kernel's own. */
export const USER = 1

/** The name of a code; a code without a name is its decimal number. */
export function facilityName(code: number): string {
	return FACILITIES[code]?.name ?? String(code)
}

/** The code of a name or alias, in any case; `undefined` for an unknown one (a number is not a name). */
export function facilityByName(name: string): number | undefined {
	return CODES.get(name.toLowerCase())
}

const CODES: ReadonlyMap<string, number> = new Map(
	FACILITIES.flatMap(({ code, name, aliases }) => [name, ...aliases].map(each => [each, code] as const)),
)
