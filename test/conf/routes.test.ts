/** Configuration to routes: order, discards, filters, and regular expressions against those of grep(1). */
import { spawnSync } from 'node:child_process'
import test from 'ava'
import fc from 'fast-check'
import type { Subject } from '../../src/conf/filter.ts'
import { parseConfiguration } from '../../src/conf/parse.ts'
import { compileRoutes, type Routes } from '../../src/conf/routes.ts'

const SUBJECT: Subject = { program: 'app', hostname: 'Box', msg: 'hello World', msgid: 'ID47', sd: '[x@1 a="b"]' }
const INFO = 6

function routesOf(text: string, localHostname = 'box'): Routes {
	const configuration = parseConfiguration(text, { file: 'f' })
	const errors = configuration.diagnostics.filter(({ level }) => level === 'error')
	if (errors.length > 0) throw new Error(JSON.stringify(errors))
	const bits: string[] = []
	return compileRoutes(configuration, path => bits.push(path) - 1, { localHostname })
}

/** The files, by last name, that a record goes to. */
function filesFor(text: string, subject: Partial<Subject> | null, facility = 1, severity = INFO): string[] {
	const routes = routesOf(text)
	const mask = routes.mask(facility, severity, subject === null ? null : { ...SUBJECT, ...subject })
	return routes.files.filter(({ bit }) => ((mask >>> bit) & 1) === 1).map(({ path }) => path.slice('/var/log/'.length))
}

test('the table is what the masks say, for every facility and severity', t => {
	const text = '*.info;mail.none /var/log/a\nmail.=err;auth.* /var/log/b\nkern.* /dev/console\n*.*;*.!err -/var/log/a\n'
	const routes = routesOf(text)
	const { rules } = parseConfiguration(text, { file: 'f' })
	t.false(routes.filtered)
	t.is(routes.console, 0b100)
	for (let facility = 0; facility < 24; facility++) {
		for (let severity = 0; severity < 8; severity++) {
			const selects = (rule: number) => ((rules[rule]?.masks[facility] ?? 0) >> severity) & 1
			const expected = (selects(0) | selects(3) ? 1 : 0) | (selects(1) ? 2 : 0) | (selects(2) ? 4 : 0)
			t.is(routes.table[facility * 8 + severity], expected)
			t.is(routes.mask(facility, severity, null), expected)
			t.is(routes.mask(facility, severity, SUBJECT), expected)
		}
	}
})

test('facilities without a name go where an asterisk sends them', t => {
	const text = '*.info /var/log/a\nmark.* /var/log/b\nlocal7.*;kern.* /var/log/c\n'
	for (const facility of [24, 25, 31, 32, 127, 255]) t.deepEqual(filesFor(text, null, facility), ['a'])
	t.is(routesOf(text).table[31 * 8 + INFO], 1)
	t.deepEqual(filesFor(text, null, 255, 7), [])
})

test('a file that several rules name has one bit, and up to 31 files and the console fit', t => {
	const asked: string[] = []
	const lines = Array.from({ length: 31 }, (_, i) => `*.* /var/log/${i}\n*.* -/var/log/${i}\n`).join('')
	const configuration = parseConfiguration(`${lines}*.* /dev/console\n`, { file: 'f' })
	const routes = compileRoutes(configuration, path => asked.push(path) - 1)
	t.is(asked.length, 32)
	t.is(routes.files.length, 31)
	t.is(routes.mask(1, INFO, null), 0xffffffff)
	t.is(routes.console, 0x80000000)
})

test('a file for which there is no bit is not routed to', t => {
	const configuration = parseConfiguration('*.* /var/log/a\n*.* /var/log/b\n', { file: 'f' })
	const routes = compileRoutes(configuration, path => (path.endsWith('a') ? -1 : 5))
	t.is(routes.mask(1, INFO, null), 1 << 5)
	t.deepEqual(
		routes.files.map(({ path, bit }) => [path, bit]),
		[['/var/log/b', 5]],
	)
})

