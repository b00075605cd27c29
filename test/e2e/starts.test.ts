/**
 * The life of a container's log, from its runtime's `create` to its end: made, known by its container's id, freed.
 *
 * Source of truth: runc(8), what the programs inside print, /proc of the service. Each case is one that leaves something behind, or
 * starts a program without its log, if it is not thought of.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { PogInfo } from '../../src/pog/info.ts'
import { BUSYBOX } from '../helpers/containers.ts'
import { needs, output, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'
import { type Footprint, footprint, Runtime } from '../helpers/starts.ts'

const RUNTIMES = ['runc', 'crun'] as const
/** How many starts each: `make soak-starts` does a thousand. */
const ROUNDS = { runc: 30, crun: 60 } as const
const MAX_GROWTH_KB = 16_384
const MOUNTS = 'cat /proc/self/mountinfo'
const OWN = / (\/\S+) (?:\S+ )+- (?:fuse\.pogs \S+|tmpfs pogs) /g
const ALL = ['/dev/kmsg', '/dev/log', '/etc/syslog.conf', '/proc/kmsg', '/run/pog', '/var/log']

let service: Service
let serial = 0

test.before(async () => {
	// Nothing of a container that is gone is kept, so that what is left is a leak.
	service = await startService({ etc: { 'pogs.conf': 'retain-count = 0\n' } })
})
test.after.always(() => service?.stop())

async function pogs(): Promise<PogInfo[]> {
	return (JSON.parse((await service.call('GET', '/v1/pogs')).text) as PogInfo[]).filter(({ id }) => id > 0)
}

async function pogOf(containerId: string): Promise<PogInfo | undefined> {
	return (await pogs()).find(pog => pog.containerId === containerId)
}

function freed(): Promise<void> {
	return until('every POG is freed', async () => (await pogs()).length === 0)
}

async function withRuntime(name: string, body: (runtime: Runtime, id: string) => Promise<void>): Promise<void> {
	const runtime = new Runtime(service, name)
	try {
		await body(runtime, `starts-${process.pid}-${++serial}`)
	} finally {
		await runtime.close()
	}
	await freed()
}

function mountsIn(text: string): string[] {
	return [...text.matchAll(OWN)].map(match => match[1] ?? '').sort()
}

for (const name of RUNTIMES) {
	const each = needs(BUSYBOX, name)

	each(`${name}: a program finds its log mounted when it begins, and no hook has run`, async t => {
		await withRuntime(name, async (runtime, id) => {
			await runtime.write(`${MOUNTS}; logger canary-${id}; cat /var/log/messages`)
			const { code, stdout, stderr } = await runtime.call('run', id)
			t.is(code, 0, stderr)
			t.deepEqual(mountsIn(stdout), ALL)
			t.true(stdout.includes(`canary-${id}`))
			t.notRegex(JSON.stringify(runtime.read()), /pogs-hook/)
		})
	})

	each(
		`${name}: created, started, run in, paused, killed, deleted and made anew, a container has one log each time`,
		async t => {
			await withRuntime(name, async (runtime, id) => {
				await runtime.write('echo "<4>begun" >/dev/kmsg; exec sleep 1000')
				for (let round = 0; round < 2; round++) {
					const ok = async (word: string, ...options: string[]): Promise<void> => {
						const { code, stderr } = await runtime.call(word, id, ...options)
						t.is(code, 0, `${word}: ${stderr}`)
					}
					await ok('create')
					t.is((await pogOf(id))?.ring.records, 0, 'nothing runs yet')
					await ok('start')
					await until('the program has begun', async () => (await pogOf(id))?.ring.records === 1)
					t.is((await pogOf(id))?.status, 'running')
					await ok('pause')
					t.is((await pogOf(id))?.status, 'running')
					await ok('resume')
					await ok('kill', '--all')
					await runtime.call('delete', id, '--force')
					await freed()
				}
			})
		},
	)

	each(
		`${name}: a root file system made read-only gets the places it lacks, as the runtime would make them`,
		async t => {
			await withRuntime(name, async (runtime, id) => {
				rmSync(join(runtime.root, 'run'), { recursive: true, force: true })
				await runtime.write(`${MOUNTS}; : >/canary`, config => {
					config.root.readonly = true
				})
				const { stdout } = await runtime.call('run', id)
				t.deepEqual(mountsIn(stdout), ALL)
				t.false(existsSync(join(runtime.root, 'canary')))
			})
		},
	)

	each(`${name}: a volume below /var/log stays on top of the log files`, async t => {
		await withRuntime(name, async (runtime, id) => {
			const volume = join(service.directory, `volume-${id}`)
			mkdirSync(volume)
			writeFileSync(join(volume, 'mine'), 'of the volume')
			await runtime.write('cat /var/log/app/mine; logger canary; cat /var/log/messages', config => {
				config.mounts.push({ destination: '/var/log/app', type: 'bind', source: volume, options: ['bind'] })
			})
			const { stdout, stderr } = await runtime.call('run', id)
			t.regex(stdout, /^of the volume.*canary/s, stderr)
		})
	})
}

