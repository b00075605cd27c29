/** One private log: what becomes of records, views and configurations. Expected lines are written by hand. */
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { describePog } from '../../src/pog/describe.ts'
import { KmsgLog } from '../../src/pog/kmsg-log.ts'
import { NOBODY } from '../../src/pog/pog.ts'
import { rotate } from '../../src/pog/rotation.ts'
import { MAX_VIEW_ID } from '../../src/pog/views.ts'
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
						// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
						t.notRegex(text, /[\0-\x08\x0b-\x1f\x7f]/)
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

test('a view that is moved keeps its records, and its old name begins afresh with the next record', t => {
	withPog({}, pog => {
		pog.send('<13>x: one')
		const old = pog.view('var/log/all')
		t.true(pog.pog.views.rename(old, 'var/log/all.1'))
		t.true(pog.view('var/log/all').hidden)
		pog.send('<13>x: two')
		t.false(pog.view('var/log/all').hidden)
		t.deepEqual(bodies(pog, 'var/log/all.1'), ['x: one'])
		t.deepEqual(bodies(pog, 'var/log/all'), ['x: two'])
		t.is(pog.view('var/log/all.1'), old)
		// A rotated file has no rule: it can be moved and removed for good.
		t.true(pog.pog.views.rename(old, 'var/log/all.2'))
		pog.pog.views.remove(old)
		t.is(pog.pog.views.byPath('var/log/all.2'), undefined)
		// Onto a file that a rule writes to: no.
		pog.pog.configured.set('*.* /var/log/all\nmail.* /var/log/mail\n')
		t.false(pog.pog.views.rename(pog.view('var/log/all'), 'var/log/mail'))
	})
})

test('a frozen view that was overwritten is empty, not less', t => {
	withPog({}, pog => {
		pog.send('<13>x: one')
		const old = pog.view('var/log/all')
		pog.pog.views.rename(old, 'var/log/all.1')
		for (let n = 0; n < 3000; n++) pog.send(`<13>x: ${n}`)
		t.like(pog.pog.views.extent(old), { records: 0 })
		t.is(contentOf(pog, old), '')
		const { base, head } = pog.pog.views.extent(old)
		t.is(head - base, 0)
	})
})

test('rm gives the next record a new, empty file; who had it open keeps what it had', t => {
	withPog({}, pog => {
		pog.send('<13>x: one')
		const old = pog.view('var/log/all')
		pog.pog.views.pin(old)
		pog.pog.views.remove(old)
		const next = pog.view('var/log/all')
		t.true(next.hidden)
		t.not(next.id, old.id)
		pog.send('<13>x: two')
		t.deepEqual(bodies(pog, 'var/log/all'), ['x: two'])
		t.is(contentOf(pog, old), `${HEAD}x: one\n`)
		t.is(pog.pog.views.byId(old.id), old)
		pog.pog.views.unpin(old)
		t.is(pog.pog.views.byId(old.id), undefined)
	})
})

test('raw bytes are part of one view alone, as they are', t => {
	withPog({ conf: '*.* /var/log/a\n*.* /var/log/b\n' }, pog => {
		pog.send('<13>x: one')
		pog.pog.appendRaw(pog.view('var/log/a'), Buffer.from('--\x01 no newline'), 1, 14, NOBODY)
		t.is(contentOf(pog, pog.view('var/log/a')), `${HEAD}x: one\n-\x01 no newline`)
		t.deepEqual(bodies(pog, 'var/log/b'), ['x: one'])
		t.deepEqual(bodies(pog, 'run/pog/log'), ['x: one'])
		const large = Buffer.alloc(40_000, 'ab')
		pog.pog.appendRaw(pog.view('var/log/a'), large, 0, large.length, NOBODY)
		t.true(contentOf(pog, pog.view('var/log/a')).endsWith(large.toString()))
		t.is(describePog(pog.pog).accepted.file, 4)
	})
})

/** Names and contents of a rotated file, oldest first. */
function files(pog: TestPog, path: string): string[] {
	return [3, 2, 1, 0]
		.flatMap(n => pog.pog.views.byPath(`${path}.${n}`) ?? [])
		.concat(pog.view(path))
		.map(view => contentOf(pog, view))
}

