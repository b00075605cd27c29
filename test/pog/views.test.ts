/** The table of views: moves, removals, rotation, bits and ids, formats. Expected lines are written by hand. */
import test from 'ava'
import fc from 'fast-check'
import { describePog } from '../../src/pog/describe.ts'
import { NOBODY } from '../../src/pog/pog.ts'
import { rotate } from '../../src/pog/rotation.ts'
import { MAX_VIEW_ID } from '../../src/pog/views.ts'
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
