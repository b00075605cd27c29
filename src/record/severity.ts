/**
 * Severities: how urgent a record is, 0 the most. The kernel says level, syslog.conf says priority.
 *
 * Source of truth: RFC 5424 section 6.2.1 for the codes, syslog.conf(5) of sysklogd 2.7 for the names.
 */

/** One row a code, in order. `name` is what is shown; every alias is understood too. */
export const SEVERITIES: readonly {
	readonly code: number
	readonly name: string
	readonly aliases: readonly string[]
}[] = [
	{ code: 0, name: 'emerg', aliases: ['panic'] },
	{ code: 1, name: 'alert', aliases: [] },
	{ code: 2, name: 'crit', aliases: [] },
	{ code: 3, name: 'err', aliases: ['error'] },
	{ code: 4, name: 'warning', aliases: ['warn'] },
	{ code: 5, name: 'notice', aliases: [] },
	{ code: 6, name: 'info', aliases: [] },
	{ code: 7, name: 'debug', aliases: [] },
]

/** The name of a code; a code without a name is its decimal number. */
export function severityName(code: number): string {
	return SEVERITIES[code]?.name ?? String(code)
}

/** The code of a name or alias, in any case; `undefined` for an unknown one. */
export function severityByName(name: string): number | undefined {
	return CODES.get(name.toLowerCase())
}

const CODES: ReadonlyMap<string, number> = new Map(
	SEVERITIES.flatMap(({ code, name, aliases }) => [name, ...aliases].map(each => [each, code] as const)),
)
