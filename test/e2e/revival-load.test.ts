/**
 * The engine is killed (SIGKILL) again and again under load, and nobody may notice but by a pause. `make kill-test KILLS=200` is
 * the same at length, LOAD=full on a machine with more to do than it can.
 */
import { loadavg } from 'node:os'
import { distribution, killRun } from '../helpers/kill-run.ts'
import { find, needs } from '../helpers/programs.ts'

const KILLS = Number(process.env['KILLS'] ?? 8)
const POGS = Number(process.env['POGS'] ?? 4)
/** An engine lives up to so long after it answers. */
const LIFE_MS = Number(process.env['LIFE_MS'] ?? 400)
const SECONDS_A_KILL = 8
/** Where there is one, containers start meanwhile. */
const STARTS = ['runc', 'crun'].find(find)

needs('python3')('no call fails, and no line is lost, double or out of order', async t => {
	t.timeout((90 + KILLS * SECONDS_A_KILL) * 1000)
	const outcome = await killRun({
		kills: KILLS,
		pogs: POGS,
		lifeMs: LIFE_MS,
		containers: 1,
		starts: STARTS,
		say: text => t.log(text),
	})
	const { pausesMs, calmMs, settledMs, quickMs, phasesMs, done } = outcome
	t.log(`${KILLS} kills, ${POGS} POGs, ${done} lines and operations, ${outcome.started} containers started`)
	t.log(`load average ${loadavg()[0]?.toFixed(1)}; a pause is the longest call of a 1 kHz writer around a kill`)
	t.log(distribution('its longest call in a second without a kill', calmMs))
	t.log(distribution('pause', pausesMs))
	t.log(distribution('pause after an engine that served for 2 s', settledMs))
	t.log(distribution('pause after one that had just begun', quickMs))
	for (const [phase, ms] of Object.entries(phasesMs)) t.log(distribution(`death noticed to ${phase}`, ms))
	if (outcome.faults.length > 0) t.log(outcome.said.slice(-2000))
	t.deepEqual(outcome.faults, [])
})
