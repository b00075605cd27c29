/**
 * No container reads the log of another or the host's: words are planted by every way in, and each way out of everybody else
 * is searched for them (src/control/command/isolation-paths.ts has the ways).
 *
 * The containers are real and may do everything: all capabilities, all devices. `pogctl doctor --isolation`, which operators run,
 * does the same with containers of `pogctl run`.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { Subject } from '../../src/control/command/canaries.ts'
import { WAYS_OUT } from '../../src/control/command/isolation-paths.ts'
import { plantAll, searchAll, searchKept, searchLater, sweepReaches } from '../helpers/canaries.ts'
import { needs, output, run, type Running, start, TOP, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

/** Each way in and out is a program that is started in a container. */
const PATIENCE_MS = 400_000

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

interface Spec {
	process: { terminal: boolean; args: string[]; capabilities: Record<string, string[]>; noNewPrivileges: boolean }
	root: { readonly: boolean }
	mounts: { destination: string; type: string; source: string; options: string[] }[]
	linux: { maskedPaths?: string[]; readonlyPaths?: string[]; resources: Record<string, unknown> }
}

interface Container extends Subject {
	readonly id: string
	stop(): Promise<void>
}

/** A container of a runtime that is given all capabilities and devices. */
async function privileged(runtime: string, letter: string): Promise<Container> {
	const id = `pogs-canary-${process.pid}-${letter}`
	const bundle = join(service.directory, id)
	for (const each of ['usr', 'proc', 'dev', 'etc', 'tmp', 'run', 'sys', 'var/log'])
		mkdirSync(join(bundle, 'rootfs', each), { recursive: true })
	for (const each of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${each}`, join(bundle, 'rootfs', each))
	await output(runtime, ['spec'], { cwd: bundle })
	const path = join(bundle, 'config.json')
	const spec = JSON.parse(readFileSync(path, 'utf8')) as Spec
	const all = /^CapEff:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? ''
	const names = (await output('capsh', [`--decode=${all}`])).split('=')[1] ?? ''
	for (const set of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'])
		spec.process.capabilities[set] = names.trim().toUpperCase().split(',')
	Object.assign(spec.process, { terminal: false, args: ['/bin/sh', '-c', 'echo up; exec cat'], noNewPrivileges: false })
	spec.root.readonly = false
	spec.mounts.push({ destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro'] })
	spec.linux.resources['devices'] = [{ allow: true, access: 'rwm' }]
	delete spec.linux.maskedPaths
	delete spec.linux.readonlyPaths
	writeFileSync(path, JSON.stringify(spec))
	const wrapper = join(TOP, `mount/pogs-${runtime}`)
	const root = ['--root', join(service.directory, runtime)]
	const env = { POGS_RUN_DIR: service.runDir, POGS_RUNTIME: runtime }
	const running: Running = start(wrapper, [...root, 'run', '--bundle', bundle, id], { env })
	const stop = async (): Promise<void> => {
		await run(wrapper, [...root, 'delete', '--force', id], { env })
		await running.ended()
	}
	try {
		await running.printed('the container is up', stdout => stdout.includes('up'), 20_000)
	} catch (error) {
		await stop()
		throw error
	}
	return {
		id,
		name: id,
		sh: async script => {
			const words = ['exec', id, '/bin/sh', '-c', `export POGS_SERVICE_DIRECTORY=${service.runDir}; ${script}`]
			const { stdout, stderr } = await run(wrapper, [...root, ...words], { env, timeoutMs: 30_000 })
			return stdout + stderr
		},
		stop,
	}
}

for (const runtime of ['runc', 'crun']) {
	needs(
		runtime,
		'capsh',
		'logger',
		'python3',
	)(`what is planted in a ${runtime} container that may do all is found there alone`, async t => {
		t.timeout(PATIENCE_MS)
		const open: Container[] = []
		const made = async (letter: string): Promise<Container> => {
			const container = await privileged(runtime, `${runtime}-${letter}`)
			open.push(container)
			return container
		}
		try {
			const pair = [await made('a'), await made('b')]
			const aviary = await plantAll(t, pair)
			await searchAll(t, aviary, pair)
			await searchKept(t, aviary, pair, service.runDir)
			if (pair[0] !== undefined) await sweepReaches(t, pair[0], true)
			t.regex(
				(await pair[0]?.sh('mount -t tmpfs none /mnt 2>&1; cat /proc/self/status')) ?? '',
				/CapEff:\t0*[0-9a-f]*ffff/,
			)
			for (const container of open.splice(0)) await container.stop()
			await searchLater(t, aviary, await made('c'), service.runDir)
		} finally {
			for (const container of open) await container.stop()
		}
	})
}

test.serial('pogctl doctor --isolation finds no leak and leaves nothing', async t => {
	t.timeout(PATIENCE_MS)
	const bystander = await service.create('bystander')
	await bystander.send('<14>app: mine')
	await until('it is accepted', async () => (await bystander.info()).accepted.devlog === 1)
	const before = await bystander.info()
	const names = async (): Promise<string[]> =>
		(JSON.parse((await service.call('GET', '/v1/pogs')).text) as { name: string }[]).map(({ name }) => name)
	const there = await names()
	const pogctl = [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogctl.ts')]
	const args = [...pogctl, '--run-dir', service.runDir, 'doctor', '--isolation']
	const { code, stdout, stderr } = await run(process.execPath, args, { timeoutMs: PATIENCE_MS })
	t.is(code, 0, stdout + stderr)
	t.notRegex(stdout, /LEAK|MISSING/)
	for (const way of Object.keys(WAYS_OUT)) {
		t.is(stdout.split('\n').filter(line => line.startsWith('ok') && line.includes(`, ${way} `)).length >= 3, true, way)
	}
	t.regex(stdout, /^ok +bystander, files of \/var\/log +none of \d+ words/m)
	t.regex(stdout, /^ok +bystander, raw bytes +none of \d+ words/m)
	t.regex(stdout, /^ok +nobody, the run directory +none of \d+ words/m)
	t.regex(
		stdout,
		/^ok +isolation-\d+-a, all that its root reaches, raw +none of \d+ words of others; (?:[5-9]|\d\d) of its own/m,
	)
	t.deepEqual(await bystander.info(), before)
	t.deepEqual(await names(), there)
})
