/** Text to configuration: golden directories, what is refused as a whole, bounds, and that no bytes can do harm. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { type Configuration, DEFAULT_LIMITS } from '../../src/conf/configuration.ts'
import { DEFAULT_SYSLOG_CONF } from '../../src/conf/default.ts'
import { parseConfiguration } from '../../src/conf/parse.ts'
import { checkReport, renderRules } from '../../src/conf/render.ts'
import { compileRoutes } from '../../src/conf/routes.ts'
import { formatDiagnostic } from '../../src/lib/diagnostic.ts'
import { describeCase, GOLDEN, goldenCases } from './golden.ts'

const parse = (text: string | Uint8Array) => parseConfiguration(text, { file: 'f' })
const problems = ({ diagnostics }: Configuration) => diagnostics.map(formatDiagnostic)
const paths = ({ rules }: Configuration) =>
	rules.map(({ action }) => (action.kind === 'file' ? action.path : action.kind))

for (const name of goldenCases()) {
	test(`configuration ${name} means what its expect.json says`, t => {
		t.is(describeCase(name), readFileSync(join(GOLDEN, name, 'expect.json'), 'utf8'))
	})
}

test('the default configuration has no problem and names the classic files', t => {
	const configuration = parse(DEFAULT_SYSLOG_CONF)
	t.deepEqual(problems(configuration), [])
	t.true(configuration.usable)
	const classic = ['auth.log', 'syslog', 'messages', 'kern.log', 'daemon.log', 'user.log', 'mail.log', 'cron.log']
	t.deepEqual(
		paths(configuration),
		classic.map(name => `/var/log/${name}`),
	)
})

test('the rsyslog.conf that Debian ships has no problem but its include, which needs a caller that reads files', t => {
	const text = readFileSync(join(GOLDEN, 'debian12', 'syslog.conf'))
	t.deepEqual(problems(parseConfiguration(text, { file: 'f', include: () => [] })), [])
	t.deepEqual(problems(parse(text)), ['f:45:16: warning: Include of "/etc/rsyslog.d/*.conf" has no effect here'])
})

const LAST_LINE = 'No line can be used, expected at least one rule'
const UNUSABLE: [string, string | Uint8Array, string[]][] = [
	['with a NUL byte', 'kern.* /var/log/x\nma\0il.* /var/log/y\n', ['f:2:3: error: Text has a NUL byte, expected none']],
	[
		'longer than 128 KiB',
		'\n'.repeat((128 << 10) + 1),
		['f:1:1: error: Text is 131073 bytes long, expected at most 131072'],
	],
	[
		'without a line that can be used',
		'mail.\n*.* @host\n',
		[
			'f:1:6: error: Expected a severity: one of emerg, alert, crit, err, warning, notice, info, debug, * or none',
			'f:2:5: error: Forwarding to another host is not supported, expected a file below /var/log, /dev/console, users, * or stop',
			`f:1:1: error: ${LAST_LINE}`,
		],
	],
]
for (const [what, text, expected] of UNUSABLE) {
	test(`a text ${what} leaves the last good configuration in force`, t => {
		const configuration = parse(text)
		t.false(configuration.usable)
		t.deepEqual(problems(configuration), expected)
	})
}

test('an empty text and one of comments are usable and have no rules', t => {
	for (const text of ['', '\n', '# nothing\n', ' \t\r\n#', '\xef\xbb\xbf']) {
		const configuration = parse(Buffer.from(text, 'latin1'))
		t.deepEqual([configuration.usable, configuration.rules, problems(configuration)], [true, [], []])
	}
})

test('the last line needs no newline, and its backslash continues nothing', t => {
	t.deepEqual(paths(parse('*.* /var/log/a\n*.* /var/log/b')), ['/var/log/a', '/var/log/b'])
	t.deepEqual(paths(parse('*.* /var/log/a\\')), ['/var/log/a'])
})

test('columns count bytes, also behind characters of several bytes', t => {
	t.deepEqual(problems(parse('*.* /var/log/\u00e9t\u00e9 x\nkern.* /var/log/y\n')), [
		'f:1:20: error: Unexpected "x" after the action, expected ";" and options, or nothing',
	])
	t.deepEqual(paths(parse('*.* /var/log/\u00e9t\u00e9')), ['/var/log/\u00e9t\u00e9'])
	const invalid = Buffer.from('*.* /var/log/\xe9\nkern.* /var/log/y\n', 'latin1')
	t.deepEqual(problems(parse(invalid)), [
		'f:1:5: error: File "/var/log/\ufffd" has control characters or is not UTF-8, expected a printable name',
	])
})

/** Each bound, one beyond it, and what is said. */
const rule = '*.* /var/log/a\n'
const repeat = (count: number, text: (index: number) => string) =>
	Array.from({ length: count }, (_, i) => text(i)).join('')
