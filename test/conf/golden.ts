/**
 * Golden directories fixtures/conf/CASE/: a `syslog.conf`, files that it includes, and in `expect.json` what it means.
 * Shared by the test that compares and the script that regenerates.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseConfiguration } from '../../src/conf/parse.ts'
import { formatDiagnostic } from '../../src/lib/diagnostic.ts'

export const GOLDEN = fileURLToPath(new URL('../../fixtures/conf/', import.meta.url))

/** Names of the cases, in order. */
export function goldenCases(): string[] {
	return readdirSync(GOLDEN, { withFileTypes: true })
		.filter(entry => entry.isDirectory())
		.map(entry => entry.name)
		.sort()
}

/** What the case means now, as text of its `expect.json`. */
export function describeCase(name: string): string {
	const directory = join(GOLDEN, name)
	const configuration = parseConfiguration(readFileSync(join(directory, 'syslog.conf')), {
		file: 'syslog.conf',
		// `/etc/NAME.d/*.conf` is CASE/NAME.d/*.conf.
		include: pattern => {
			const folder = basename(dirname(pattern))
			if (!existsSync(join(directory, folder))) return []
			const names = readdirSync(join(directory, folder)).sort()
			return names.map(each => ({ file: `${folder}/${each}`, text: readFileSync(join(directory, folder, each)) }))
		},
	})
	const rules = configuration.rules.map(({ place, masks, unnamedMask, filters, action }) => ({
		at: `${place.file}:${place.line}`,
		masks: Array.from([...masks, unnamedMask], mask => mask.toString(16).toUpperCase().padStart(2, '0')).join(' '),
		...(filters.length > 0 ? { filters } : {}),
		action,
	}))
	const diagnostics = configuration.diagnostics.map(formatDiagnostic)
	const { usable, keywords } = configuration
	return `${JSON.stringify({ usable, keywords, diagnostics, rules }, null, '\t')}\n`
}
