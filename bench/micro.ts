/**
 * The hot paths without kernel or daemon: parse, compose, append with few and many views, routing, configurations.
 *
 *   node --import=tsx bench/micro.ts [FILTER]
 *
 * For finding out where time goes (mitata shows allocation too); `make bench` is what is promised. The ring is a file on
 * /dev/shm, mapped as the daemon maps it.
 */
import { closeSync, ftruncateSync, openSync, unlinkSync } from 'node:fs'
import { bench, do_not_optimize, group, run } from 'mitata'
import { parseConfiguration } from '../src/conf/parse.ts'
import { systemClock } from '../src/lib/clock.ts'
import { DEFAULT_LIMITS } from '../src/pog/limits.ts'
import { NOBODY, Pog } from '../src/pog/pog.ts'
import { parseDatagram } from '../src/record/datagram.ts'
import { composeLine, LineHead } from '../src/record/line.ts'
import { newParsed } from '../src/record/parsed.ts'
import { DESC_BYTES, geometry, HEADER_BYTES } from '../src/ring/layout.ts'
import { Ring } from '../src/ring/ring.ts'
import { mapFile, mapFileTwice } from '../src/sys/memory.ts'

const RING_BYTES = 1 << 20

const newRing = (): Ring => {
	const file = `/dev/shm/pogs-micro-${process.pid}`
	const { textBytes, descCount, fileBytes } = geometry(RING_BYTES)
	const fd = openSync(file, 'w+')
	unlinkSync(file)
	ftruncateSync(fd, fileBytes)
	const textAt = HEADER_BYTES + descCount * DESC_BYTES
	const head = mapFile(fd, textAt, 0, true)
	const text = mapFileTwice(fd, textBytes, textAt, true)
	closeSync(fd)
	if (typeof head === 'number' || typeof text === 'number') throw new Error('cannot map the ring')
	Ring.format({ head, text }, RING_BYTES)
	return new Ring({ head, text })
}

const newPog = (conf: string): Pog => {
	const policy = { devkmsg: 'on', defaultConf: conf } as const
	const owner = { uid: 0, gid: 0 }
	const rest = { id: 1, name: 'micro', hostname: 'micro', owner, limits: DEFAULT_LIMITS, clock: systemClock() }
	return new Pog(newRing(), { ...rest, policy, conf: null })
}

const lines = (count: number, line: (index: number) => string): string =>
	Array.from({ length: count }, (_, index) => line(index)).join('\n')

const message = (text: string): Uint8Array => Buffer.from(text.padEnd(100, 'x'), 'latin1')
const BSD = message('<14>Nov 21 22:00:01 bench[4711]: ')
const RFC5424 = message('<14>1 2026-11-21T22:00:01.000Z host bench 4711 ID - ')
const KMSG = message('<14>bench: ')

group('parse', () => {
	const out = newParsed()
	bench('datagram, BSD', () => parseDatagram(BSD, 0, BSD.length, out))
	bench('datagram, RFC 5424', () => parseDatagram(RFC5424, 0, RFC5424.length, out))
	const to = new Uint8Array(1024)
	const head = new LineHead('host')
	head.update(Date.now() * 1000)
	bench('datagram, BSD, and compose its line', () => {
		parseDatagram(BSD, 0, BSD.length, out)
		do_not_optimize(composeLine(to, 0, head, BSD, out))
	})
})

group('append', () => {
	for (const views of [1, 8, 30]) {
		const pog = newPog(`${lines(views, index => `*.*\t/var/log/view${index}`)}\n`)
		bench(`datagram, ${views} views`, () => pog.logDatagram(BSD, 0, BSD.length, NOBODY))
		bench(`kmsg write, ${views} views`, () => pog.logKmsg(KMSG, 0, KMSG.length, NOBODY))
	}
	const filtered = newPog('!bench\n*.*\t/var/log/bench\n!*\n*.*\t/var/log/all\n')
	bench('datagram, a program filter', () => filtered.logDatagram(BSD, 0, BSD.length, NOBODY))
})

group('configuration', () => {
	const small = 'auth,authpriv.*\t/var/log/auth.log\n*.*;auth,authpriv.none\t-/var/log/syslog\n'
	const large = `${lines(500, index => `*.info;mail.none\t/var/log/view${index % 20}`)}\n`
	bench('two rules', () => parseConfiguration(small, { file: '/etc/syslog.conf' }))
	bench('500 rules', () => parseConfiguration(large, { file: '/etc/syslog.conf' }))
})

const filter = process.argv[2]
await run(filter === undefined ? {} : { filter: new RegExp(filter) })
