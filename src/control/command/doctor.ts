/**
 * `pogctl doctor`: what this host can do, what is missing, and the remedy for each.
 *
 * Exit code 1 when something is missing that POGs need, or a container reaches the host's log; what would only make them better is a note.
 */
import { EXIT, printJson, printLines } from './context.ts'
import type { Context } from './context.ts'
import { type CheckResult, CHECKS, linesOf } from './doctor-checks.ts'

export async function doctor(context: Context): Promise<number> {
	const described = await context.client.call('describe', {})
	const service = 'failure' in described ? undefined : described.value
	const listed = await context.client.call('list', {})
	const pogs = 'failure' in listed ? [] : listed.value
	const results: CheckResult[] = []
	for (const check of CHECKS) results.push(...[await check({ runDir: context.runDir, service, pogs, root: '' })].flat())
	if (context.json) await printJson(context, results)
	else await printLines(context, linesOf(results))
	return results.some(({ state }) => state === 'missing' || state === 'leak') ? EXIT.failed : EXIT.ok
}
