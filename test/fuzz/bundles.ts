/** What container runtimes bring: the bundle's configuration, and the state that they give to a hook. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { ATTACH_ALL } from '../../src/attach/oci/attachable.ts'
import { checkConfig, parseConfigText, renderConfig } from '../../src/attach/oci/config.ts'
import { editBundle } from '../../src/attach/oci/edit-bundle.ts'
import { readSettings } from '../../src/attach/oci/settings.ts'
import { expect, type Target } from './target.ts'
import { word } from './words.ts'

const TOP = new URL('../../', import.meta.url).pathname
const OCI = join(TOP, 'fixtures/oci')
const bundles = readdirSync(OCI)
	.filter(name => name.endsWith('.json'))
	.map(name => parseConfigText(readFileSync(join(OCI, name), 'utf8')))
	.map(parsed => ('value' in parsed ? parsed.value : undefined))
const RUN = '/run/pogs/pogs/web'
const PLAN = {
	pog: 'web',
	paths: {
		varLog: `${RUN}/mnt/var/log`,
		procKmsg: `${RUN}/mnt/proc/kmsg`,
		devKmsg: `${RUN}/mnt/dev/kmsg`,
		devLog: `${RUN}/store/dev/log`,
		syslogConf: `${RUN}/mnt/etc/syslog.conf`,
		runPog: `${RUN}/mnt/run/pog`,
	},
	attach: ATTACH_ALL,
	hookPath: '/usr/lib/pogs/mount/pogs-hook',
	runDir: '/run/pogs',
	seccomp: { listenerPath: '/run/pogs/seccomp.sock', metadata: 'web' },
}

export interface Bundle {
	readonly bundle: number
	readonly changes: readonly { readonly at: readonly number[]; readonly value: unknown; readonly remove: boolean }[]
}

const ODD = [
	'/var/log',
	'/dev/kmsg',
	'/proc/kmsg',
	'/',
	'',
	'/var//log/',
	'/var/log/../log',
	'/run',
	'bind',
	'tmpfs',
	'syslog',
	'SCMP_ACT_ERRNO',
	'c',
	1,
	11,
	-1,
	true,
	null,
	[],
	{},
	'pogs.ring=1m',
	2 ** 53 - 1,
]
const bundle: fc.Arbitrary<Bundle> = fc.record({
	bundle: fc.nat(bundles.length - 1),
	changes: fc.array(
		fc.record({
			at: fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }),
			value: fc.oneof(fc.constantFrom(...ODD), fc.jsonValue({ maxDepth: 2 })),
			remove: fc.boolean(),
		}),
		{ maxLength: 6 },
	),
})

/** A value as it would be read from a file: the largest numbers are not rounded. */
function asRead(value: unknown): unknown {
	const parsed = parseConfigText(JSON.stringify(value))
	return 'value' in parsed ? parsed.value : null
}

/** Walks into a value by numbers, and changes what it comes to. */
function changed(given: unknown, changes: Bundle['changes']): unknown {
	const copy = structuredClone(given)
	for (const { at, value, remove } of changes) {
		let where: unknown = copy
		for (const [depth, step] of at.entries()) {
			if (typeof where !== 'object' || where === null) break
			const holder = where as Record<string, unknown>
			const keys = Object.keys(holder)
			const key = keys[step % Math.max(1, keys.length)]
			if (key === undefined) break
			const inner = holder[key]
			const last = depth === at.length - 1 || typeof inner !== 'object' || inner === null
			if (!last) where = inner
			else {
				if (remove && !Array.isArray(holder)) delete holder[key]
				else holder[key] = asRead(value)
				break
			}
		}
	}
	return copy
}

export const ociBundles: Target<Bundle> = {
	name: 'oci-bundles',
	what: 'config.json of containers, bent: edited or refused, the same when edited again, and back from its text',
	runs: 200,
	values: bundle,
	check(value) {
		const config = changed(bundles[value.bundle], value.changes)
		const checked = checkConfig(config)
		if ('problem' in checked) return
		readSettings(checked.value, '/etc/pogs/conf.d')
		const once = editBundle(checked.value, PLAN)
		if ('problem' in once) return
		const twice = editBundle(once.value, PLAN)
		expect('value' in twice, () => `edited once, it is refused: ${'problem' in twice ? twice.problem : ''}`)
		expect(isDeepStrictEqual(twice.value, once.value), () => 'a second edit changes it')
		const text = renderConfig(once.value)
		const back = parseConfigText(text)
		expect(
			'value' in back && isDeepStrictEqual(back.value, JSON.parse(JSON.stringify(once.value))),
			() => 'it does not come back from its text',
		)
	},
}

export interface State {
	readonly stage: string
	readonly text: string
}

export const hookStates: Target<State> = {
	name: 'hook-states',
	what: 'states that runtimes give to the hook: it ends, in words of its own, and runs nothing of what it was given',
	runs: 12,
	values: fc.record({
		stage: fc.constantFrom('createRuntime', 'createContainer', 'poststop', 'start', ''),
		text: fc.oneof(
			fc
				.record(
					{ ociVersion: word, id: word, status: word, pid: fc.oneof(fc.nat(), word), bundle: word, root: word },
					{ requiredKeys: [] },
				)
				.map(state => JSON.stringify(state)),
			fc.constantFrom(
				'{"id":"$(touch /dev/shm/pogs-fuzz-ran)","pid":1,"bundle":"`touch /dev/shm/pogs-fuzz-ran`"}',
				'{"id":"a; touch /dev/shm/pogs-fuzz-ran"}',
				'{"id":"*","pid":"$((1))"}',
				'"id":',
				'{"id":"',
				'',
			),
			fc.string({ unit: 'binary', maxLength: 200 }),
		),
	}),
	check({ stage, text }) {
		const env = { PATH: '/nonexistent', POGS_RUN_DIR: '/nonexistent' }
		const { status, signal, stderr, stdout } = spawnSync('/bin/sh', [join(TOP, 'mount/pogs-hook'), stage], {
			input: text,
			env,
			cwd: tmpdir(),
			timeout: 5000,
			encoding: 'latin1',
		})
		expect(signal === null && (status === 0 || status === 1), () => `it ended with ${status ?? signal}: ${stderr}`)
		expect(
			stdout === '' && stderr.split('\n').every(line => line === '' || line.includes('pogs-hook: ')),
			() => `it said ${stdout}${stderr}`,
		)
		const ran = readdirSync('/dev/shm').includes('pogs-fuzz-ran')
		if (ran) rmSync('/dev/shm/pogs-fuzz-ran')
		expect(!ran, () => 'it ran what it was given')
	},
}
