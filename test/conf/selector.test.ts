/**
 * Selectors to masks: against what sysklogd was measured to do, and against an oracle that follows syslog.conf(5)
 * sentence by sentence, cell by cell.
 */
import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { isFault } from '../../src/conf/fault.ts'
import { parseSelector } from '../../src/conf/selector.ts'

const FIXTURES = new URL('../../fixtures/selectors/', import.meta.url)
const linesOf = (name: string) => readFileSync(new URL(name, FIXTURES), 'utf8').trimEnd().split('\n')

/** Names and codes as <syslog.h> has them, written down again here on purpose. */
const FACILITIES = codes(
	'kern 0, user 1, mail 2, daemon 3, auth 4, syslog 5, lpr 6, news 7, uucp 8, cron 9, authpriv 10, ftp 11, ntp 12, ' +
		'security 13, audit 13, console 14, cron_sol 15, cron2 15, local0 16, local1 17, local2 18, local3 19, local4 20, ' +
		'local5 21, local6 22, local7 23, mark 24, 0 0, 8 1, 32 4, 184 23',
)
const SEVERITIES = codes(
	'emerg 0, panic 0, alert 1, crit 2, err 3, error 3, warning 4, warn 4, notice 5, info 6, debug 7, 0 0, 3 3, 7 7',
)
function codes(list: string): Record<string, number> {
	const pairs = list.split(', ').map((pair): [string, number] => {
		const [name = '', code] = pair.split(' ')
		return [name, Number(code)]
	})
	return Object.fromEntries<number>(pairs)
}
/** No name means facility 25: only an asterisk speaks of it. */
const UNNAMED = 25

/** Whether the man page says that facility and severity are logged. */
function isLogged(selector: string, facility: number, severity: number): boolean {
	let logged = false
	// "Multiple selectors may be specified using the semicolon; processed from left to right".
	for (const [, facilities = '', priority = ''] of selector.toLowerCase().matchAll(/([^.;]+)\.([^,;]*)[,;]*/g)) {
		// "Multiple facilities may be specified for a single priority pattern using the comma"; "* matches all facilities".
		if (!facilities.split(',').some(name => name === '*' || FACILITIES[name] === facility)) continue
		const negated = priority.startsWith('!')
		const single = priority.replace('!', '').startsWith('=')
		const name = priority.replace(/^!?=?/, '')
		// "The keyword none stands for no priority of the given facility"; not none is every priority.
		if (name === 'none') logged = negated
		else if (name === '*') {
			// "* matches all priorities"; with "=" no single priority is meant, and nothing changes (measured).
			if (!single) logged = !negated
		} else {
			// "=: only this single priority"; by default "this priority and all higher priorities".
			const level = SEVERITIES[name] as number
			const meant = single ? severity === level : severity <= level
			// "!: ignore this priority and all higher priorities".
			if (meant) logged = !negated
		}
	}
	return logged
}

function bitOf(selector: string, facility: number, severity: number): boolean | string {
	const selected = parseSelector(selector)
	if (isFault(selected)) return selected.fault
	const mask = facility === UNNAMED ? selected.unnamedMask : (selected.masks[facility] ?? -1)
	return ((mask >> severity) & 1) === 1
}

const CORPUS = linesOf('selectors.txt')

for (const [index, row] of linesOf('expected.tsv').entries()) {
	test(`selector line ${index + 1}, ${row.split('\t')[0]}, selects what sysklogd was measured to log`, t => {
		const [selector = '', expected] = row.split('\t')
		t.is(selector, CORPUS[index] ?? '')
		const selected = parseSelector(selector)
		if (isFault(selected)) return t.fail(selected.fault)
		const masks = [...selected.masks.subarray(0, 24)]
		t.is(
			masks.map(mask => (mask === 0 ? '--' : mask.toString(16).toUpperCase().padStart(2, '0'))).join(' '),
			expected ?? '',
		)
		return t.is(selected.end, selector.length)
	})
}

