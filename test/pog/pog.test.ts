/** One private log: what becomes of records, views and configurations. Expected lines are written by hand. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { describePog } from '../../src/pog/describe.ts'
import { Answers } from '../../src/pog/saved.ts'
import { KmsgLog } from '../../src/pog/kmsg-log.ts'
import { NOBODY } from '../../src/pog/pog.ts'
import { StoredRecord } from '../../src/pog/stored.ts'
import { FIELD } from '../../src/ring/layout.ts'
import { contentOf, type TestPog, withPog } from '../helpers/pogs.ts'

process.env['TZ'] = 'UTC'
const HEAD = 'Nov 22 10:00:00 box '

/** Bodies of the lines in a view, without head and newline. */
function bodies(pog: TestPog, path: string): string[] {
	return contentOf(pog, pog.view(path))
		.split('\n')
		.slice(0, -1)
		.map(line => line.replace(HEAD, ''))
}

function told(pog: TestPog): string[] {
	return bodies(pog, 'run/pog/log').filter(line => line.startsWith('pogs: '))
}

test('a record is in the files its rules name, and in the view of all', t => {
	withPog({ conf: 'mail.* /var/log/mail.log\n*.err;user.none /var/log/errors\n' }, pog => {
		pog.send('<22>postfix[7]: queued')
		pog.send('<19>postfix: broken')
		pog.send('<11>app: not for errors')
		t.deepEqual(bodies(pog, 'var/log/mail.log'), ['postfix[7]: queued', 'postfix: broken'])
		t.deepEqual(bodies(pog, 'var/log/errors'), ['postfix: broken'])
		t.deepEqual(bodies(pog, 'run/pog/log'), ['postfix[7]: queued', 'postfix: broken', 'app: not for errors'])
		t.like(describePog(pog.pog), { accepted: { devlog: 3 }, drops: { unrouted: 1, overwritten: 0, truncated: 0 } })
	})
})

test('anything that arrives is one record or a counted drop, and nothing throws', t => {
	const input = fc.oneof(
		fc.uint8Array({ maxLength: 3000 }),
		fc
			.string({
				unit: fc.constantFrom('<', '1', '3', '>', ' ', ':', '[', ']', '\0', '\n', 'a', '"', '\\', '='),
				maxLength: 200,
			})
			.map(s => Buffer.from(s)),
		fc.uint8Array({ minLength: 1, maxLength: 8 }).map(bytes => Buffer.alloc(70_000, bytes)),
		fc
			.uint8Array({ maxLength: 300 })
			.map(bytes => Buffer.concat([Buffer.from('<34>1 2026-11-22T10:00:00Z h a 1 ID [x@1 a="'), bytes])),
	)
	for (const conf of [
		'*.* /var/log/a;RFC5424\n',
		'!a\n*.* /var/log/b\n!*\n:msg, ereregex, "(a|b)+$"\n*.* /var/log/c\n',
	]) {
		withPog({ conf, limits: { datagramBytes: 65_536 } }, pog => {
			const before = pog.pog.ring.headSeq
			let sent = 0
			let oversized = 0
			fc.assert(
				fc.property(input, fc.boolean(), (bytes, kmsg) => {
					const { ring } = pog.pog
					const head = ring.headSeq
					if (kmsg) pog.pog.logKmsg(bytes, 0, Math.min(bytes.length, 1024), NOBODY)
					else pog.pog.logDatagram(bytes, 0, bytes.length, NOBODY)
					sent++
					if (!kmsg && bytes.length > 65_536) oversized++
					t.is(ring.headSeq, head + 1)
					for (const view of pog.pog.views.all) {
						const { base, head: end } = pog.pog.views.extent(view)
						const text = contentOf(pog, view)
						t.is(text.length, end - base, view.path)
						t.true(text === '' || text.endsWith('\n'))
						t.false(
							[...Buffer.from(text, 'latin1')].some(byte => (byte < 32 && byte !== 9 && byte !== 10) || byte === 127),
						)
					}
				}),
				{ numRuns: 150 },
			)
			const { accepted, drops } = describePog(pog.pog)
			t.is(accepted.devlog + accepted.kmsg, sent)
			t.is(pog.pog.ring.headSeq - before, sent)
			t.is(drops.oversized, oversized)
		})
	}
})

