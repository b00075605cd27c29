/**
 * The engine dies, is replaced, dies together with its keeper: what containers have goes on, and the host finds the same POGs.
 *
 * Source of truth: what programs in the container see, and what the API said before.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ServiceInfo } from '../../src/control/service.ts'
import type { PogInfo } from '../../src/pog/info.ts'
import { makeRoot, oci, unshared } from '../helpers/containers.ts'
import { needs, output, run, type Running, start, TOP, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'
import { TRANSPORT } from '../helpers/transport.ts'

/** Through fuse-native a mount cannot outlive its process: docs/transports.md. */
const lasting = TRANSPORT === 'kernel' ? test.serial : test.serial.skip

const POGCTL = process.env['POGS_TEST_DIST']
	? [join(TOP, 'dist/bin/pogctl.js')]
	: [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogctl.ts')]

function pogctl(service: Service, ...argv: string[]): [string, string[]] {
	return [process.execPath, [...POGCTL, '--run-dir', service.runDir, ...argv]]
}

async function fresh(t: ExecutionContext): Promise<Service> {
	const service = await startService()
	t.teardown(() => service.stop())
	return service
}

async function list(service: Service): Promise<PogInfo[]> {
	return JSON.parse((await service.call('GET', '/v1/pogs')).text) as PogInfo[]
}

/** Kills the engine and waits for the next. */
async function killEngine(service: Service): Promise<ServiceInfo> {
	const { engine } = await service.describe()
	process.kill(engine.pid, 'SIGKILL')
	let next: ServiceInfo | undefined
	await until(
		'another engine answers',
		async () => {
			next = await service.describe().catch(() => undefined)
			return next !== undefined && next.engine.pid !== engine.pid
		},
		15_000,
	)
	if (next === undefined) throw new Error('unreachable')
	return next
}

const bare = ({ id, name, containerId, status, paths, createdAtMs }: PogInfo): object => {
	return { id, name, containerId, status, paths, createdAtMs }
}

lasting('after kill -9 of the engine the host finds the same POGs, and ids go on', async t => {
	const service = await fresh(t)
	const web = await service.create('web', { containerId: 'c0ffee00', conf: '*.* /var/log/all\n' })
	const gone = await service.create('gone')
	await service.create('db', { ringBytes: 1 << 17, rate: { perSecond: 5000, burst: 7000 } })
	await gone.send('<13>gone: last words')
	await service.call('DELETE', '/v1/pogs/gone')
	await web.send('<13>web: first')
	const before = await list(service)
	t.is((await service.describe()).restarts, 0)
	t.is((await killEngine(service)).restarts, 1)
	t.deepEqual((await list(service)).map(bare), before.map(bare))
	await web.send('<13>web: second')
	t.regex(await web.cat(join(web.paths.varLog, 'all')), /web: first\n.*web: second\n$/)
	t.is((await service.create('next')).name, 'next')
	const ids = (await list(service)).map(({ id }) => id)
	t.deepEqual(ids, [0, 1, 3, 4])
	t.is((await killEngine(service)).restarts, 2)
	t.is((await list(service)).length, 4)
})

lasting('a container goes on through the death of the engine, and its end is noticed by the next', async t => {
	const service = await fresh(t)
	const command = 'logger -t box before; read go; logger -t box after; cat /var/log/messages; exit 5'
	const box = start(...pogctl(service, 'run', '--name', 'box', '--', 'sh', '-c', command))
	await until(
		'it has written',
		async () => /before/.test((await service.call('GET', '/v1/pogs/box/records')).text),
		20_000,
	)
	await killEngine(service)
	box.type('go\n')
	const ended = await box.ended(30_000)
	t.is(ended.code, 5)
	t.regex(ended.stdout, /before\n[^]*after\n/)
	t.is((await service.call('GET', '/v1/pogs/box')).status, 404)
})

lasting('a container that ends while no engine runs has ended for the next one', async t => {
	const service = await fresh(t)
	const container = await unshared(makeRoot(service.directory))
	t.teardown(() => container.stop())
	const attached = await service.call('PUT', '/v1/pogs/late/container', { pid: container.pid })
	t.is(attached.status, 200)
	const { engine } = await service.describe()
	process.kill(engine.pid, 'SIGSTOP')
	await container.stop()
	process.kill(engine.pid, 'SIGKILL')
	await until(
		'it has exited',
		async () => (await list(service).catch(() => [])).some(({ status }) => status === 'exited'),
		15_000,
	)
	t.is((await list(service)).find(({ name }) => name === 'late')?.status, 'exited')
	// Retained is retained, for a later one as well.
	await killEngine(service)
	t.is((await list(service)).find(({ name }) => name === 'late')?.status, 'exited')
})

lasting('an upgrade under load fails no call', async t => {
	const service = await fresh(t)
	const pog = await service.create('busy')
	const stop = join(service.directory, 'stop')
	const loop = 'n=0; while [ ! -e "$STOP" ]; do n=$((n + 1)); echo "<13>w: $n" >/dev/kmsg || exit 1; done; echo $n'
	const writer = pog.start(loop, { env: { STOP: stop } })
	const asked: number[] = []
	const before = await service.describe()
	for (let i = 0; i < 3; i++) {
		const upgraded = run(...pogctl(service, 'upgrade', '--json'), { timeoutMs: 40_000 })
		let done = false
		void upgraded.finally(() => (done = true))
		while (!done) asked.push((await service.call('GET', '/v1/pogs/busy')).status)
		const { code, stderr } = await upgraded
		t.is(code, 0, stderr)
	}
	t.deepEqual(
		asked.filter(status => status !== 200),
		[],
	)
	const after = await service.describe()
	t.is(after.restarts, 3)
	t.not(after.engine.pid, before.engine.pid)
	await stopWriter(pog, writer, stop, t)
})

async function stopWriter(pog: Pog, writer: Running, stop: string, t: ExecutionContext): Promise<void> {
	writeFileSync(stop, '')
	const { code, stdout, stderr } = await writer.ended(20_000)
	t.is(code, 0, stderr)
	const written = (await pog.records()).map(({ text }) => text).filter(text => /^w: |^\d+$/.test(text))
	t.is(new Set(written).size, written.length, 'none twice')
	t.true(written.at(-1)?.includes(stdout.trim()), `the last one is there: ${stdout.trim()}, ${written.at(-1)}`)
}

lasting('an upgrade to a version that cannot read what is kept is refused, and the running one goes on', async t => {
	const service = await fresh(t)
	await service.create('a')
	const before = await service.describe()
	const file = join(service.runDir, 'engine.json')
	const kept = readFileSync(file, 'utf8')
	writeFileSync(file, kept.replace('"format":1', '"format":999'))
	const refused = await run(...pogctl(service, 'upgrade'), { timeoutMs: 40_000 })
	t.is(refused.code, 1)
	t.regex(refused.stderr, /format 1, but .* format 999.*the running version goes on/)
	writeFileSync(file, kept)
	t.is((await service.describe()).engine.pid, before.engine.pid)
})

/** Kills the service with its keeper, and starts another in its place. */
async function killAllAndStart(service: Service, t: ExecutionContext): Promise<void> {
	process.kill(-service.pid, 'SIGKILL')
	await until('the service is gone', () => groupIsGone(service.pid), 5_000)
	const argv = ['--run-dir', service.runDir, '--etc-dir', service.etcDir, '--transport', TRANSPORT]
	const program = process.env['POGS_TEST_DIST']
		? [join(TOP, 'dist/bin/pogshim.js')]
		: [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogshim.ts')]
	const again = start(process.execPath, [...program, ...argv])
	t.teardown(async () => {
		await again.stop()
	})
	await until('pogshim is ready', () => again.stdout().includes('pogshim ready'), 20_000)
}

function groupIsGone(group: number): boolean {
	try {
		process.kill(-group, 0)
		return false
	} catch {
		return true
	}
}

test.serial(
	'after the death of the keeper too, containers that live get their logs back, and those that ended are retained',
	async t => {
		const service = await fresh(t)
		const command =
			'logger -t box before; read go; logger -t box after; echo "<11>kmsg" >/dev/kmsg; cat /var/log/messages; dmesg | tail -n 1'
		const box = start(...pogctl(service, 'run', '--name', 'box', '--', 'sh', '-c', command))
		const dead = await unshared(makeRoot(service.directory))
		t.teardown(() => dead.stop())
		t.is((await service.call('PUT', '/v1/pogs/dead/container', { pid: dead.pid })).status, 200)
		const free = await service.create('free')
		await free.send('<13>free: here')
		// What is still in a socket goes with the keeper that holds it.
		await until('the message is a record', async () =>
			/"text":"here"/.test((await service.call('GET', '/v1/pogs/free/records')).text),
		)
		await until(
			'it has written',
			async () => /before/.test((await service.call('GET', '/v1/pogs/box/records')).text),
			20_000,
		)
		await until('its process is known', () =>
			readFileSync(join(service.runDir, 'pogs/box/pog.json'), 'utf8').includes('"process"'),
		)
		process.kill((await service.describe()).engine.pid, 'SIGSTOP')
		await dead.stop()
		await killAllAndStart(service, t)
		await until(
			'it is attached again',
			async () => /attached/.test((await service.call('GET', '/v1/events')).text),
			10_000,
		)
		t.deepEqual((await list(service)).map(({ name, status }) => `${name} ${status}`).sort(), [
			'box running',
			'dead exited',
			'free created',
			'host host',
		])
		t.regex((await service.call('GET', '/v1/pogs/free/records')).text, /"text":"here"/)
		box.type('go\n')
		const { stdout, code } = await box.ended(30_000)
		t.is(code, 0)
		t.regex(stdout, /before\n[^]*The service was gone[^]*after\n[^]*kmsg\n/)
		t.is((await service.call('GET', '/v1/pogs/box')).status, 404)
	},
)

needs('runc')('a container of runc gets its log back, its /dev/log too', async t => {
	const service = await fresh(t)
	const container = await oci('runc', makeRoot(service.directory))
	t.teardown(() => container.stop())
	t.is((await service.call('PUT', '/v1/pogs/c/container', { pid: container.pid })).status, 200)
	await container.sh('logger before')
	await until('it is there', async () => /before/.test((await service.call('GET', '/v1/pogs/c/records')).text))
	await killAllAndStart(service, t)
	await until(
		'it is attached again',
		async () => /attached/.test((await service.call('GET', '/v1/events')).text),
		10_000,
	)
	await container.sh('logger after')
	t.regex(await container.sh('cat /var/log/messages'), /before\n[^]*after\n/)
	const mounts = await output('cat', [`/proc/${container.pid}/mountinfo`])
	t.is(mounts.split('\n').filter(line => / \/var\/log .*fuse\.pogs/.test(line)).length, 1)
})
