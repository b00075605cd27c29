/**
 * What is kept of containers that are gone: by count, by age, oldest first; of a container that starts again, its earlier lives; and that
 * nothing of any is left afterwards.
 *
 * Source of truth: docs/runtimes.md, mount/etc/pogs.conf; for what is left, the host's mounts, directories and the process's own figures.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { PogEvent } from '../../src/control/events.ts'
import type { PogInfo, RecordInfo } from '../../src/pog/info.ts'
import { BUSYBOX } from '../helpers/containers.ts'
import { type Ended, needs, run, TOP, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'
import { footprint, Runtime } from '../helpers/starts.ts'

const KEPT = 4
const MAX_LIVES = 3
const AGE_MS = 2000

let service: Service
let runtime: Runtime
let serial = 0

test.before(async () => {
	service = await startService({ etc: { 'pogs.conf': `retain = 10m\nretain-count = ${KEPT}\n` } })
	runtime = new Runtime(service, 'runc')
})
test.after.always(async () => {
	await runtime?.close()
	await service?.stop()
})

const needsRunc = needs(BUSYBOX, 'runc')

function newName(): string {
	return `kept-${process.pid}-${++serial}`
}

async function pogs(): Promise<PogInfo[]> {
	return (JSON.parse((await service.call('GET', '/v1/pogs')).text) as PogInfo[]).filter(({ id }) => id > 0)
}

async function events(name: string): Promise<PogEvent[]> {
	const { text } = await service.call('GET', `/v1/events?pogs=${name}`)
	return text
		.split('\n')
		.filter(Boolean)
		.map(line => JSON.parse(line) as PogEvent)
}

function logs(...words: readonly string[]): Promise<Ended> {
	const tsx = `--import=${import.meta.resolve('tsx')}`
	return run(process.execPath, [tsx, join(TOP, 'src/bin/pogctl.ts'), '--run-dir', service.runDir, 'logs', ...words])
}

/** The records of a POG as text, by the API; undefined when there is none. */
async function textsOf(name: string, query = ''): Promise<string[] | undefined> {
	const { status, text } = await service.call('GET', `/v1/pogs/${name}/records${query}`)
	if (status !== 200) return undefined
	const records = text.split('\n').filter(Boolean)
	return records.map(line => (JSON.parse(line) as RecordInfo).text)
}

/** Runs a container to its end. */
async function live(id: string, word: string): Promise<void> {
	await runtime.write(`logger ${word}`)
	const { code, stderr } = await runtime.call('run', id)
	if (code !== 0) throw new Error(stderr)
	const isOver = async (): Promise<boolean> =>
		(await pogs()).every(pog => pog.containerId !== id || pog.status === 'exited')
	await until(`${id} is seen to be over`, isOver)
}

/** Sets the policy, and waits until it is obeyed. */
async function setPolicy(text: string): Promise<void> {
	const changes = (): number => service.said().split('policy changed').length
	const before = changes()
	writeFileSync(join(service.etcDir, 'pogs.conf'), text)
	await until('the policy is in force', () => changes() > before, 15_000)
}

/** What of the service each container that is kept costs: its tmpfs, its descriptors, the memory of its ring. */
async function held(): Promise<Record<string, number>> {
	const { mounts, directories, pogs: count, descriptors } = await footprint(service)
	const { engine } = await service.describe()
	const maps = readFileSync(`/proc/${engine.pid}/maps`, 'latin1').split('\n')
	return { mounts, directories, count, descriptors, rings: maps.filter(line => / \S*\/ring\b/.test(line)).length }
}

/** What is given back is given back soon: nothing is more than it was. */
async function comesDownTo(before: Record<string, number>): Promise<void> {
	let now = before
	const isBack = async (): Promise<boolean> => {
		now = await held()
		return Object.entries(now).every(([key, count]) => count <= (before[key] ?? 0))
	}
	await until('it holds what it held', isBack).catch((error: unknown) => {
		throw new Error(`${String(error)}: ${JSON.stringify(now)}, before ${JSON.stringify(before)}`)
	})
}