test('any configuration text gives a state, diagnostics and a log that goes on', t => {
	withPog({}, pog => {
		const words = [
			'*.*',
			'mail.err',
			'/var/log/a',
			'/var/log/b/c',
			'\t',
			'\n',
			'!x',
			'+@',
			':msg, contains, "',
			';RFC5424',
			';rotate=1k:2',
			'include /var/log/*',
			'\\\n',
			'/dev/console',
			'*',
			'\xe4',
			'\0',
			'@h',
			'|/p',
			'root,x',
		]
		const conf = fc.oneof(
			fc.array(fc.constantFrom(...words), { maxLength: 40 }).map(w => w.join(' ')),
			fc.string({ unit: 'binary', maxLength: 300 }),
		)
		fc.assert(
			fc.property(conf, text => {
				const diagnostics = pog.pog.configured.set(Buffer.from(text).toString('latin1'))
				t.true(['own', 'kept'].includes(pog.pog.configured.state))
				for (const { line, column, message } of diagnostics) t.true(line >= 1 && column >= 1 && message !== '')
				const head = pog.pog.ring.headSeq
				pog.send('<13>x: y')
				t.is(pog.pog.ring.headSeq, head + 1)
				pog.pog.tick()
				const live = [...pog.pog.views.all].filter(view => view.live)
				t.is(new Set(live.map(view => view.bit)).size, live.length)
			}),
			{ numRuns: 300 },
		)
	})
})

test('a message that is too long for the ring is cut, counted and marked, and its own bytes survive', t => {
	withPog({}, pog => {
		pog.send(`<13>big: ${'\x01'.repeat(60_000)}`)
		const [body = ''] = bodies(pog, 'var/log/all')
		t.regex(body, /^big: (\^A){4000,}$/)
		t.is(describePog(pog.pog).drops.truncated, 1)
		t.is(pog.pog.ring.headSeq, 1)
	})
})

test('a host name of any length breaks no record', t => {
	for (const [hostname, shown] of [
		['h'.repeat(64), 'h'.repeat(64)],
		['h'.repeat(300), 'h'.repeat(64)],
		['\u00e4'.repeat(60), '?'.repeat(64)],
	] as const) {
		withPog({ hostname }, pog => {
			pog.kmsg('<13>tag[12]: text')
			t.is(contentOf(pog, pog.view('var/log/all')), `Nov 22 10:00:00 ${shown} tag[12]: text\n`)
			t.like(new StoredRecord().read(pog.pog.ring, 0, false), { bodyStart: 16 + 65 + 'tag[12]: '.length })
		})
	}
})

test('clear empties the files in force and the kernel log, and loses no record of others', t => {
	withPog({ conf: '*.* /var/log/a\nmail.* /var/log/b\n' }, pog => {
		pog.send('<22>x: one')
		pog.kmsg('<13>two')
		pog.pog.clear()
		const log = new KmsgLog(pog.pog)
		t.is(log.clearPoint, log.next)
		for (const path of ['var/log/a', 'var/log/b', 'run/pog/log']) t.is(contentOf(pog, pog.view(path)), '')
		pog.send('<22>x: three')
		t.deepEqual(bodies(pog, 'var/log/b'), ['x: three'])
		t.is(log.oldest, 0)
	})
})

function states(t: ExecutionContext, pog: TestPog, expected: { state: string; text: string; live: string[] }): void {
	const { state, text } = pog.pog.configured
	t.deepEqual({ state, text, live: [...pog.pog.views.all].filter(view => view.live).map(view => view.path) }, expected)
}

test('a configuration is the host default, its own, or the last good one; each change is told', t => {
	withPog({ defaultConf: '*.* /var/log/d\n', limits: { confBytes: 60 } }, pog => {
		const { configured } = pog.pog
		states(t, pog, { state: 'default', text: '*.* /var/log/d\n', live: ['var/log/d'] })
		configured.set('*.* /var/log/o\n')
		states(t, pog, { state: 'own', text: '*.* /var/log/o\n', live: ['var/log/o'] })
		const bad = `#${'x'.repeat(80)}`
		configured.set(bad)
		states(t, pog, { state: 'kept', text: bad, live: ['var/log/o'] })
		pog.pog.setPolicy({ devkmsg: 'on', defaultConf: '*.* /var/log/e\n' })
		states(t, pog, { state: 'kept', text: bad, live: ['var/log/o'] })
		configured.reset()
		states(t, pog, { state: 'default', text: '*.* /var/log/e\n', live: ['var/log/e'] })
		pog.pog.setPolicy({ devkmsg: 'on', defaultConf: '*.* /var/log/f\n' })
		states(t, pog, { state: 'default', text: '*.* /var/log/f\n', live: ['var/log/f'] })
		t.deepEqual(
			told(pog)
				.map(line => line.replace(/^pogs: \/etc\/syslog.conf: ?/, ''))
				.filter(line => /force|rule/.test(line)),
			[
				'1 rule in force',
				'not usable, the last good configuration stays in force',
				'1 rule in force',
				'1 rule in force',
			],
		)
	})
})