test('users, everyone and the console are destinations with a bit each, asked for once', t => {
	const asked: string[] = []
	const text = '*.* root, eric\n*.info *\n*.* /dev/console\nkern.* root,eric\n*.* /var/log/a\n*.info :omusrmsg:*\n'
	const routes = compileRoutes(
		parseConfiguration(text, { file: 'f' }),
		(name, { kind }) => asked.push(`${kind} ${name}`) - 1,
	)
	t.deepEqual(asked, ['users root,eric', 'wall *', 'console /dev/console', 'file /var/log/a'])
	t.is(routes.mask(1, INFO, null), 0b1111)
	t.is(routes.mask(1, 7, null), 0b1101)
	t.is(routes.console, 0b100)
	t.is(routes.files.length, 1)
})

test('filters of rules without a route are not asked', t => {
	const configuration = parseConfiguration('!app\n*.* root\n*.* *\n', { file: 'f' })
	t.false(compileRoutes(configuration, () => -1).filtered)
	t.true(compileRoutes(configuration, () => 0).filtered)
})

test('a discard ends the evaluation where it stands, with and without filters', t => {
	t.deepEqual(filesFor('*.* /var/log/a\nuser.* ~\n*.* /var/log/b\n', null), ['a'])
	t.deepEqual(filesFor('*.* /var/log/a\nuser.* ~\n*.* /var/log/b\n', null, 2), ['a', 'b'])
	t.deepEqual(filesFor('stop\n*.* /var/log/b\n', null, 200), [])
	const filtered = '*.* /var/log/a\n:msg, contains, "World" stop\n*.* /var/log/b\n'
	t.deepEqual(filesFor(filtered, {}), ['a'])
	t.deepEqual(filesFor(filtered, { msg: 'other' }), ['a', 'b'])
	t.deepEqual(filesFor(filtered, null), ['a', 'b'])
	t.deepEqual(filesFor(':msg, contains, "World" /var/log/only\n& stop\n*.* /var/log/b\n', {}), ['only'])
	t.deepEqual(filesFor('user.* ~\n!app\n*.* /var/log/b\n', {}), [])
})

test('filters are asked only for the facilities and severities whose rules have them, and each once', t => {
	let asked = 0
	const subject: Subject = {
		...SUBJECT,
		get program() {
			asked++
			return 'app'
		},
	}
	const routes = routesOf(
		'*.* /var/log/all\n!app\nuser.info /var/log/a\nuser.* /var/log/b\n!other\nuser.* /var/log/c\n',
	)
	t.true(routes.filtered)
	t.is(routes.filteredCells[8 + INFO], 1)
	t.is(routes.filteredCells[16 + INFO], 0)
	t.is(routes.mask(2, INFO, subject), 0b1)
	t.is(asked, 0)
	t.is(routes.mask(1, INFO, subject), 0b111)
	t.is(asked, 2)
	t.is(routes.mask(1, INFO, null), 0b1)
})