needsRunc('the last few are kept, the oldest go first, and their logs are readable until they do', async t => {
	const names = Array.from({ length: KEPT + 2 }, newName)
	for (const [n, name] of names.entries()) await live(name, `word-${n}`)
	// What is given back waits until no container starts or ends.
	const countIs = async (): Promise<boolean> => (await pogs()).length === KEPT
	await until('no more are kept', countIs)
	const kept = await pogs()
	t.deepEqual(
		kept.map(({ name, status }) => `${name} ${status}`),
		names.slice(2).map(name => `${name} exited`),
	)
	for (const [n, name] of names.entries()) {
		t.deepEqual(await textsOf(name), n < 2 ? undefined : [`word-${n}`])
	}
	// One more, one less: and it costs what one costs.
	const before = await held()
	await live(newName(), 'one more')
	await until('no more are kept', countIs)
	t.deepEqual(
		(await pogs()).map(({ name }) => name),
		[...names.slice(3), `kept-${process.pid}-${serial}`],
	)
	await comesDownTo(before)
})

needsRunc(
	'a container that starts again and again keeps its last lives, each with a name and its own lines',
	async t => {
		const name = newName()
		for (let life = 0; life < MAX_LIVES + 3; life++) await live(name, `life-${life}`)
		const all = (await pogs()).filter(pog => pog.name.startsWith(name))
		const earlier = all.filter(pog => pog.previousOf === name)
		t.is(all.length, earlier.length + 1)
		t.deepEqual(
			earlier.map(pog => pog.name),
			earlier.map(pog => `${name}.${pog.id}`),
		)
		t.is(earlier.length, MAX_LIVES)
		t.deepEqual(await textsOf(name), ['life-5'])
		t.regex((await logs(name, '--previous')).stdout, /^.*: life-4\n$/)
		for (const [n, pog] of earlier.entries()) t.deepEqual(await textsOf(pog.name), [`life-${n + 2}`])
		t.is((await events(name)).filter(({ event }) => event === 'renamed').length, MAX_LIVES + 2)

		// The next engine has them, too.
		const { engine } = await service.describe()
		process.kill(engine.pid, 'SIGKILL')
		const isAnother = (text: string): boolean => !text.includes(`"pid":${engine.pid},`)
		await until('another engine', () =>
			service.call('GET', '/v1/service').then(
				({ status, text }) => status === 200 && isAnother(text),
				() => false,
			),
		)
		t.deepEqual(
			(await pogs()).map(pog => [pog.name, pog.status, pog.previousOf]),
			all.map(pog => [pog.name, pog.status, pog.previousOf]),
		)
		await live(name, 'life-6')
		t.deepEqual(await textsOf(name, '?previous=true'), ['life-5'])
		t.is((await pogs()).filter(pog => pog.previousOf === name).length, MAX_LIVES)

		const never = await logs(newName(), '--previous')
		t.is(never.code, 1)
		t.regex(never.stderr, /^pogctl: No earlier life of ".*" is kept: retain and retain-count in pogs.conf/)
	},
)

needsRunc('none is kept longer than it may, and then nothing of it is left', async t => {
	await setPolicy('retain-count = 0\n')
	// What was kept goes with the next one that ends.
	for (const { name } of await pogs()) await service.call('DELETE', `/v1/pogs/${name}`)
	const empty = await held()
	await setPolicy(`retain = ${AGE_MS / 1000}s\nretain-count = 100\n`)
	const names = Array.from({ length: 3 }, newName)
	for (const name of names) {
		await live(name, 'soon gone')
		t.deepEqual(await textsOf(name), ['soon gone'])
	}
	// Once more, so that it has an earlier life.
	await live(names[2] ?? '', 'once more')
	await until('all are gone', async () => (await pogs()).length === 0, 10 * AGE_MS)
	for (const name of names) {
		const told = await events(name)
		const at = (kind: string): number => (told.find(({ event }) => event === kind)?.realtimeUs ?? 0) / 1000
		if (name === names[2]) continue
		const ageMs = at('removed') - at('exited')
		t.true(ageMs >= AGE_MS - 5 && ageMs < AGE_MS + 1000, `${ageMs} ms`)
	}
	await comesDownTo(empty)
})
