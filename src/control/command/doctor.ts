/**
 * `pogctl doctor`: what this host can do, what is missing, and the remedy for each.
 *
 * Exit code 1 when something is missing that POGs need; what would only make them better is a note.
 */
import { EXIT, printJson, printLines } from './context.ts'
import type { Context } from './context.ts'
import { type CheckResult, CHECKS, type CheckState } from './doctor-checks.ts'

const MARKS: Readonly<Record<CheckState, string>> = { ok: 'ok', note: 'note', missing: 'MISSING' }

export async function doctor(context: Context): Promise<number> {
	const described = await context.client.call('describe', {})
	const service = 'failure' in described ? undefined : described.value
	const results: CheckResult[] = []
	for (const check of CHECKS) results.push(...[await check({ runDir: context.runDir, service })].flat())
	if (context.json) await printJson(context, results)
	else await printLines(context, linesOf(results))
	return results.some(({ state }) => state === 'missing') ? EXIT.failed : EXIT.ok
}

function linesOf(results: readonly CheckResult[]): string[] {
	const marks = Math.max(...Object.values(MARKS).map(mark => mark.length))
	const width = Math.max(...results.map(({ about }) => about.length))
	return results.flatMap(({ state, about, found, remedy }) => [
		`${MARKS[state].padEnd(marks)}  ${about.padEnd(width)}  ${found}`,
		...(remedy === undefined ? [] : [`${' '.repeat(marks + width + 4)}-> ${remedy}`]),
	])
}
