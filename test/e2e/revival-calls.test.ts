/**
 * The engine is killed at every step of a system call syslog(2), which the kernel does not send again: its caller gets the
 * answer that it would have got, and what it asks for happens once. What the engine dies of twice is refused.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { CALL_CRASH_POINTS } from '../../src/engine/crash-points.ts'
import { fixtureProgram, needs, PYTHON, type Running, start, TOP, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

const POGCTL = process.env['POGS_TEST_DIST']
	? [join(TOP, 'dist/bin/pogctl.js')]
	: [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogctl.ts')]
/** Where a call is taken and not looked at, answered and not applied, applied and not forgotten. */
const SHORT = ['notification-after', 'deliver-after', 'journal-before', 'answer-before', 'answer-after', 'settle-after']
const WANTED = process.env['POGS_TEST_CRASH_POINTS'] ?? SHORT.join(' ')
const CHOSEN = CALL_CRASH_POINTS.filter(point => WANTED === 'all' || WANTED.split(' ').includes(point))
const CHANGING = ['READ', 'READ-a-piece', 'READ-that-waits', 'READ_CLEAR', 'CLEAR', 'CONSOLE_LEVEL']
const CALLS = WANTED === 'all' ? [...CHANGING, 'READ_ALL', 'SIZE_UNREAD'] : CHANGING
/** SYSLOG_ACTION_SIZE_BUFFER of include/linux/syslog.h. */
const SIZE_BUFFER = 10

let service: Service
let points: string
let box: Running
let answers = 0

test.before(async () => {
	points = mkdtempSync(join(tmpdir(), 'pogs-crash-'))
	service = await startService({ env: { POGS_TEST_CRASH: points } })
	const program = [PYTHON, fixtureProgram('syslog-steps.py')]
	box = start(process.execPath, [...POGCTL, '--run-dir', service.runDir, 'run', '--name', 'box', '--', ...program])
	await box.printed('the container is ready', out => out.includes('ready'), 30_000)
})

test.after.always(async () => {
	await box?.stop('SIGKILL')
	await service?.stop()
	rmSync(points, { recursive: true, force: true })
})

/** What the container's program answers to a line. */
async function ask(line: string): Promise<unknown> {
	const number = ++answers
	box.type(`${line}\n`)
	const said = (): string[] => box.stdout().split('\n').slice(1, -1)
	await until(`"${line}" is answered`, () => said().length >= number, 30_000).catch(cause => {
		throw new Error(`${String(cause)}\n${service.said().slice(-2500)}`)
	})
	return JSON.parse((said()[number - 1] ?? '').replaceAll(/run\d+/g, 'N'))
}

/** What a call answers, and what is to be seen then, with the engine killed at this point while it is made. */
async function made(call: string, round: number, point?: string): Promise<unknown> {
	await ask(`prepare ${call} run${1000 + round}`)
	if (point !== undefined) writeFileSync(join(points, point), '')
	return ask('go')
}

async function restarts(): Promise<number> {
	for (;;) {
		const described = await service.describe().catch(() => undefined)
		if (described !== undefined) return described.restarts
	}
}

/** Points that a call does not come to. */
function isPassedBy(point: string, call: string): boolean {
	if (/^(take|give)-call-cell/.test(point)) return call !== 'READ-that-waits'
	return point.startsWith('deliver') && !call.startsWith('READ')
}

needs('python3')(
	'at whatever step of a call the engine is killed, its caller sees what he would have seen',
	async t => {
		t.timeout((40 + 4 * CHOSEN.length * CALLS.length) * 1000)
		let round = 0
		for (const call of CALLS) {
			const whole = await made(call, round++)
			t.deepEqual(await made(call, round++), whole, call)
			for (const point of CHOSEN.filter(each => !isPassedBy(each, call))) {
				const before = await restarts()
				t.deepEqual(await made(call, round++, point), whole, `${call}, ${point}`)
				t.false(existsSync(join(points, point)), `${call}: ${point} was not reached`)
				t.is(await restarts(), before + 1, `${call}, ${point}`)
			}
		}
		t.log(`${round} calls`)
	},
)

needs('python3')('a call that the engine dies of twice gets EIO, and the next ones are answered', async t => {
	const before = await restarts()
	const [size] = (await made('SIZE_BUFFER', 1)) as [number]
	t.true(size > 0)
	writeFileSync(join(points, 'poison-call'), String(SIZE_BUFFER))
	const refused = (await made('SIZE_BUFFER', 2)) as [string, string]
	t.is(refused[0], 'errno 5')
	t.regex(refused[1], /N a\n.*N b\n/)
	t.is(await restarts(), before + 2)
	rmSync(join(points, 'poison-call'))
	t.is(((await made('SIZE_BUFFER', 3)) as [number])[0], size)
	const { text } = await service.call('GET', '/v1/pogs/box/records')
	t.regex(text, /A call of syslog\(2\) is refused with EIO/)
	const shown = JSON.parse((await service.call('GET', '/v1/pogs/box')).text) as { drops: { refused: number } }
	t.is(shown.drops.refused, 1)
})
