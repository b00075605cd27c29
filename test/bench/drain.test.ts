/** The log parser of the evaluation, on lines as httpd and MariaDB write them: events that are known must come out as they are. */
import test from 'ava'
import { Drain } from '../../bench/evaluate/drain.ts'

test('drain groups lines by event, and leaves wildcards where they differ', t => {
	const drain = new Drain()
	const lines = [
		'Accepted connection from 10.0.0.1 port 4711',
		'Accepted connection from 10.0.0.2 port 4712',
		'Connection closed by peer',
		'Accepted connection from 10.9.9.9 port 1',
		'Connection closed by peer',
	]
	const ids = lines.map(line => drain.add(line).id)
	t.deepEqual(ids, [0, 0, 1, 0, 1])
	t.deepEqual(
		drain.groups.map(({ template, lines: count }) => [template.join(' '), count]),
		[
			['Accepted connection from <*> port <*>', 3],
			['Connection closed by peer', 2],
		],
	)
})

test('drain tells events of equal length apart by their fixed words', t => {
	const drain = new Drain()
	const of = (line: string): number => drain.add(line).id
	t.is(of('login of alice from the web'), of('login of bob from the web'))
	t.not(of('login of alice from the web'), of('disk sda is full on seven'))
	t.not(of('job started'), of('job started now'))
})

test('every line belongs to exactly one group, whatever it is', t => {
	const drain = new Drain({ maxChildren: 3 })
	const lines = ['', ' ', '1', 'a b', 'b c', 'c d', 'd e', 'e f', 'f 1', '1 f', '\u0000 \u0001']
	for (const line of lines) drain.add(line)
	t.is(
		drain.groups.reduce((sum, { lines: count }) => sum + count, 0),
		lines.length,
	)
})