test('every selector of the corpus agrees with the man page on every facility and severity', t => {
	for (const selector of CORPUS) {
		for (let facility = 0; facility <= UNNAMED; facility++) {
			for (let severity = 0; severity < 8; severity++) {
				const expected = isLogged(selector, facility, severity)
				t.is(bitOf(selector, facility, severity), expected, `${selector} at ${facility}.${severity}`)
			}
		}
	}
})

test('any selector of the grammar agrees with the man page on every facility and severity', t => {
	const anyCase = (name: string) =>
		fc.constantFrom(name, name.toUpperCase(), name.slice(0, 1).toUpperCase() + name.slice(1))
	const facility = fc.constantFrom('*', ...Object.keys(FACILITIES)).chain(anyCase)
	const priority = fc.tuple(
		fc.constantFrom('', '', '!', '=', '!='),
		fc.constantFrom('*', 'none', ...Object.keys(SEVERITIES)).chain(anyCase),
	)
	const part = fc
		.tuple(fc.array(facility, { minLength: 1, maxLength: 3 }), priority)
		.map(([names, [signs, name]]) => `${names.join(',')}.${signs}${name}`)
	const selector = fc
		.tuple(fc.array(part, { minLength: 1, maxLength: 5 }), fc.constantFrom(';', ',', ';;'))
		.map(([parts, by]) => parts.join(by))
	fc.assert(
		fc.property(selector, text => {
			for (let f = 0; f <= UNNAMED; f++)
				for (let s = 0; s < 8; s++) if (bitOf(text, f, s) !== isLogged(text, f, s)) return false
			return true
		}),
	)
	t.pass()
})

test('a selector ends at a blank, and a blank after a comma does not end its facilities', t => {
	const selected = parseSelector('mail, news.info\t/var/log/x')
	t.false(isFault(selected))
	t.is('end' in selected ? selected.end : -1, 'mail, news.info'.length)
	t.true(bitOf('mail, news.info', 7, 6))
})

const ONE_OF = 'expected one of emerg, alert, crit, err, warning, notice, info, debug, * or none'
const NAMED =
	'kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp, ntp, security, console, cron_sol, ' +
	'local0, local1, local2, local3, local4, local5, local6, local7, mark or *'
const FAULTS: [string, number, string][] = [
	['auth.wrn', 5, `Unknown severity "wrn", ${ONE_OF}`],
	['auth.!=wrn', 7, `Unknown severity "wrn", ${ONE_OF}`],
	['auth.=!info', 6, `Unknown severity "!info", ${ONE_OF}`],
	['auth.8', 5, `Unknown severity "8", ${ONE_OF}`],
	['auth.', 5, 'Expected a severity: one of emerg, alert, crit, err, warning, notice, info, debug, * or none'],
	['mail.info;auht.err', 10, `Unknown facility "auht", expected one of ${NAMED}`],
	['mail,auht.err', 5, `Unknown facility "auht", expected one of ${NAMED}`],
	['*x.err', 0, `Unknown facility "*x", expected one of ${NAMED}`],
	['4.err', 0, 'Unknown facility "4", expected a multiple of 8 from 0 (kern) to 184 (local7)'],
	['192.err', 0, 'Unknown facility "192", expected a multiple of 8 from 0 (kern) to 184 (local7)'],
	['mail /var/log/x', 4, 'Expected "." and a severity after facility "mail"'],
	['mail;news.info', 4, 'Expected "." and a severity after facility "mail"'],
	['.info', 0, 'Expected a facility, found "."'],
	['mail,', 5, 'Expected a facility, found the end of the line'],
	['', 0, 'Expected a selector such as "mail.info"'],
	['\x01.info', 0, `Unknown facility "\\x01", expected one of ${NAMED}`],
	['constructor.info', 0, `Unknown facility "constructor", expected one of ${NAMED}`],
	['mail.toString', 5, `Unknown severity "toString", ${ONE_OF}`],
]
for (const [text, offset, message] of FAULTS) {
	test(`selector ${JSON.stringify(text)} is refused with a place and what was expected`, t => {
		t.deepEqual(parseSelector(text), { offset, fault: message })
	})
}
