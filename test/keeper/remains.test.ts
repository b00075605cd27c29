/** What is left of a process that is dead and that nobody has waited for: a real one. */
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { lookForRemains } from '../../src/keeper/remains.ts'

test('a dead process that stays is told of once, a living one never', async t => {
	// The child ends when its parent has become a program that waits for nobody.
	const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 30'])
	t.teardown(() => parent.kill('SIGKILL'))
	const child = Number(await new Promise(resolve => parent.stdout.once('data', resolve)))
	const told = { dead: 0, living: 0, gone: 0 }
	const looks = [
		lookForRemains(child, () => told.dead++),
		lookForRemains(process.pid, () => told.living++),
		lookForRemains(undefined, () => told.gone++),
	]
	for (let n = 0; n < 100 && told.dead === 0; n++) await sleep(100)
	await sleep(500)
	t.deepEqual(told, { dead: 1, living: 0, gone: 0 })
	for (const each of looks) clearInterval(each)
})
