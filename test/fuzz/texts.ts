/** Texts that are parsed: configurations, the host's policy, files of /proc, the container runtimes' words. Real ones, bent. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { parseMemoryCgroup } from '../../src/attach/charge.ts'
import { parseContainerProcess } from '../../src/attach/container-process.ts'
import { parseIdMap } from '../../src/attach/id-map.ts'
import { parseMountinfo } from '../../src/attach/mountinfo.ts'
import { parseConfiguration } from '../../src/conf/parse.ts'
import { checkReport, renderRules } from '../../src/conf/render.ts'
import { compileRoutes } from '../../src/conf/routes.ts'
import { parsePolicy } from '../../src/engine/policy.ts'
import { parseHostRecord } from '../../src/ingest/host-kmsg.ts'
import { parseNotification } from '../../src/keeper/notification.ts'
import { expect, type Target } from './target.ts'

const CONF = new URL('../../fixtures/conf/', import.meta.url)

function read(path: string): string {
	try {
		return readFileSync(path, 'latin1')
	} catch {
		return ''
	}
}

const confs = readdirSync(CONF, { withFileTypes: true })
	.filter(entry => entry.isDirectory())
	.map(entry => read(join(CONF.pathname, entry.name, 'syslog.conf')))
	.filter(text => text !== '')
const procs = ['mountinfo', 'cgroup', 'uid_map', 'stat', 'status'].map(name => read(`/proc/self/${name}`))
const SEEDS = [
	...confs,
	...procs,
	'0 1000 1\n1 100000 65536\n',
	'6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n',
	'FDSTORE=1\nFDNAME=fuse-7\nREADY=1\nWATCHDOG=1\nSTATUS=serving 3\n',
	'{"ociVersion":"1.1.0","fds":["seccompFd"],"pid":7,"metadata":"web","state":{"id":"abc","status":"creating","pid":7,"bundle":"/b"}}',
	'ring = 1m\nquota=64m # all\ndevkmsg = ratelimit\nretain = 10m\n',
]
const BITS = [
	'\n',
	'\0',
	'\\',
	'\\\n',
	'"',
	'#',
	' ',
	'\t',
	'*',
	';',
	'.',
	',',
	'&',
	':msg, ereregex, "',
	'((((',
	'[[:alpha:',
	'{1,999}',
	'+-',
	'!',
	'/var/log/',
	'..',
	'-/',
	'$',
	'if $x then {',
	'999999999999999999999',
	'-1',
	'\\040',
	'\\',
	'\xff',
	'\u00e9',
	'=',
	'{',
	'}',
	'[',
	']',
	'x'.repeat(3000),
	'include ',
	'stop',
	'~',
]

/** A text, and what is done to it: pieces cut out, doubled, put in. */
export interface Bent {
	readonly seed: number
	readonly changes: readonly {
		readonly at: number
		readonly cut: number
		readonly put: number
		readonly times: number
	}[]
}

const bent: fc.Arbitrary<Bent> = fc.record({
	seed: fc.nat(SEEDS.length - 1),
	changes: fc.array(
		fc.record({
			at: fc.nat(5000),
			cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(400) }),
			put: fc.nat(BITS.length - 1),
			times: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(60) }),
		}),
		{ maxLength: 12 },
	),
})

function textOf({ seed, changes }: Bent): string {
	let text = SEEDS[seed] ?? ''
	for (const { at, cut, put, times } of changes) {
		const place = text.length === 0 ? 0 : at % text.length
		text = text.slice(0, place) + (BITS[put] ?? '').repeat(times) + text.slice(place + cut)
	}
	return text
}

/** Far beyond what any of them takes, and far below what anybody would call an attack. */
const LIMIT_MS = 2000

export const configurations: Target<Bent> = {
	name: 'configurations',
	what: 'syslog.conf texts: a configuration or diagnostics with their place, the same each time, in bounded time',
	runs: 300,
	values: bent,
	check(value) {
		const text = textOf(value)
		const bytes = Buffer.from(text, 'latin1')
		const began = performance.now()
		const configuration = parseConfiguration(bytes, { file: 'f', include: () => [{ file: 'g', text: confs[0] ?? '' }] })
		const lines = text.split('\n')
		for (const { file, line, column } of configuration.diagnostics) {
			if (file !== 'f') continue
			expect(line >= 1 && line <= lines.length, () => `a diagnostic in line ${line} of ${lines.length}`)
			expect(column >= 1 && column <= (lines[line - 1]?.length ?? 0) + 2, () => `column ${column} of line ${line}`)
		}
		const shown = renderRules(configuration.rules) + checkReport(configuration)
		compileRoutes(configuration, () => 0)
		const again = parseConfiguration(bytes, { file: 'f', include: () => [{ file: 'g', text: confs[0] ?? '' }] })
		expect(renderRules(again.rules) + checkReport(again) === shown, () => 'the second reading differs')
		const took = performance.now() - began
		expect(took < LIMIT_MS, () => `${text.length} bytes took ${took} ms`)
	},
}

export const procTexts: Target<Bent> = {
	name: 'proc-texts',
	what: 'files of /proc, policies, kernel records, notifications, container states: read or refused, never thrown at',
	runs: 300,
	values: bent,
	check(value) {
		const text = textOf(value)
		const began = performance.now()
		for (const mount of parseMountinfo(text))
			expect(Number.isSafeInteger(mount.id) || mount.id > 0, () => `id ${mount.id}`)
		for (const { containerId, hostId, size } of parseIdMap(text))
			expect(
				containerId + size <= 0xffff_ffff && hostId + size <= 0xffff_ffff && size > 0,
				() => `${containerId} ${hostId} ${size}`,
			)
		parseMemoryCgroup(text, procs[0] ?? '')
		parseMemoryCgroup(procs[1] ?? '', text)
		for (const line of text.split('\n').slice(0, 50)) parseHostRecord(line)
		const lines = text.split('\n').length
		for (const { line, column } of parsePolicy(text, 'f').diagnostics)
			expect(line >= 1 && line <= lines && column >= 1, () => `place ${line}:${column}`)
		parseNotification(text)
		for (const ended of [false, true]) parseContainerProcess(text, ended)
		const took = performance.now() - began
		expect(took < LIMIT_MS, () => `${text.length} bytes took ${took} ms`)
	},
}
