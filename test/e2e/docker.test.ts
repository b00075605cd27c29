/**
 * Containers of Docker: when their own log has an OOM kill, read by a program that had it open before; what is left of a life when they are
 * started again.
 *
 * Source of truth: the stamps of the host's own /dev/kmsg.
 */
import { existsSync, readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { BUSYBOX } from '../helpers/containers.ts'
import { Docker, DOCKER_NEEDS } from '../helpers/docker.ts'
import { stampsAheadMs, stampsOf } from '../helpers/kernel-clock.ts'
import { find, needs, type Running, start, until } from '../helpers/programs.ts'
import type { RecordInfo } from '../../src/pog/info.ts'
import { type Service, startService } from '../helpers/service.ts'

const ROUNDS = 5
const WITHIN_MS = 100
const LIMIT = ['--memory', '32m', '--memory-swap', '32m']
const KILLED = /Memory cgroup out of memory: Killed process \d+ \(dd\)/g

const NEEDED = [...DOCKER_NEEDS, 'nsenter', BUSYBOX]
const MISSING = NEEDED.filter(name => !find(name))
const needsDocker = needs(...NEEDED)

let service: Service
let docker: Docker

test.before(async () => {
	service = await startService()
	if (MISSING.length === 0) docker = await Docker.start(service)
})
test.after.always(async () => {
	await docker?.stop()
	await service?.stop()
})

function accountsMemory(): boolean {
	if (existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes')) return true
	const controllers = '/sys/fs/cgroup/cgroup.controllers'
	return existsSync(controllers) && /\bmemory\b/.test(readFileSync(controllers, 'latin1'))
}

function needsMemory(title: string, body: (t: ExecutionContext) => Promise<void>): void {
	if (accountsMemory()) needsDocker(title, body)
	else test.serial.skip(`${title} (needs a memory cgroup)`, body)
}

function nowMs(): number {
	return Number(process.hrtime.bigint()) / 1e6
}

/** A program in the container that has /dev/kmsg open and reads it; when it got how many records of a kill. */
interface Reader {
	readonly running: Running
	readonly killsAtMs: number[]
}

async function follow(name: string, pid: number): Promise<Reader> {
	const running = start('nsenter', ['-t', String(pid), '-m', '-r', '-w', '/bin/cat', '/dev/kmsg'])
	const killsAtMs: number[] = []
	running.child.stdout?.on('data', () => {
		const kills = running.stdout().match(KILLED)?.length ?? 0
		while (killsAtMs.length < kills) killsAtMs.push(nowMs())
	})
	await docker.exec(name, 'echo "<5>are you there" >/dev/kmsg')
	await running.printed('the reader reads', stdout => stdout.includes('are you there'))
	return { running, killsAtMs }
}

needsMemory('docker: a reader has an OOM kill of its own container within 100 ms, and nobody else has it', async t => {
	const names = ['red', 'blue'].map(colour => `oom-${process.pid}-${colour}`)
	const [red = '', blue = ''] = names
	const [ofRed, ofBlue] = [
		await follow(red, await docker.container(red, LIMIT)),
		await follow(blue, await docker.container(blue, LIMIT)),
	]
	const delays: number[] = []
	for (let round = 0; round < ROUNDS; round++) {
		const aheadMs = await stampsAheadMs()
		t.is((await docker.exec(red, 'dd if=/dev/zero of=/dev/null bs=100M count=1')).code, 137)
		await until('the reader was told', () => ofRed.killsAtMs.length > round)
		// The newest: the kernel forgets its oldest ones.
		const stamp = (await stampsOf(KILLED)).at(-1) ?? Number.NaN
		delays.push((ofRed.killsAtMs[round] ?? Number.NaN) - (stamp - aheadMs))
	}
	t.log(`told ${delays.map(delay => delay.toFixed(1)).join(', ')} ms after the kernel`)
	for (const delay of delays) t.true(delay > -1 && delay < WITHIN_MS, `${delay} ms`)
	t.is((await docker.exec(red, 'busybox dmesg')).stdout.match(KILLED)?.length, ROUNDS)
	t.notRegex(ofBlue.running.stdout(), /oom|[Kk]ill/)
	t.notRegex((await docker.exec(blue, 'busybox dmesg')).stdout, /oom|[Kk]ill/)
	for (const { running } of [ofRed, ofBlue]) await running.stop('SIGKILL')
})

needsDocker('docker restart: the new life has an empty log, and the host reads the one before', async t => {
	const name = `again-${process.pid}`
	const recordsOf = async (query = ''): Promise<string[]> => {
		const { text } = await service.call('GET', `/v1/pogs/${name}/records${query}`)
		const records = text.split('\n').filter(Boolean)
		return records.map(line => (JSON.parse(line) as RecordInfo).text)
	}
	await docker.container(name, ['-e', `POGS_NAME=${name}`])
	await docker.exec(name, 'logger of the first life')
	t.deepEqual(await recordsOf(), ['of the first life'])
	await docker.call('restart', '-t', '0', name)
	t.deepEqual(await recordsOf(), [])
	t.is((await docker.exec(name, 'cat /var/log/messages')).stdout, '')
	t.deepEqual(await recordsOf('?previous=true'), ['of the first life'])
	await docker.exec(name, 'logger of the second life')
	t.deepEqual(await recordsOf(), ['of the second life'])
	t.deepEqual(await recordsOf('?previous=true'), ['of the first life'])
})