/** The files that a syslogd which rotates after each line would leave. */
function rotated(lines: readonly string[], sizeBytes: number, count: number): string[] {
	const done: string[] = []
	let current = ''
	for (const line of lines) {
		current += line
		if (current.length < sizeBytes) continue
		done.push(current)
		current = ''
	}
	return [...(count === 0 ? [] : done.slice(-count)), current]
}

test('rotation cuts behind the record that filled the file, however late anybody looks', t => {
	fc.assert(
		fc.property(
			fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 150 }), look: fc.boolean() }), { maxLength: 60 }),
			fc.constantFrom(60, 200, 1000),
			fc.constantFrom(0, 1, 3),
			(records, sizeBytes, count) => {
				withPog({ conf: `*.* /var/log/m;rotate=${sizeBytes}:${count}\n` }, pog => {
					const lines: string[] = []
					for (const [n, { bytes, look }] of records.entries()) {
						const text = `${n}${'.'.repeat(bytes)}`
						pog.send(`<13>x: ${text}`)
						lines.push(`${HEAD}x: ${text}\n`)
						if (look) pog.pog.tick()
					}
					pog.pog.tick()
					t.deepEqual(files(pog, 'var/log/m'), rotated(lines, sizeBytes, count))
				})
			},
		),
		{ numRuns: 80 },
	)
})

test('rotation at a size that the lines fill exactly', t => {
	withPog({ conf: '*.* /var/log/m;rotate=60:3\n' }, pog => {
		const lines = [0, 1, 2, 3, 4].map(n => `${HEAD}x: ${n}.....\n`)
		t.is(lines[0]?.length, 30)
		for (let n = 0; n < 5; n++) pog.send(`<13>x: ${n}.....`)
		pog.pog.tick()
		t.deepEqual(files(pog, 'var/log/m'), [lines.slice(0, 2).join(''), lines.slice(2, 4).join(''), lines[4]])
	})
})

test('rotation never takes more than the views there may be, and spares files that rules write to', t => {
	withPog({ conf: '*.* /var/log/m;rotate=1:999\n', limits: { views: 12 } }, pog => {
		for (let n = 0; n < 500; n++) {
			pog.send(`<13>x: ${n}`)
			if (n % 7 === 0) pog.pog.tick()
		}
		pog.pog.tick()
		const all = [...pog.pog.views.all]
		t.true(all.length <= 12)
		t.is(contentOf(pog, pog.view('var/log/m.0')), `${HEAD}x: 499\n`)
		t.is(contentOf(pog, pog.view('var/log/m.1')), `${HEAD}x: 498\n`)
		t.is(pog.view('var/log/m').live, true)
	})
	withPog({ conf: '*.* /var/log/m;rotate=10:2\nmail.* /var/log/m.1\n' }, pog => {
		pog.send('<22>x: one')
		rotate(pog.pog.views, pog.view('var/log/m'))
		t.deepEqual(bodies(pog, 'var/log/m'), ['x: one'])
		t.deepEqual(bodies(pog, 'var/log/m.1'), ['x: one'])
	})
})

test('ids of views are reused, never those in the tree or open, however often files are rotated', t => {
	withPog({}, pog => {
		const { views } = pog.pog
		const open = pog.view('var/log/all')
		views.pin(open)
		for (let n = 0; n < 3 * MAX_VIEW_ID; n++) {
			pog.send('<13>x: y')
			t.true(views.rename(pog.view('var/log/all'), 'var/log/all.1'))
			const ids = [open, ...views.all].map(view => view.id)
			t.is(new Set(ids).size, n === 0 ? 3 : 4)
			t.true(Math.max(...ids) <= MAX_VIEW_ID)
		}
		t.is(views.byId(open.id), open)
	})
})

test('the table of views is bounded, and a move that finds no room changes nothing', t => {
	withPog({ limits: { views: 4 } }, pog => {
		const { views } = pog.pog
		t.true(views.rename(pog.view('var/log/all'), 'var/log/1'))
		t.true(views.rename(pog.view('var/log/all'), 'var/log/2'))
		t.false(views.rename(pog.view('var/log/all'), 'var/log/3'))
		pog.send('<13>x: y')
		t.deepEqual(bodies(pog, 'var/log/all'), ['x: y'])
	})
})

