/** A POG of its own on a real ring, with a clock that stands still until told. */
import { closeRing } from '../../src/engine/ring-file.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/pog/limits.ts'
import { NOBODY, Pog } from '../../src/pog/pog.ts'
import type { View } from '../../src/pog/view.ts'
import { moveRing } from '../../src/ring/resize.ts'
import { newRing } from './rings.ts'

/** 2026-11-22 10:00:00 UTC. */
export const START_US = Date.UTC(2026, 10, 22, 10) * 1e3
const BOOT_US = START_US - 5_000_000

export interface TestClock extends Clock {
	nowUs: number
}

export interface PogSettings {
	id?: number
	ringBytes?: number
	/** Of the ring's file. */
	path?: string
	hostname?: string
	conf?: string
	defaultConf?: string
	limits?: Partial<Limits>
}

export interface TestPog {
	readonly pog: Pog
	readonly clock: TestClock
	/** A datagram of these bytes (latin1). */
	send(text: string): void
	kmsg(text: string): void
	/** The view at a path below the mount. */
	view(path: string): View
	resize(bytes: number): void
	close(): void
}

export function newPog(settings: PogSettings = {}): TestPog {
	const clock: TestClock = {
		nowUs: 5_000_000,
		monotonicUs: () => clock.nowUs,
		realtimeUs: monotonicUs => BOOT_US + monotonicUs,
	}
	const pog = new Pog(newRing(settings.ringBytes ?? 65_536, settings.path), {
		id: settings.id ?? 1,
		name: 'test',
		hostname: settings.hostname ?? 'box',
		owner: { uid: 0, gid: 0 },
		limits: { ...DEFAULT_LIMITS, ...settings.limits },
		policy: { devkmsg: 'on', defaultConf: settings.defaultConf ?? '*.* /var/log/all\n' },
		conf: settings.conf ?? null,
		clock,
	})
	const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')
	return {
		pog,
		clock,
		send: text => pog.logDatagram(bytesOf(text), 0, text.length, NOBODY),
		kmsg: text => pog.logKmsg(bytesOf(text), 0, text.length, NOBODY),
		view: path => {
			const view = pog.views.byPath(path)
			if (view === undefined) throw new Error(`There is no ${path} among ${[...pog.views.all].map(v => v.path).join()}`)
			return view
		},
		resize: bytes => {
			const from = pog.ring
			pog.moveTo(moveRing(from, newRing(bytes).memory, bytes))
			closeRing(from)
		},
		close: () => closeRing(pog.ring),
	}
}

/** Runs with a fresh POG and gives its memory back, also after a failure. */
export function withPog<R>(settings: PogSettings, run: (test: TestPog) => R): R {
	const test = newPog(settings)
	try {
		return run(test)
	} finally {
		test.close()
	}
}

/** What a view holds, read record by record from the ring (the format of its rule aside). */
export function contentOf({ pog }: TestPog, view: View): string {
	const { ring } = pog
	const end = pog.views.end(view)
	let text = ''
	for (let seq = Math.max(ring.tailSeq, view.startSeq); seq < end.seq; seq++) {
		if (!view.index.has(ring, seq)) continue
		if (view.format === 'RFC5424') text += Buffer.from(pog.rfc5424.render(ring, seq)).toString('latin1')
		else {
			const start = ring.offset(ring.position(seq))
			const bytes = ring.words[ring.slot(seq) + 3] ?? 0
			text += Buffer.from(ring.text.subarray(start, start + bytes)).toString('latin1')
		}
	}
	return text
}
