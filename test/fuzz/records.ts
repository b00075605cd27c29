/**
 * What containers log, and what is done to their log meanwhile: datagrams, kmsg writes, raw lines, configurations, resizes, rotations,
 * in any order. Afterwards the ring is one that a new engine would take as it is.
 */
import fc from 'fast-check'
import { DESC, FIELD, FLAG } from '../../src/ring/layout.ts'
import { NOBODY } from '../../src/pog/pog.ts'
import { salvage } from '../../src/ring/salvage.ts'
import { contentOf, newPog, type TestPog } from '../helpers/pogs.ts'
import { copyOf } from '../helpers/rings.ts'
import { expect, type Target } from './target.ts'

const PIECES = [
	'<13>',
	'<191>',
	'<192>',
	'<0>',
	'<',
	'>',
	'<14>1 ',
	'<14>1 2026-11-27T07:00:00.123456Z ',
	'Nov 27 07:00:00 ',
	'host ',
	'app',
	'app[1]: ',
	'a b: ',
	'[x@1 y="z"]',
	'- - - - ',
	'ID47 ',
	'\ufeff',
	'\0',
	'\n',
	'\t',
	'\r\n',
	'\x1b[31m',
	'\xff',
	'\xc3\xa9',
	'%s%n',
	'"',
	'\\',
	']',
	' ',
	'x'.repeat(300),
	'y'.repeat(8000),
	'1 2 3',
	': ',
	'2026-11-27T07:00:00+01:00 ',
	'\nSUBSYSTEM=pci\nDEVICE=+pci:0000:00:00.0\n',
]
const CONFS = [
	'*.* /var/log/all\n',
	'kern.* /var/log/k\n*.err;mail.none -/var/log/e;RFC5424\n',
	':msg,contains,"x" stop\n*.* /var/log/all ;rotate=1k:2\n',
	'nothing\n',
	'',
]

export type Act =
	| { readonly say: 'devlog' | 'kmsg' | 'raw'; readonly pieces: readonly number[]; readonly bytes: Uint8Array }
	| { readonly conf: number; readonly text: string }
	| { readonly resize: number }
	| { readonly view: number; readonly to: 'clear' | 'remove' | 'rename' }
	| { readonly pass: number }

const said = fc.record({
	say: fc.constantFrom('devlog' as const, 'kmsg' as const, 'raw' as const),
	pieces: fc.array(fc.nat(PIECES.length - 1), { maxLength: 8 }),
	bytes: fc.oneof(
		{ weight: 3, arbitrary: fc.constant(new Uint8Array(0)) },
		{ weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
	),
})
const act: fc.Arbitrary<Act> = fc.oneof(
	{ weight: 12, arbitrary: said },
	{ weight: 1, arbitrary: fc.record({ conf: fc.nat(CONFS.length - 1), text: fc.string({ maxLength: 30 }) }) },
	{ weight: 1, arbitrary: fc.record({ resize: fc.constantFrom(65_536, 131_072, 262_144) }) },
	{
		weight: 2,
		arbitrary: fc.record({
			view: fc.nat(10),
			to: fc.constantFrom('clear' as const, 'remove' as const, 'rename' as const),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ pass: fc.nat(10_000_000) }) },
)

function perform(test: TestPog, act: Act, n: number): void {
	const { pog } = test
	const views = [...pog.views.all]
	if ('say' in act) {
		const bytes = Buffer.concat([Buffer.from(act.pieces.map(piece => PIECES[piece]).join(''), 'latin1'), act.bytes])
		if (act.say === 'devlog') pog.logDatagram(bytes, 0, bytes.length, NOBODY)
		else if (act.say === 'kmsg') pog.logKmsg(bytes, 0, bytes.length, NOBODY)
		else {
			const view = views[n % views.length]
			if (view !== undefined) pog.appendRaw(view, bytes, 0, bytes.length, NOBODY)
		}
	} else if ('conf' in act) pog.configured.set(`${CONFS[act.conf] ?? ''}${act.text}`)
	else if ('resize' in act) test.resize(act.resize)
	else if ('pass' in act) {
		test.clock.nowUs += act.pass
		pog.tick()
	} else {
		const view = views[act.view % views.length]
		if (view === undefined) return
		if (act.to === 'clear') pog.views.clear(view)
		else if (act.to === 'remove' && view.path.startsWith('var/log/')) pog.views.remove(view)
		else if (view.path.startsWith('var/log/')) pog.views.rename(view, `var/log/frozen-${n}`)
	}
}

/** One line: its newline is the only control character but tabs. */
function isClean(line: string): boolean {
	const odd = Array.from(line).findIndex(letter => letter !== '\t' && (letter < ' ' || letter === '\x7f'))
	return odd === line.length - 1 && line.endsWith('\n')
}

function checkRing({ pog }: TestPog): void {
	const { ring } = pog
	const copy = copyOf(ring)
	const before = Buffer.from(copy.memory.head.bytes)
	expect(salvage(copy.memory) === 0, () => 'a ring of ours is damaged')
	expect(before.equals(Buffer.from(copy.memory.head.bytes)), () => 'a ring of ours is changed when it is opened again')
	let accepted = 0
	for (let field: number = FIELD.accepted; field < FIELD.drops; field++) accepted += ring.floats[field] ?? 0
	expect(accepted === ring.headSeq, () => `${accepted} accepted, ${ring.headSeq} stored`)
	for (let seq = ring.tailSeq; seq < ring.headSeq; seq++) {
		const at = ring.slot(seq)
		if ((((ring.words[at + DESC.kind] ?? 0) >>> 24) & FLAG.raw) !== 0) continue
		const start = ring.offset(ring.position(seq))
		const line = Buffer.from(ring.text.subarray(start, start + (ring.words[at + DESC.lineBytes] ?? 0))).toString(
			'latin1',
		)
		expect(isClean(line), () => `a line with control characters: ${JSON.stringify(line.slice(0, 200))}`)
	}
}

export const records: Target<readonly Act[]> = {
	name: 'records',
	what: 'what is logged and what is done to a log: nothing throws, lines are clean, the ring stays whole',
	runs: 120,
	values: fc.array(act, { minLength: 1, maxLength: 120 }),
	check(acts) {
		const test = newPog({ ringBytes: 65_536, conf: CONFS[0] ?? '', limits: { views: 12, confFiles: 8 } })
		try {
			for (const [n, each] of acts.entries()) perform(test, each, n)
			for (const view of test.pog.views.all) contentOf(test, view)
			checkRing(test)
		} finally {
			test.close()
		}
	},
}
