/** What is left of a process that is dead and that nobody has waited for: a real one. */
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { lookForRemains } from '../../src/keeper/remains.ts'

test('a process that was killed and stays is told of once, one that exits later and with its code, a living one never', async t => {
	// The children end when their parent has become a program that waits for nobody.
	const script = 'sleep 30 & echo $!; (sleep 0.3; exit 3) & echo $!; exec sleep 60'
	const parent = spawn('sh', ['-c', script])
	t.teardown(() => parent.kill('SIGKILL'))
	let said = ''
	parent.stdout.on('data', (piece: Buffer) => (said += String(piece)))
	while (said.split('\n').length < 3) await sleep(10)
	const [killed = 0, exited = 0] = said.split('\n').map(Number)
	const told: (readonly [string, number | null, NodeJS.Signals | null])[] = []
	const looks = Object.entries({ killed, exited, living: process.pid, gone: undefined }).map(([name, pid]) =>
		lookForRemains(pid, (code, signal) => told.push([name, code, signal])),
	)
	await sleep(500)
	process.kill(killed, 'SIGKILL')
	for (let n = 0; n < 100 && told.length < 2; n++) await sleep(100)
	await sleep(500)
	t.deepEqual(told, [
		['killed', null, 'SIGKILL'],
		['exited', 3, null],
	])
	for (const each of looks) clearInterval(each)
})
