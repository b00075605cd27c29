/**
 * The engine is killed at every point that matters, once: who uses the log sees what he would have seen. What it dies of twice is
 * given up, and the rest goes on.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { CRASH_POINTS } from '../../src/engine/crash-points.ts'
import { BUSYBOX, makeRoot, unshared } from '../helpers/containers.ts'
import { fixtureProgram, needs, output, PYTHON, run, start, until } from '../helpers/programs.ts'
import { type Answer, type Pog, type Service, startService } from '../helpers/service.ts'

const RULES = '*.* /var/log/messages\nlocal7.* /var/log/other\n'
/** Reached by what takes long: of it is the test of its own below. */
const LONG = ['step-before', 'step-after', 'move-before', 'move-after', 'moved-before', 'moved-after']
/** Those where something is done and not yet told; `make kill-test` takes all: POGS_TEST_CRASH_POINTS=all, or some by name. */
const SHORT = [
	'reading-after',
	'commit-after',
	'write-down-after',
	'keep-handle-after',
	'send-data-before',
	'receive-after',
	'rename-after',
	'unlink-after',
	'mkdir-after',
	'open-after',
]
const WANTED = process.env['POGS_TEST_CRASH_POINTS'] ?? SHORT.join(' ')
const CHOSEN = CRASH_POINTS.filter(
	point => !LONG.includes(point) && (WANTED === 'all' || WANTED.split(' ').includes(point)),
)

let service: Service
let pog: Pog
let points: string

test.before(async () => {
	points = mkdtempSync(join(tmpdir(), 'pogs-crash-'))
	mkdirSync(points, { recursive: true })
	await begin()
})

async function begin(): Promise<void> {
	service = await startService({ env: { POGS_TEST_CRASH: points } })
	pog = await service.create('killed', { conf: RULES, ringBytes: 1 << 20 })
}
test.after.always(async () => {
	await service?.stop()
	rmSync(points, { recursive: true, force: true })
})

function mountOf({ paths }: Pog): string {
	return paths.varLog.replace(/\/var\/log$/, '')
}

/** What the steps saw, without their number. */
async function steps(number: string): Promise<unknown> {
	const args = [fixtureProgram('revival-steps.py'), mountOf(pog), pog.paths.devLog, number]
	const text = await output(PYTHON, args, { timeoutMs: 60_000 })
	return JSON.parse(text.replaceAll(number, 'N'))
}

async function restarts(): Promise<number> {
	for (;;) {
		const described = await service.describe().catch(() => undefined)
		if (described !== undefined) return described.restarts
	}
}

needs('python3')('whatever the engine is killed at, everything goes on as if it had not been', async t => {
	t.timeout((40 + 4 * CHOSEN.length) * 1000)
	const whole = await steps('run1000')
	t.deepEqual(await steps('run1001'), whole)
	for (const [i, point] of CHOSEN.entries()) {
		const before = await restarts()
		writeFileSync(join(points, point), '')
		t.deepEqual(await steps(`run${2000 + i}`), whole, point)
		t.false(existsSync(join(points, point)), `${point} was not reached`)
		t.is(await restarts(), before + 1, point)
	}
})