/** Lines of a block, and whether it holds for SUBJECT. */
const BLOCKS: [string, boolean][] = [
	['!app', true],
	['!+app', true],
	['!-app', false],
	['!App', false],
	['!ap', false],
	['!x,app', true],
	['!-x,app', false],
	['!-x,y', true],
	['!x\n!*', true],
	['!x\n!', true],
	['#!x', false],
	['+box', true],
	['+BOX', true],
	['-box', false],
	['+other,box', true],
	['+@', true],
	['-@', false],
	['+x\n+*', true],
	['#+x', false],
	['#-box', false],
	['+box\n!x', false],
	['!app\n-other\n:msg, startswith, "hello"', true],
	['!app\n-other\n:msg, startswith, "World"', false],
	[':msg, contains, "World"', true],
	[':msg, contains, "world"', false],
	[':msg, icase_contains, "WORLD"', true],
	[':msg, !icase_contains, "WORLD"', false],
	[':msg, icase_!contains, "WORLD"', false],
	[':msg, !contains, "x"', true],
	[':msg, isequal, "hello World"', true],
	[':msg, isequal, "hello"', false],
	[':msg, icase_isequal, "HELLO world"', true],
	[':MSG, StartsWith, "hel"', true],
	[':msgid, isequal, "ID47"', true],
	[':sd, contains, "a=\\"b\\""', true],
	[':data, contains, "x@1"', true],
	[':programname, isequal, "app"', true],
	[':hostname, isequal, "Box"', true],
	[':source, isequal, "box"', false],
	[':msg, regex, "^h.*d$"', true],
	[':msg, regex, "l\\\\{2\\\\}o"', true],
	[':msg, ereregex, "(hello|bye) [A-Z]"', true],
	[':msg, eregex, "hello{2}"', false],
	[':msg, icase_ereregex, "WORLD$"', true],
	[':msg, !ereregex, "WORLD$"', true],
	[':msg, contains, "x"\n:*', true],
	['#:msg, contains, "x"', false],
	['#:msg, contains, "x" ~', true],
	['#-----', true],
]
for (const [block, holds] of BLOCKS) {
	test(`block ${JSON.stringify(block)} ${holds ? 'lets the record pass' : 'keeps the record out'}`, t => {
		t.deepEqual(filesFor(`${block}\n*.* /var/log/a\n`, {}), holds ? ['a'] : [])
	})
}

/** Whether each text is found by grep in the C locale, or null when it refuses the pattern. */
function grep(extended: boolean, ignoreCase: boolean, pattern: string, texts: readonly string[]): boolean[] | null {
	const flags = ['-n', extended ? '-E' : '-G', ...(ignoreCase ? ['-i'] : []), '-e', pattern]
	const { status, stdout } = spawnSync('grep', flags, {
		input: `${texts.join('\n')}\n`,
		encoding: 'latin1',
		env: { LC_ALL: 'C' },
	})
	if (status !== 0 && status !== 1) return null
	const found = new Set(stdout.split('\n').map(line => Number.parseInt(line, 10)))
	return texts.map((_, index) => found.has(index + 1))
}