test('32 files at most: those a new configuration still names keep their records, the most silent other gives up its bit', t => {
	const rule = (n: number): string => `*.* /var/log/f${n}\n`
	const first = Array.from({ length: 32 }, (_, n) => rule(n)).join('')
	withPog({ conf: first, ringBytes: 1 << 20 }, pog => {
		pog.send('<13>x: kept')
		const gone = pog.view('var/log/f31')
		pog.pog.views.pin(gone)
		// A new file in front, the last one gone: its bit is the only one to be had.
		pog.pog.configured.set(rule(100) + first.replace(rule(31), ''))
		t.is(pog.pog.views.byPath('var/log/f31'), undefined)
		pog.send('<13>x: new')
		t.deepEqual(bodies(pog, 'var/log/f100').slice(-1), ['x: new'])
		t.is(pog.view('var/log/f100').bit, gone.bit)
		for (const n of [0, 15, 30]) t.is(bodies(pog, `var/log/f${n}`)[0], 'x: kept', `f${n}`)
		// Who had it open still reads what it held, and nothing of the file that has its bit now.
		t.is(contentOf(pog, gone), `${HEAD}x: kept\n`)
		pog.resize(65_536)
		t.is(contentOf(pog, gone), `${HEAD}x: kept\n`)
		pog.pog.views.unpin(gone)
		t.is(pog.pog.views.byId(gone.id) === gone, false)
		// Another set of 32 files, again and again.
		for (let round = 2; round < 8; round++) {
			pog.pog.configured.set(Array.from({ length: 32 }, (_, n) => rule(n + 1000 * round)).join(''))
			pog.send(`<13>x: round ${round}`)
			t.deepEqual(bodies(pog, `var/log/f${1000 * round + 31}`).slice(-1), [`x: round ${round}`])
			t.true(pog.pog.views.byPath('var/log/f0') === undefined)
		}
		t.deepEqual(
			told(pog).filter(line => line.includes('no room')),
			[],
		)
	})
})

test('a file for which there is no bit is told, and the others are written', t => {
	const conf = `${Array.from({ length: 32 }, (_, n) => `*.* /var/log/f${n}\n`).join('')}*.* /dev/console\n*.* root\n`
	withPog({ conf }, pog => {
		t.deepEqual(told(pog).filter(line => line.includes('no room')).length, 2)
		pog.send('<13>x: y')
		t.deepEqual(bodies(pog, 'var/log/f31').slice(-1), ['x: y'])
	})
})

test('a change of format shows the records that are there in the new format', t => {
	withPog({ conf: '*.* /var/log/a\n' }, pog => {
		pog.send('<13>x[5]: one')
		const id = pog.view('var/log/a').id
		pog.pog.configured.set('*.* /var/log/a;RFC5424\n')
		pog.send('<34>1 2026-11-22T09:00:00Z h su 7 ID47 [x@1 a="b"] two')
		const lines = contentOf(pog, pog.view('var/log/a')).split('\n')
		t.is(lines[0], '2026-11-22T10:00:00.000000+00:00 box x 5 - - one')
		t.regex(lines.at(-2) ?? '', /box su 7 ID47 \[x@1 a="b"\] two$/)
		t.not(pog.view('var/log/a').id, id)
		pog.pog.configured.set('*.* /var/log/a;RFC3164\n')
		t.is(bodies(pog, 'var/log/a')[0], 'x[5]: one')
		t.is(pog.pog.views.byId(id), undefined)
	})
})

test('a rotated file gives its name up when a rule names it', t => {
	withPog({}, pog => {
		pog.send('<13>x: old')
		pog.pog.views.rename(pog.view('var/log/all'), 'var/log/all.1')
		pog.pog.configured.set('*.* /var/log/all\n*.* /var/log/all.1\n')
		pog.send('<13>x: new')
		t.deepEqual(bodies(pog, 'var/log/all.1').slice(-1), ['x: new'])
		t.is([...pog.pog.views.all].filter(view => view.path === 'var/log/all.1').length, 1)
	})
})

test('file names of a configuration are bytes in the tree and text for people', t => {
	withPog({ conf: Buffer.from('*.* /var/log/böse\n').toString('latin1') }, pog => {
		pog.send('<13>x: y')
		t.deepEqual(bodies(pog, `var/log/b\xc3\xb6se`), ['x: y'])
		t.true(describePog(pog.pog).views.some(view => view.path === 'var/log/böse'))
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