needs(BUSYBOX, 'runc')('a container whose log cannot be mounted is not started, and the engine learns why', async t => {
	await withRuntime('runc', async (runtime, id) => {
		// A directory is no place for a file: the runtime makes its own mounts, and ours fails.
		mkdirSync(join(runtime.root, 'etc/syslog.conf'), { recursive: true })
		const log = join(service.directory, `log-${id}.json`)
		await runtime.write(`: >/started`)
		const { code } = await runtime.call('create', id, `--log=${log}`, '--log-format=json')
		t.not(code, 0)
		t.false(existsSync(join(runtime.root, 'started')))
		const lines = readFileSync(log, 'utf8').trim().split('\n')
		const { level, msg } = JSON.parse(lines.at(-1) ?? '') as { level: string; msg: string }
		t.is(level, 'error')
		t.is(msg, 'pogs-runc: Cannot mount /etc/syslog.conf in the container: EINVAL')
		await freed()
	})
})

needs(BUSYBOX, 'runc')('a container that is never started gives its log back when it is deleted', async t => {
	await withRuntime('runc', async (runtime, id) => {
		await runtime.write(':')
		t.is((await runtime.call('create', id)).code, 0)
		t.is((await pogOf(id))?.containerId, id)
		t.is((await runtime.call('delete', id, '--force')).code, 0)
		await freed()
	})
})

needs(BUSYBOX, 'runc')('a container that is gone before its log is made leaves none', async t => {
	await withRuntime('runc', async (runtime, id) => {
		await runtime.write(':')
		const bundle = runtime.bundle
		const before = await footprint(service)
		// What the wrapper says: in one breath, so that the second comes while the first is being done.
		const script = `tell() { printf '%s\\n' "$1" >&3; read -r answer <&3; echo "$answer"; }
			exec 3<>"$0"; tell "prepare\t$1\t$2\trunc"; tell "exited\t$2"`
		const said = await output('bash', ['-c', script.replaceAll('\\t', '\t'), `${service.runDir}/host/ctl`, bundle, id])
		t.is(said, 'ok\nok\n')
		await freed()
		await until('nothing that was taken hold of for it is left', async () =>
			sameCounts(await footprint(service), before),
		)
	})
})

needs(BUSYBOX, 'runc')('two containers with one name for their logs: the second is refused and told', async t => {
	await withRuntime('runc', async (runtime, id) => {
		const named = (config: { annotations?: Record<string, string> }): void => {
			config.annotations = { 'pogs.name': `same-${id}` }
		}
		await runtime.write('exec sleep 1000', named)
		t.is((await runtime.call('run', id, '--detach')).code, 0)
		await runtime.write(':', named)
		const { code, stderr } = await runtime.call('run', `${id}-second`)
		t.is(code, 1)
		t.true(stderr.includes(`The name "same-${id}" is taken`), stderr)
	})
})

needs(BUSYBOX, 'runc')('a container that is gone gives its id and its name to the next one at once', async t => {
	await withRuntime('runc', async (runtime, id) => {
		await runtime.write('exec sleep 1000')
		t.is((await runtime.call('run', id, '--detach')).code, 0)
		await runtime.call('delete', id, '--force')
		// Whatever of it is still to be given back.
		await runtime.write('logger again; until grep again /var/log/messages; do sleep 0.1; done')
		const { code, stdout, stderr } = await runtime.call('run', id)
		t.is(code, 0, stderr)
		t.is(stdout.match(/again/g)?.length, 1)
	})
})

for (const name of RUNTIMES) {
	const rounds = Number(process.env['POGS_STARTS'] ?? ROUNDS[name])
	needs(BUSYBOX, name)(`${name}: ${rounds} starts leave nothing behind`, async t => {
		t.timeout(60_000 + rounds * 2_000)
		await withRuntime(name, async (runtime, id) => {
			const round = async (at: number): Promise<void> => {
				await runtime.write(`logger start-${at}`)
				const { code, stderr } = await runtime.call('run', `${id}-${at}`)
				t.is(code, 0, stderr)
			}
			// The first ones load what is loaded once.
			for (let at = 0; at < 10; at++) await round(at)
			await freed()
			const before = await footprint(service)
			let middle = before
			t.log(`starts ${Object.keys(before).join(' ')}`)
			for (let at = 0; at < rounds; at++) {
				if (at % Math.ceil(rounds / 10) === 0 && rounds >= 100) {
					await freed()
					const now = await footprint(service)
					t.log(`${at} ${Object.values(now).join(' ')}`)
					if (at <= rounds / 2) middle = now
				}
				await round(10 + at)
			}
			await freed()
			await until('descriptors, threads and helpers are as before', async () =>
				sameCounts(await footprint(service), before),
			)
			const last = await footprint(service)
			t.log(`${rounds} ${Object.values(last).join(' ')}`)
			// The first half fills the collector's spaces.
			t.true(last.residentKb - middle.residentKb < MAX_GROWTH_KB, `grown by ${last.residentKb - middle.residentKb} kB`)
		})
	})
}

/** Everything but memory, which is a collector's to give back. */
function sameCounts(now: Footprint, before: Footprint): boolean {
	const { residentKb: _now, mappings: _mapped, ...counts } = now
	const { residentKb: _before, mappings: _were, ...expected } = before
	return JSON.stringify(counts) === JSON.stringify(expected)
}