/** The same by this code, or null when it refuses the pattern. */
function ours(extended: boolean, ignoreCase: boolean, pattern: string, texts: readonly string[]): boolean[] | null {
	const operator = `${ignoreCase ? 'icase_' : ''}${extended ? 'ereregex' : 'regex'}`
	const value = pattern.replace(/["\\]/g, '\\$&')
	const configuration = parseConfiguration(`:msg, ${operator}, "${value}"\n*.* /var/log/a\n`, { file: 'f' })
	if (configuration.diagnostics.length > 0) return null
	const routes = compileRoutes(configuration, () => 0)
	return texts.map(msg => routes.mask(1, INFO, { ...SUBJECT, msg }) === 1)
}

test('regular expressions find what grep finds', t => {
	const atom = fc.constantFrom(
		'a',
		'b',
		'A',
		'.',
		'[ab]',
		'[^a]',
		'[[:upper:]b]',
		'[a-c]',
		'[]a]',
		'\\.',
		'\\w',
		'\\S',
		'^',
		'$',
	)
	const pattern = (extended: boolean) => {
		const or = extended ? '|' : '\\|'
		const [open, close] = extended ? ['(', ')'] : ['\\(', '\\)']
		const repeats = extended
			? ['', '', '*', '+', '?', '{2}', '{1,3}', '{0,1}', '{2,}']
			: ['', '', '*', '\\+', '\\?', '\\{2\\}', '\\{0,2\\}']
		return fc.letrec<{ any: string; sequence: string; part: string }>(tie => ({
			any: fc.array(tie('sequence'), { minLength: 1, maxLength: 2 }).map(parts => parts.join(or)),
			sequence: fc.array(tie('part'), { minLength: 1, maxLength: 3 }).map(parts => parts.join('')),
			part: fc
				.tuple(
					fc.oneof(
						{ maxDepth: 2 },
						atom,
						tie('any').map(inner => `${open}${inner}${close}`),
					),
					fc.constantFrom(...repeats),
				)
				// What a repeated anchor means is undefined.
				.map(([inner, repeat]) => (/[\^$]$/.test(inner) ? inner : inner + repeat)),
		})).any
	}
	const text = fc
		.array(fc.constantFrom('a', 'b', 'c', 'A', '.', ' ', ']'), { maxLength: 6 })
		.map(parts => parts.join(''))
	const texts = fc.array(text, { minLength: 8, maxLength: 12 })
	let compared = 0
	fc.assert(
		fc.property(
			fc.boolean().chain(extended => fc.tuple(fc.constant(extended), pattern(extended))),
			fc.boolean(),
			texts,
			([extended, source], ignoreCase, all) => {
				const actual = ours(extended, ignoreCase, source, all)
				const expected = grep(extended, ignoreCase, source, all)
				// An anchor in the middle of a basic expression is taken in different ways.
				if (actual === null || expected === null || (!extended && /.[\^]|[$]./.test(source))) return true
				compared++
				return actual.join() === expected.join()
			},
		),
		{ numRuns: 400 },
	)
	t.true(compared > 150, `only ${compared} compared`)
})

/** Patterns and what is said of them; the words end "Pattern ... has ...". */
const REFUSED: [string, string][] = [
	['(a', 'an opening parenthesis without a closing one'],
	['a)', 'a closing parenthesis without an opening one'],
	['[a', 'a "[" without "]"'],
	['[[:nothing:]]', 'an unknown character class "nothing"'],
	['[b-a]', 'a range in brackets that ends before it starts'],
	['[[.space.]]', 'a collating element, which is not supported'],
	['a{2', 'a repetition other than {N}, {N,} or {N,M} with numbers up to 255'],
	['a{3,2}', 'a repetition other than {N}, {N,} or {N,M} with numbers up to 255'],
	['a{256}', 'a repetition other than {N}, {N,} or {N,M} with numbers up to 255'],
	['*a', 'nothing before "*" to repeat'],
	['(+a)', 'nothing before "+" to repeat'],
	['(a)\\1', 'a back reference, which is not supported'],
	['\\<a', '"\\<", which is not supported'],
	['a\\', 'a backslash at its end'],
	[`${'('.repeat(40)}${')'.repeat(40)}`, 'more than 32 nested groups'],
	['((){255}){255}', 'more than the 1024 states allowed'],
]
for (const [pattern, problem] of REFUSED) {
	test(`pattern ${pattern} is refused`, t => {
		const { diagnostics } = parseConfiguration(`:msg, ereregex, "${pattern.replace(/["\\]/g, '\\$&')}"\n`, {
			file: 'f',
		})
		t.is(
			diagnostics[0]?.message,
			`Pattern "${pattern.length > 64 ? `${pattern.slice(0, 61)}...` : pattern}" has ${problem}`,
		)
	})
}

/** Letters `a` and `b` without a period: a linear congruential generator (Numerical Recipes). */
function noise(length: number): string {
	let state = 1
	return Array.from({ length }, () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0
		return state > 0x7fffffff ? 'a' : 'b'
	}).join('')
}

test('a pattern made to be slow costs no more than its size', t => {
	const msg = `${noise(1023)}\u00e9`
	for (const pattern of [
		'(a|a)*(a|a)*(a|a)*b*c',
		'((a*)*)*c',
		'(x?){60}[ab]*a[ab]{60}c',
		'(.*a){20}c',
		'(([ab]*)+)+$c',
	]) {
		const started = process.cpuUsage()
		for (let i = 0; i < 10; i++) t.deepEqual(ours(true, false, pattern, [msg.slice(i)]), [false])
		const { user, system } = process.cpuUsage(started)
		t.true(user + system < 1_000_000, `${pattern} took ${user + system} us`)
	}
})

test('a match is found behind more sets of nodes than are remembered', t => {
	// Which of the last ten characters were `a` is remembered in a set each: 2^10 of them.
	const before = noise(900)
	t.deepEqual(
		ours(true, false, 'a[ab]{10}c$', [`${before}abbbbbbbbbbc`, `${before}bbbbbbbbbbbc`, `${before}abbbbbbbbbbc `]),
		[true, false, false],
	)
})
