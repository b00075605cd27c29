/**
 * The canary proof of containers of whatever runtime: words are planted in all of them and in the host, and each way out of each, and what
 * the host keeps of each, is searched for all.
 *
 * Invariant: a search that finds nothing of others has found what is its own, or it proves nothing.
 */
import { dirname } from 'node:path'
import type { ExecutionContext } from 'ava'
import { Aviary, type Subject } from '../../src/control/command/canaries.ts'
import { pogDirectories, searchAsNobody, searchRaw } from '../../src/control/command/isolation-host.ts'
import { WAYS_IN } from '../../src/control/command/isolation-paths.ts'
import { SWEEP } from '../../src/control/command/isolation-sweep.ts'
import { output } from './programs.ts'

/** Plants in the host's kernel log, and in each container by every way. */
export async function plantAll(t: ExecutionContext, containers: readonly Subject[]): Promise<Aviary> {
	const aviary = new Aviary()
	const { word } = aviary.breed('the host', '/dev/kmsg')
	await output('sh', ['-c', `echo '<15>${word}' >/dev/kmsg`])
	t.true((await output('dmesg', [])).includes(word))
	for (const container of containers) await aviary.plant(container)
	t.true(aviary.refused.length < (containers.length * Object.keys(WAYS_IN).length) / 2, JSON.stringify(aviary.refused))
	return aviary
}

/** Every way out of each has its own words and no others. */
export async function searchAll(t: ExecutionContext, aviary: Aviary, containers: readonly Subject[]): Promise<void> {
	for (const container of containers) {
		const sightings = await aviary.search(container)
		for (const { way, foreign } of sightings) t.deepEqual(foreign, [], `${container.name}, ${way}`)
		t.deepEqual(aviary.unseen(container.name, sightings), [])
		const ownBy = (way: string): string[] =>
			sightings.find(sighting => sighting.way === way)?.own.map(canary => canary.way) ?? []
		t.true(ownBy('syslog(2)').includes('/dev/kmsg'))
		t.true(ownBy('all that its root reaches, raw').includes('a file of its own'))
	}
	// The host reads all of them, and its own log got none.
	t.deepEqual(aviary.look('the host', 'dmesg', await output('dmesg', [])).foreign, [])
}

/** Who comes after them finds nothing of theirs in the memory that they gave back. */
export async function searchLater(t: ExecutionContext, aviary: Aviary, later: Subject, runDir: string): Promise<void> {
	for (const { way, foreign } of await aviary.search(later)) t.deepEqual(foreign, [], `${later.name}, ${way}`)
	t.deepEqual((await searchRaw(aviary, runDir, later.name)).foreign, [])
}

/** Where the raw search in a container came to; `deep`: it may mount. */
export async function sweepReaches(t: ExecutionContext, container: Subject, deep: boolean): Promise<void> {
	const said = await container.sh(SWEEP)
	t.notRegex(said, /Traceback|not finished/)
	const [, files, names, where = ''] = /^swept (\d+) files, (\d+) names, \d+ handles in: (.*)$/m.exec(said) ?? []
	t.true(Number(files) > 20 && Number(names) > 100, said)
	const reached = where.split(' ')
	for (const point of ['/var/log', '/dev/kmsg', '/proc']) t.true(reached.includes(point), `${point}: ${where}`)
	t.is(where.includes('below /var/log'), deep, where)
	t.is(where.includes('fresh proc'), deep, where)
}

/** What the host keeps: in each POG's bytes its own words alone, and nobody else may read any. */
export async function searchKept(
	t: ExecutionContext,
	aviary: Aviary,
	containers: readonly Subject[],
	runDir: string,
): Promise<void> {
	const names = await pogDirectories(runDir)
	for (const { name } of containers) t.true(names.includes(name), `${name}: ${names.join()}`)
	for (const name of names) {
		const { own, foreign } = await searchRaw(aviary, runDir, name)
		t.deepEqual(foreign, [], name)
		if (!containers.some(container => container.name === name)) continue
		const ways = own.map(({ way }) => way)
		for (const way of ['/dev/kmsg', 'a file of its own', 'its configuration'])
			t.true(ways.includes(way), `${name}: ${way}`)
	}
	// The same search as root finds all that there is: so it can.
	const asRoot = await searchAsNobody(aviary, runDir, 0)
	if ('problem' in asRoot) return t.fail(asRoot.problem)
	for (const { name } of containers)
		t.true(
			asRoot.foreign.some(({ owner }) => owner === name),
			name,
		)
	// What keeps others out is the run directory's own mode, wherever it lies.
	await output('chmod', ['755', dirname(runDir)])
	const asNobody = await searchAsNobody(aviary, runDir)
	if ('problem' in asNobody) return t.fail(asNobody.problem)
	t.deepEqual(asNobody.foreign, [])
}
