/**
 * `pogctl upgrade`: the version of pogshim that is installed now takes over from the one that runs, and containers notice nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from './context.ts'
import { EXIT, fail, failHere, printJson, printLines } from './context.ts'

const TAKES_OVER_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 20

export async function upgrade(context: Context, wait: boolean): Promise<number> {
	const asked = await context.client.call('upgrade', {})
	if ('failure' in asked) return fail(context, asked.failure)
	const { from, to, pid } = asked.value
	if (!wait) {
		if (context.json) await printJson(context, { from, to, pid })
		else await printLines(context, [`pogshim ${to} takes over from ${from}`])
		return EXIT.ok
	}
	const until = performance.now() + TAKES_OVER_WITHIN_MS
	while (performance.now() < until) {
		const described = await context.client.call('describe', {})
		if ('value' in described && described.value.engine.pid !== pid) {
			const { version, pogs, engine } = described.value
			if (context.json) await printJson(context, { from, to: version, pid: engine.pid, pogs })
			else
				await printLines(context, [`pogshim ${version} took over from ${from}: process ${engine.pid}, POGs: ${pogs}`])
			return EXIT.ok
		}
		await sleep(LOOK_EVERY_MS)
	}
	return failHere(
		context,
		`pogshim ${to} has not taken over in ${TAKES_OVER_WITHIN_MS / 1000} s: see the log of pogshim`,
	)
}
