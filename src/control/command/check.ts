/**
 * What `pogctl conf check` finds, without a service: the parser of `conf` on a text.
 */
import { parseConfiguration } from '../../conf/parse.ts'
import { checkReport, renderRules } from '../../conf/render.ts'
import type { Diagnostic } from '../../lib/diagnostic.ts'

export interface Checked {
	file: string
	/** False when a POG would keep the configuration it has. */
	usable: boolean
	rules: number
	diagnostics: readonly Diagnostic[]
	/** For people: the diagnostics and a summary, and the table of rules. */
	report: string
	table: string
}

export function checkText(text: string | Uint8Array, file: string): Checked {
	const configuration = parseConfiguration(text, { file })
	const { usable, rules, diagnostics } = configuration
	return {
		file,
		usable,
		rules: rules.length,
		diagnostics,
		report: checkReport(configuration),
		table: renderRules(rules),
	}
}
