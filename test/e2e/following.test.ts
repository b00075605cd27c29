/**
 * `pogctl logs -f` and `events -f` while engines are killed: every line once, in order.
 *
 * Source of truth: the lines that this test writes.
 */
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { needs, type Running, start, TOP, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'
import { TRANSPORT } from '../helpers/transport.ts'

const KILLS = 3
const LINES = 40

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

function pogctl(...argv: readonly string[]): Running {
	const tsx = `--import=${import.meta.resolve('tsx')}`
	return start(process.execPath, [tsx, join(TOP, 'src/bin/pogctl.ts'), '--run-dir', service.runDir, ...argv])
}

/** How many engines there were before the one that answers. */
async function restarts(): Promise<number> {
	const described = await service.describe().catch(() => undefined)
	return described === undefined ? -1 : described.restarts
}

/** Through fuse-native nobody can write meanwhile. */
const followed: (title: string, body: (t: ExecutionContext) => Promise<void>) => void =
	TRANSPORT === 'kernel' ? needs('perl') : test.serial.skip

followed('who follows logs or events has every line once, whatever engines are killed meanwhile', async t => {
	t.timeout(120_000)
	const pog = await service.create('followed')
	await pog.send('<13>app: old')
	const one = pogctl('logs', 'followed', '-f', '-n', '0')
	const all = pogctl('logs', '--all', '-f', '-n', '0', '--grep', 'line-')
	const events = pogctl('events', '-f', '--pog', 'later', '--json')
	try {
		await until(
			'both follow',
			async () => {
				await pog.send('<13>app: line-x')
				return [one, all].every(each => each.stdout().includes('line-x'))
			},
			30_000,
		)
		let sent = 0
		for (let kill = 0; kill <= KILLS; kill++) {
			for (const end = sent + LINES; sent < end; sent++) {
				await pog.send(`<13>app: line-${sent}`)
				if (sent === end - LINES / 2 && kill < KILLS) process.kill((await service.describe()).engine.pid, 'SIGKILL')
			}
			await until('the next engine', async () => (await restarts()) === Math.min(kill + 1, KILLS), 30_000)
			await service.create(`later-${kill}`)
			await service.call('DELETE', `/v1/pogs/later-${kill}`)
		}
		const expected = Array.from({ length: sent }, (_, n) => `line-${n}`)
		for (const each of [one, all]) {
			await each.printed('the last line', stdout => stdout.includes(`line-${sent - 1}\n`), 30_000)
			t.deepEqual(each.stdout().match(/line-\d+/g), expected)
			t.notRegex(each.stdout(), /old/)
		}
		await service.create('later')
		await events.printed('the event', stdout => stdout.includes('"event":"created"'), 30_000)
		t.is(events.stdout().split('\n').filter(Boolean).length, 1)
	} finally {
		for (const each of [one, all, events]) await each.stop()
	}
})
