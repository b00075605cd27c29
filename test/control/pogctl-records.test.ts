/**
 * pogctl about records and events, as a child process against a double: what it prints, to the byte, and how it exits.
 */
import test from 'ava'
import { makeEvent, makeRecord } from './double.ts'
import { ask, start, until } from './harness.ts'
import { fill, launch, pogctl } from './launch.ts'

test('logs prints syslog lines that are safe for a terminal', async t => {
	const running = await start(t)
	fill(running)
	const [plain, all, json, filtered, usage] = await Promise.all([
		pogctl(running, 'logs web'),
		pogctl(running, 'logs --all'),
		pogctl(running, 'logs web --json'),
		pogctl(running, 'logs web -n 1 --since @1763762401 --facility local0,mail --severity err'),
		pogctl(running, 'logs'),
	])
	t.deepEqual(plain, {
		code: 0,
		stderr: '',
		stdout: 'Nov 21 22:00:10 web app[7]: started\nNov 21 22:00:11 web evil ^[[31m^Jline\n',
	})
	t.is(
		all.stdout,
		`web      | Nov 21 22:00:10 app[7]: started
web      | Nov 21 22:00:11 evil ^[[31m^Jline
database | Nov 21 22:00:12 mysqld: ready
`,
	)
	t.deepEqual(
		json.stdout
			.trimEnd()
			.split('\n')
			.map(line => JSON.parse(line) as unknown),
		running.double.stored.slice(0, 2),
	)
	t.is(filtered.code, 0)
	const filter = { last: 1, sinceRealtimeUs: 1_763_762_401_000_000, facilities: [16, 2], severity: 3 }
	t.deepEqual(running.double.asked.find(asked => asked.filter.last === 1)?.filter, filter)
	t.deepEqual([usage.code, usage.stdout], [2, ''])
	t.regex(usage.stderr, /name one POG, or give --all or --pog/)
})

test('logs of some POGs, by text and end, ask for exactly that', async t => {
	const running = await start(t)
	fill(running)
	const words = ['--pog', 'web', '--pog', 'host', '--grep', 'Not, this & that=', '--until', '@1763762402']
	const [merged, both] = await Promise.all([
		launch(running.runDir, ['logs', ...words]).ended,
		pogctl(running, 'logs web --pog database'),
	])
	t.deepEqual([merged.code, merged.stderr], [0, ''])
	t.regex(merged.stdout, /^web {2}\| Nov 21/)
	t.deepEqual(running.double.asked[0], {
		name: null,
		filter: { pogs: ['web', 'host'], text: 'Not, this & that=', untilRealtimeUs: 1_763_762_402_000_000 },
		signal: running.double.asked[0]?.signal as AbortSignal,
	})
	t.is(both.code, 2)
	const refused = await ask(running.socketPath, 'GET', '/v1/pogs/web/records?pogs=database')
	t.is(refused.status, 400)
})

test('events are lines, JSON, and go on until SIGINT', async t => {
	const running = await start(t)
	const { double } = running
	double.happen(makeEvent(0, 'created', 'web', { ringBytes: 65_536, state: 'default' }))
	double.happen(makeEvent(1, 'drops', 'w\x1b[2Jb', { ratelimited: 12, overwritten: 1 }))
	const [plain, json, filtered] = await Promise.all([
		pogctl(running, 'events'),
		pogctl(running, 'events --json'),
		pogctl(running, 'events -n 1 --since @1763762401 --pog web --pog 2'),
	])
	t.deepEqual(plain, {
		code: 0,
		stderr: '',
		stdout: `Nov 21 22:00:00 web created ringBytes=65536 state=default
Nov 21 22:00:01 w^[[2Jb drops ratelimited=12 overwritten=1
`,
	})
	t.deepEqual(
		json.stdout
			.trimEnd()
			.split('\n')
			.map(line => JSON.parse(line) as unknown),
		double.happened,
	)
	t.is(filtered.code, 0)
	const asked = double.askedEvents.find(each => each.filter.last === 1)
	t.deepEqual(asked?.filter, { last: 1, sinceRealtimeUs: 1_763_762_401_000_000, pogs: ['web', '2'] })
	const { child, ended, stdout } = launch(running.runDir, ['events', '-f', '-n', '0'])
	await until(() => double.askedEvents.some(each => each.filter.follow === true), 'the request')
	double.happen(makeEvent(2, 'removed', 'web'))
	await until(() => stdout() === 'Nov 21 22:00:02 web removed\n', 'the new event')
	child.kill('SIGINT')
	t.is((await ended).code, 130)
	await until(() => double.askedEvents.at(-1)?.signal.aborted === true, 'the abort')
})

test('top prints one table where there is no terminal', async t => {
	const running = await start(t)
	fill(running)
	const [plain, json, delay, gone] = await Promise.all([
		pogctl(running, 'top --delay 0.1'),
		pogctl(running, 'top --once -d 0.1 --json'),
		pogctl(running, 'top -d 0'),
		pogctl({ runDir: '/nonexistent' }, 'top'),
	])
	t.deepEqual([plain.code, plain.stderr], [0, ''])
	t.regex(plain.stdout, /^\d\d:\d\d:\d\d {2}3 logs, 0 records\/s, 0 new drops\n/)
	t.is(
		plain.stdout.slice(plain.stdout.indexOf('\n') + 1),
		`POG  NAME      STATUS   RATE/S  RING  FULL  DROPS  LAST
  0  host      host          0  256k    0%      0  -
  1  web       running       0   64k    2%     10  22:00:11 evil ^[[31m^Jline
  2  database  created       0  256k    0%      0  22:00:12 mysqld: ready
`,
	)
	const rows = JSON.parse(json.stdout) as unknown[]
	t.like(rows[1], { id: 1, pog: 'web', rate: 0, drops: 10, newest: { seq: 11 } })
	t.is(delay.code, 2)
	t.is(gone.code, 3)
})

test('logs -f goes on until SIGINT, which exits 130', async t => {
	const running = await start(t)
	fill(running)
	const { child, ended, stdout } = launch(running.runDir, ['logs', 'web', '-f', '-n', '0'])
	await until(() => running.double.asked.some(asked => asked.filter.follow === true), 'the request')
	running.double.append(makeRecord('web', 12, 'live'))
	await until(() => stdout().includes('live'), 'the new record')
	child.kill('SIGINT')
	t.is((await ended).code, 130)
	await until(() => running.double.asked[0]?.signal.aborted === true, 'the abort')
})

test('logs -f says so when the service goes away', async t => {
	const running = await start(t)
	const { ended } = launch(running.runDir, ['logs', 'web', '-f'])
	await until(() => running.double.asked.length === 1, 'the request')
	running.double.bug = new Error('secret')
	await running.close()
	const { code, stderr } = await ended
	t.true(code === 3 || code === 1, stderr)
	t.regex(stderr, /^pogctl: (Lost pogshim at|Cannot reach pogshim at|Cannot go on)/)
})

test('a reader that closes early ends pogctl quietly', async t => {
	const running = await start(t)
	for (let seq = 0; seq < 5000; seq++) running.double.append(makeRecord('web', seq, 'x'.repeat(200)))
	const { child, ended } = launch(running.runDir, ['logs', 'web', '-f'])
	child.stdout?.once('data', () => child.stdout?.destroy())
	const { code, stderr } = await ended
	t.deepEqual([code, stderr], [141, ''])
})