test('included files are read each time, and never shared with another container', t => {
	const conf = 'include /var/log/conf.d/*.conf\n'
	const paths = ['var/log/one', 'var/log/two'].map(path =>
		withPog({}, pog => {
			pog.pog.configured.readIncludes = pattern => {
				t.is(pattern, '/var/log/conf.d/*.conf')
				return [{ file: '/var/log/conf.d/a.conf', text: `*.* /${path}\nnonsense\n` }]
			}
			const [diagnostic] = pog.pog.configured.set(conf)
			t.like(diagnostic, { file: '/var/log/conf.d/a.conf', line: 2 })
			return [...pog.pog.views.all].filter(view => view.live).map(view => view.path)
		}),
	)
	t.deepEqual(paths, [['var/log/one'], ['var/log/two']])
})

test('kmsg records are found by their numbers among any others, overwritten or not', t => {
	fc.assert(
		fc.property(
			fc.array(fc.record({ kmsg: fc.boolean(), times: fc.integer({ min: 1, max: 300 }) }), { maxLength: 25 }),
			runs => {
				withPog({}, pog => {
					const log = new KmsgLog(pog.pog)
					const at: number[] = []
					for (const { kmsg, times } of runs) {
						for (let n = 0; n < times; n++) {
							if (kmsg) at.push(pog.pog.ring.headSeq)
							if (kmsg) pog.kmsg('<13>k')
							else pog.send('<13>x: d')
						}
					}
					const { tailSeq, headSeq } = pog.pog.ring
					t.is(log.next, at.length)
					const oldest = at.findIndex(seq => seq >= tailSeq)
					t.is(log.oldest, oldest < 0 ? at.length : oldest)
					for (let number = 0; number <= at.length; number += 7)
						t.is(log.find(number), at.slice(Math.max(number, log.oldest))[0] ?? headSeq)
					for (let seq = 0; seq <= headSeq; seq += 13) {
						const next = at.find(other => other >= Math.max(seq, tailSeq)) ?? headSeq
						t.is(log.following(seq), next)
					}
					log.setShared(at.at(-1) ?? 0, 3)
					t.deepEqual(
						log.shared,
						at.length === 0
							? { seq: headSeq, partial: headSeq === 0 ? 3 : 0 }
							: at.at(-1)! >= tailSeq
								? { seq: at.at(-1), partial: 3 }
								: { seq: headSeq, partial: 0 },
					)
				})
			},
		),
		{ numRuns: 40 },
	)
})

test('a log moved to another ring goes on: views, kernel log, counters and clear point', t => {
	withPog({ ringBytes: 262_144, conf: '*.* /var/log/a\nkern.* /var/log/k;RFC5424\n' }, pog => {
		for (let n = 0; n < 1500; n++) {
			if (n % 3 === 0) pog.kmsg(`<13>k ${n}`)
			else pog.send(`<13>x: ${n}`)
			if (n === 1400) pog.pog.clear()
		}
		const log = new KmsgLog(pog.pog)
		const before = describePog(pog.pog)
		const { clearPoint, next } = log
		pog.resize(65_536)
		pog.resize(131_072)
		const after = describePog(pog.pog)
		t.deepEqual(after.accepted, before.accepted)
		t.deepEqual(after.views.slice(1), before.views.slice(1))
		t.is(after.ring.sizeBytes, 131_072)
		t.is(after.ring.nextSeq, 1500)
		t.true(after.drops.overwritten > 0)
		t.deepEqual([log.clearPoint, log.next], [clearPoint, next])
		t.is(pog.pog.ring.floats[FIELD.nextKmsgSeq], 500)
		pog.kmsg('<13>k last')
		t.deepEqual(bodies(pog, 'var/log/a').slice(-1), ['k last'])
	})
})

test('the note about lost records is the longest form that fits', t => {
	withPog({}, ({ pog }) => {
		const note = (records: number, room: number): string | undefined => {
			const bytes = pog.lossNote(records, room)
			return bytes === undefined ? undefined : Buffer.from(bytes).toString()
		}
		const whole = `${HEAD}pogs: 2 records lost: overwritten before they were read\n`
		t.is(note(2, whole.length), whole)
		t.is(note(2, whole.length - 1), '2 records lost\n')
		t.is(note(1, 14), '1 record lost\n')
		t.is(note(1, 13), undefined)
	})
})

test('answers that nobody reads are written down up to a bound, the newest ones', t => {
	const answers = new Answers()
	for (let handle = 0; handle < 1000; handle++) answers.set(handle, `ok ${handle}`)
	answers.set(940, 'ok again')
	answers.set(1000, 'ok 1000')
	const saved = answers.save()
	t.is(saved.length, 64)
	t.deepEqual(saved.slice(-2), [
		[940, 'ok again'],
		[1000, 'ok 1000'],
	])
	t.is(answers.get(936), '')
})