needs('sh', 'cat')('what is carried out in steps is done when the engine is killed between two of them', async t => {
	t.timeout(120_000)
	await service.stop()
	await begin()
	const { varLog, runPog, syslogConf } = pog.paths
	await pog.send('<13>t: before')
	for (const [i, point] of LONG.entries()) {
		const before = await restarts()
		const conf = join(points, 'conf')
		writeFileSync(conf, `${'# nothing\n'.repeat(9000)}${`*.* /var/log/all${i}\n`.repeat(400)}${RULES}`)
		writeFileSync(join(points, point), '')
		const size = i % 2 === 0 ? '8m' : '1m'
		const commands = `cat ${conf} > ${syslogConf} && echo 'resize ${size}' > ${runPog}/ctl`
		const done = await run('sh', ['-c', commands], { timeoutMs: 20_000 })

		t.is(done.code, 0, `${point}: ${done.stderr}`)
		t.is(await restarts(), before + 1, point)
		const { ring, conf: inForce } = await pog.info()
		t.is(ring.sizeBytes, i % 2 === 0 ? 8 << 20 : 1 << 20, point)
		t.is(inForce.rules, 402, point)
		await pog.send(`<13>t: behind ${i}`)
		await until('the record came', async () => (await pog.cat(`${varLog}/all${i}`)).includes(`t: behind ${i}\n`), 5000)
		t.is((await pog.cat(`${varLog}/messages`)).split('t: before\n').length, 2)
	}
})

needs('python3')('a write that the engine dies of twice is refused, a message too, and the rest goes on', async t => {
	t.timeout(60_000)
	// After so many deaths a keeper lets the next engine wait: this one has seen none.
	await service.stop()
	await begin()
	writeFileSync(join(points, 'poison'), 'VENOM')
	const refused = await run('sh', ['-c', `echo VENOM > ${pog.paths.devKmsg}`], { timeoutMs: 20_000 })
	t.regex(refused.stderr, /Input\/output error|I\/O error/)
	await pog.send('<13>t: before', '<13>t: VENOM', '<13>t: after')
	await until(
		'the messages around it came',
		async () => (await pog.cat(`${pog.paths.varLog}/messages`)).includes('t: after'),
		20_000,
	)
	rmSync(join(points, 'poison'))
	const text = await pog.cat(`${pog.paths.varLog}/messages`)
	t.is(text.split('t: before\n').length, 2)
	t.is(text.split('t: after\n').length, 2)
	t.notRegex(text, /t: VENOM/)
	t.regex(text, /pogs: FUSE_WRITE is refused with EIO: the log service ended twice with this request/)
	t.regex(text, /pogs: A message is refused: the log service ended twice with it/)
	t.true((await pog.info()).drops.refused >= 2)
})

needs('cat', 'kill')('^C ends a read that waits, before an engine is there again and after', async t => {
	for (const wait of [false, true]) {
		const before = await restarts()
		const reader = start('dd', [`if=${pog.paths.procKmsg}`, 'bs=4096'])
		await until('the reader has read all there is', () => reader.stderr() !== undefined, 1000)
		await new Promise(resolve => setTimeout(resolve, 300))
		process.kill((await service.describe()).engine.pid, 'SIGKILL')
		if (wait) await until('another engine answers', async () => (await restarts()) > before, 20_000)
		reader.child.kill('SIGINT')
		const ended = await reader.ended(10_000)
		t.false(ended.timedOut)
		await until('another engine answers', async () => (await restarts()) > before, 20_000)
	}
})

needs(
	BUSYBOX,
	'unshare',
	'nsenter',
)('an engine that dies while it waits for itself is followed, and goes', async t => {
	t.timeout(60_000)
	await service.stop()
	await begin()
	const container = await unshared(makeRoot(service.directory))
	try {
		const before = await service.describe()
		const attach = (): Promise<Answer> => service.call('PUT', '/v1/pogs/killed/container', { pid: container.pid })
		// Attaching asks the engine's own mount for names: it is killed when such a question was taken and not answered.
		writeFileSync(join(points, 'send-struct-before'), '')
		await t.throwsAsync(attach())
		t.false(existsSync(join(points, 'send-struct-before')))
		await until('another engine answers', async () => (await restarts()) === before.restarts + 1, 20_000)
		await until('the remains of the first one are gone', () => !existsSync(`/proc/${before.engine.pid}`), 5000)
		t.is((await attach()).status, 200)
		await container.sh('echo behind >/dev/kmsg')
		t.true((await pog.records()).some(({ text }) => text === 'behind'))
	} finally {
		await container.stop()
	}
})