const BOUNDS: [string, string, string][] = [
	['files', repeat(33, i => `*.* /var/log/${i}\n`), 'f:33:5: error: Too many files, expected at most 32'],
	['rules', repeat(513, () => rule), 'f:513:1: error: Too many rules, expected at most 512'],
	['lines', `${rule}${repeat(8192, () => '!a\n')}`, 'f:8193:1: error: Too many lines, expected at most 8192'],
	['line', `${rule}kern.* ${'x'.repeat(2048)}`, 'f:2:1: error: Line is 2055 bytes long, expected at most 2048'],
	['filters', `${rule}${repeat(33, i => `!p${i}\n`)}`, 'f:34:1: error: Too many filters, expected at most 32'],
	[
		'value',
		`${rule}:msg, isequal, "${'v'.repeat(129)}"`,
		'f:2:17: error: Value is 129 bytes long, expected at most 128',
	],
	[
		'pattern',
		`${rule}:msg, ereregex, "(a{200}){200}"`,
		'f:2:18: error: Pattern "(a{200}){200}" has more than the 1024 states allowed',
	],
	[
		'path',
		`${rule}*.* /var/log/${'n'.repeat(256)}`,
		`f:2:5: error: File "/var/log/${'n'.repeat(52)}..." is too long, expected at most 255 bytes a name and 1024 in all`,
	],
]
for (const [bound, text, expected] of BOUNDS) {
	test(`the bound of ${bound} is told where it is passed, and what came before stays`, t => {
		const configuration = parse(text)
		t.deepEqual(problems(configuration), [expected])
		t.true(configuration.usable)
		t.true(configuration.rules.length > 0)
	})
}

test('problems beyond a bound are counted, and a text of noise is not read to its end', t => {
	const some = parse(`${rule}${repeat(150, () => 'x\n')}`)
	t.is(some.diagnostics.length, 101)
	t.is(problems(some).at(-1), 'f:101:1: error: Too many problems: 50 more are not shown')
	t.true(some.usable)
	const noise = parse(`${rule}${repeat(5000, () => 'x\n')}`)
	t.is(problems(noise).at(-1), 'f:101:1: error: Too many problems: 901 more are not shown, and the rest is not read')
	t.false(noise.usable)
})

test('included files are bounded in number and in bytes, and a bad one costs only itself', t => {
	const include = () => [
		{ file: 'one', text: 'kern.* /var/log/one\n' },
		{ file: 'two', text: 'kern.*\0' },
		{ file: 'three', text: 'x'.repeat(DEFAULT_LIMITS.textBytes) },
		{ file: 'four', text: 'kern.* /var/log/four\n' },
	]
	const configuration = parseConfiguration('include /a\n', { file: 'f', include, limits: { includes: 3 } })
	t.deepEqual(paths(configuration), ['/var/log/one'])
	t.deepEqual(problems(configuration), [
		'two:1:7: error: Text has a NUL byte, expected none',
		'three:1:1: error: Text is 131072 bytes long, expected at most 131034',
		'f:1:9: error: Too many included files, expected at most 3',
	])
	t.true(configuration.usable)
})

/** Whatever a configuration holds, the rest of the room can use it. */
function exercise(bytes: Uint8Array): boolean {
	const include = () => [{ file: 'included', text: bytes }]
	const configuration = parseConfiguration(bytes, { file: 'f', include })
	const routes = compileRoutes(configuration, () => 0)
	const subject = { program: 'p', hostname: 'h', msg: 'some message', msgid: '', sd: '' }
	routes.mask(1, 6, subject)
	routes.mask(255, 7, null)
	const shown = renderRules(configuration.rules) + checkReport(configuration)
	return (
		shown.length > 0 &&
		configuration.diagnostics.every(({ line, column, message }) => line > 0 && column > 0 && message !== '') &&
		configuration.rules.every(({ action }) => action.kind !== 'file' || /^\/var\/log\/./.test(action.path))
	)
}

test('any bytes are parsed without an exception, and every file stays below /var/log', t => {
	fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), exercise), { numRuns: 300 })
	const words =
		'* kern mail . , ; ! = none info 7 # & stop ~ /var/log/ /../ .. x - /dev/console @ | : " \\ ( ) [ ] [: { } + ? ^ $ ' +
		':msg,ereregex," :omusrmsg: include rotate= rotate_size module( if \u00e9 \0'
	const blanks = [' ', '\t', '\n', '\\\n', '\r\n', ':msg, regex, "', 'include ']
	const token = fc.constantFrom(...words.split(' '), ...blanks)
	const text = fc.array(token, { maxLength: 60 }).map(tokens => Buffer.from(tokens.join('')))
	fc.assert(fc.property(text, exercise), { numRuns: 2000 })
	t.pass()
})

test('a configuration is told to people with what each rule selects', t => {
	const text =
		'!-a,b\n*.*;auth,mail.none;kern.=debug /var/log/x ;rotate=1M:2\nmail.err;mail.!=crit root\n*.warn ~\n!*\nmark.none\n'
	const configuration = parse(text)
	t.is(
		renderRules(configuration.rules),
		'f:2: file /var/log/x (RFC3164, synced, rotate 1048576 bytes, 2 files)\n' +
			'\tonly program not a, b\n' +
			'\t*: all\n' +
			'\tmail,auth: none\n' +
			'f:3: users root (no terminals to write to)\n' +
			'\tonly program not a, b\n' +
			'\tmail: emerg, alert, err\n' +
			'f:4: discard\n' +
			'\tonly program not a, b\n' +
			'\t*: warning and above\n',
	)
	const problem = 'Expected an action after the selector: a file below /var/log, /dev/console, users, * or stop'
	t.is(checkReport(configuration), `f:6:10: error: ${problem}\n3 rules, 1 file, 1 error, 0 warnings\n`)
	t.is(
		checkReport(parse('\0')),
		'f:1:1: error: Text has a NUL byte, expected none\n' +
			'0 rules, 0 files, 1 error, 0 warnings; nothing of it can be put in force\n',
	)
})
