/** The host's policy, included files, the POG table, the clock: the small pieces around the shard. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { matchesGlob, readIncludes } from '../../src/engine/includes.ts'
import { finish } from '../../src/lib/steps.ts'
import { PogTable } from '../../src/engine/pog-table.ts'
import { DEFAULT_POLICY, parsePolicy } from '../../src/engine/policy.ts'
import type { Store } from '../../src/engine/store.ts'
import { systemClock } from '../../src/lib/clock.ts'

test('a policy is obeyed line by line; a bad line is told with its place, and the rest holds', t => {
	const text = [
		'# comment',
		'ring = 1m',
		'',
		'  quota=64k # half',
		'devkmsg = ratelimit',
		'max-ring = 1k',
		'colour = blue',
		'nonsense',
		'ring =',
		'devkmsg=loud',
	].join('\n')
	const { policy, diagnostics } = parsePolicy(text, '/etc/pogs/pogs.conf')
	t.like(policy, {
		ringBytes: 1 << 20,
		quotaBytes: 65_536,
		devkmsg: 'ratelimit',
		maxRingBytes: DEFAULT_POLICY.maxRingBytes,
	})
	t.deepEqual(
		diagnostics.map(d => [d.file, d.line, d.column]),
		[
			['/etc/pogs/pogs.conf', 6, 12],
			['/etc/pogs/pogs.conf', 7, 1],
			['/etc/pogs/pogs.conf', 8, 1],
			['/etc/pogs/pogs.conf', 9, 6],
			['/etc/pogs/pogs.conf', 10, 9],
		],
	)
	t.regex(diagnostics[0]?.message ?? '', /"1k" for max-ring, expected a size from 65536 to 67108864 bytes/)
	t.regex(diagnostics[1]?.message ?? '', /Unknown key "colour", expected one of ring, max-ring, quota/)
	t.deepEqual(parsePolicy('', 'f'), { policy: DEFAULT_POLICY, diagnostics: [] })
})

test('any policy text gives a policy within the bounds', t => {
	const word = fc.constantFrom(
		'ring',
		'quota',
		'max-ring',
		'devkmsg',
		'retain',
		'=',
		' ',
		'\n',
		'1m',
		'64k',
		'-1',
		'9'.repeat(30),
		'on',
		'#',
		'__proto__',
		'constructor',
		'\0',
	)
	fc.assert(
		fc.property(
			fc.oneof(
				fc.array(word, { maxLength: 30 }).map(w => w.join('')),
				fc.string({ unit: 'binary' }),
			),
			text => {
				const { policy, diagnostics } = parsePolicy(text, 'f')
				t.true(policy.ringBytes >= 65_536 && policy.ringBytes <= 1 << 26)
				t.true(['on', 'off', 'ratelimit'].includes(policy.devkmsg))
				for (const { line, column } of diagnostics) t.true(line >= 1 && column >= 1)
			},
		),
	)
})

test('globs match as those of a shell, and none takes long', t => {
	const rows: [string, string, boolean][] = [
		['*.conf', 'a.conf', true],
		['*.conf', 'a.confx', false],
		['a*b*c', 'abbc', true],
		['a*b*c', 'abcb', false],
		['?', 'x', true],
		['?', '', false],
		['*', '', true],
		['**', 'x', true],
		['a', 'a', true],
		['', 'a', false],
		['*?*', 'ab', true],
		['[a]', 'a', false],
		['.+', 'aa', false],
		['a?c*', 'abc', true],
		['*a', 'ba', true],
	]
	for (const [pattern, name, expected] of rows) t.is(matchesGlob(pattern, name), expected, `${pattern} ${name}`)
	const started = performance.now()
	t.false(matchesGlob(`${'*a'.repeat(120)}b`, 'a'.repeat(255)))
	t.true(performance.now() - started < 100)
	fc.assert(
		fc.property(
			fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 }),
			fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }),
			(pattern, name) => {
				const expression = new RegExp(`^${pattern.replace(/\*+/g, '.*').replaceAll('?', '.')}$`)
				t.is(matchesGlob(pattern, name), expression.test(name))
			},
		),
	)
})

test('included files are regular files of the store, whatever links and sizes the container made', t => {
	const store = mkdtempSync('/dev/shm/pogs-store-')
	const host = mkdtempSync('/dev/shm/pogs-host-')
	t.teardown(() => {
		for (const path of [store, host]) rmSync(path, { recursive: true })
	})
	writeFileSync(`${host}/secret.conf`, 'host')
	writeFileSync(`${store}/top.conf`, 'the store itself')
	for (const name of ['varlog', 'runpog', 'varlog/d', 'varlog/dir.conf']) mkdirSync(`${store}/${name}`)
	writeFileSync(`${store}/varlog/d/b.conf`, 'b')
	writeFileSync(`${store}/varlog/d/a.conf`, 'a')
	writeFileSync(`${store}/varlog/d/c.other`, 'c')
	writeFileSync(`${store}/runpog/r.conf`, 'r')
	symlinkSync(`${host}/secret.conf`, `${store}/varlog/d/link.conf`)
	symlinkSync(host, `${store}/varlog/out`)
	symlinkSync('d', `${store}/varlog/in`)
	execFileSync('mkfifo', [`${store}/varlog/d/fifo.conf`])
	const read = (pattern: string): [string, string][] =>
		finish(readIncludes(store, pattern)).map(({ file, text }) => [file, text.toString()])
	t.deepEqual(read('/var/log/d/*.conf'), [
		['/var/log/d/a.conf', 'a'],
		['/var/log/d/b.conf', 'b'],
	])
	t.deepEqual(read('/run/pog/r.conf'), [['/run/pog/r.conf', 'r']])
	for (const pattern of [
		'/var/log/out/*',
		'/var/log/in/*',
		'/var/log/../*.conf',
		'/var/log/d/../../*.conf',
		'/etc/*',
		'/var/logs/*',
		'*',
		'',
		'/',
		'/var/log/',
		'/var/log/d/link.conf',
		'/var/log/d/fifo.conf',
		'/var/log/dir.conf',
		'/var/log/none/*',
	])
		t.deepEqual(read(pattern), [], pattern)
	// Large ones cost what may be read of them, in all.
	for (let n = 0; n < 70; n++) writeFileSync(`${store}/varlog/big${String(n).padStart(2, '0')}`, 'x')
	truncateSync(`${store}/varlog/big01`, 2 ** 40)
	const big = finish(readIncludes(store, '/var/log/big*'))
	t.is(big.length, 64)
	t.is(
		big.reduce((sum, { text }) => sum + text.length, 0),
		256 << 10,
	)
})

test('the table gives each name and id once, and finds by either', t => {
	const table = new PogTable()
	const store = {} as Store
	const add = (name: string): number => {
		if (!table.reserve(name)) throw new Error(name)
		const id = table.newId()
		table.add({ id, name, containerId: '', spec: { name }, ringBytes: 0, quotaBytes: 0, status: 'created', store })
		return id
	}
	t.false(table.reserve('host'))
	t.true(table.reserve('a'))
	t.false(table.reserve('a'))
	table.release('a')
	const first = table.newId()
	const again = add('a')
	t.true(again > first)
	t.false(table.reserve('a'))
	t.is(table.find('a'), table.find(String(again)))
	const digits = add(String(again))
	t.is(table.find(String(again))?.id, digits)
	const entry = table.find('a')
	if (entry !== undefined) table.remove(entry)
	t.is(table.find('a'), undefined)
	t.true(add('a') > digits)
	t.is(table.size, 2)
})

test('the clock is that of the host: monotonic since boot, real to the millisecond, never back', t => {
	const clock = systemClock()
	let [monotonic, real] = [0, 0]
	for (let n = 0; n < 20_000; n++) {
		const us = clock.monotonicUs()
		const realUs = clock.realtimeUs(us)
		t.true(us >= monotonic && realUs >= real)
		;[monotonic, real] = [us, realUs]
	}
	const [seconds, nanoseconds] = process.hrtime()
	t.true(Math.abs(seconds * 1e6 + nanoseconds / 1e3 - clock.monotonicUs()) < 20_000)
	t.true(Math.abs(Date.now() * 1e3 - clock.realtimeUs(clock.monotonicUs())) < 20_000)
	t.true(Number.isSafeInteger(monotonic) && Number.isSafeInteger(real))
	// A reading of before is not moved by when it is asked about.
	t.is(clock.realtimeUs(monotonic) - clock.realtimeUs(monotonic - 1000), 1000)
})
