/**
 * /var/log is an ordinary file system: the same battery of operations runs there and on a tmpfs of this machine, and every answer is
 * equal but for the differences that posix-differences.ts names. On the container's own files, by passthrough and without;
 * and on a view, which is a regular file for who reads it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { complaints, type Kind, unknownNames } from '../helpers/posix-differences.ts'
import { fixtureProgram, needs, output, PYTHON, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

const CONF = '*.*;syslog.none /var/log/messages\n'
const QUOTA_BYTES = 64 << 20
const LIMIT = { timeoutMs: 150_000 }
/** A tmpfs of the same size, in a mount namespace of its own: nothing is left of it. */
const ON_TMPFS = `set -e; mount -t tmpfs -o size=${QUOTA_BYTES},mode=755 tmpfs "$1"; shift; exec "$@"`

const python = needs('python3')
const services: Service[] = []
test.after.always(async () => {
	for (const service of services) await service.stop()
})

async function start(conf: string): Promise<Service> {
	const service = await startService({ etc: { 'pogs.conf': conf } })
	services.push(service)
	return service
}

function answersOf(text: string): Map<string, unknown> {
	const rows = text.split('\n').filter(line => line !== '')
	return new Map(
		rows.map(line => JSON.parse(line) as { probe: string; result: unknown }).map(row => [row.probe, row.result]),
	)
}

const PROBE = fixtureProgram('posix-probe')
const asked: string[] = []

async function probe(args: readonly string[]): Promise<Map<string, unknown>> {
	return answersOf(await output(PYTHON, [PROBE, ...args], LIMIT))
}

async function onTmpfs(service: Service, script: string, args: readonly string[]): Promise<Map<string, unknown>> {
	const place = join(service.directory, 'oracle')
	await output('mkdir', ['-p', place])
	const all = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', place, PYTHON, PROBE, ...args]
	return answersOf(await output('unshare', all, LIMIT))
}

for (const [kind, setting] of [
	['passthrough', 'on'],
	['served', 'off'],
] as const) {
	python(
		`own files, ${kind}: every operation answers as on a tmpfs, but for the differences that are named`,
		async t => {
			const service = await start(`passthrough = ${setting}\n`)
			const pog = await service.create('probe', { conf: CONF, quotaBytes: QUOTA_BYTES })
			const negotiated = async (): Promise<unknown> => (await service.describe()).features['passthrough']
			await until('the kernel says what it can', async () => (await negotiated()) !== undefined)
			const passthrough = await negotiated()
			if (kind === 'passthrough' && passthrough !== true) {
				t.log('this kernel has no passthrough: the files are served')
				t.pass()
				return
			}
			t.is(passthrough, kind === 'passthrough')
			const place = join(pog.paths.varLog, 'probe')
			await output('mkdir', [place])
			const answers = await probe(['--dir', place])
			const oracle = await onTmpfs(service, ON_TMPFS, ['--dir', join(service.directory, 'oracle')])
			t.deepEqual([...answers.keys()], [...oracle.keys()], 'the same probes were asked')
			asked.push(...oracle.keys())
			const wrong = complaints(kind, oracle, answers)
			t.is(wrong.join('\n'), '')
			t.is(await output('ls', ['-A', place]), '')
			t.is(service.said().includes('error'), false, service.said())
		},
	)

	python(`own files, ${kind}: 8 processes append without a torn or a lost line`, async t => {
		const service = services.at(-1) ?? (await start(`passthrough = ${setting}\n`))
		const pog = await service.create(`append-${setting}`, { conf: CONF, ringBytes: 1 << 20 })
		await append(join(pog.paths.varLog, 'own.log'), 600)
		expectLines(t, await pog.cat(join(pog.paths.varLog, 'own.log')), 600)
	})
}

async function append(path: string, lines: number): Promise<void> {
	await output(PYTHON, [fixtureProgram('append-lines.py'), path, '8', String(lines)], LIMIT)
}

/** Every line of every process is there whole, once, and those of one process in their order. */
function expectLines(
	t: { deepEqual(a: unknown, b: unknown, message?: string): void },
	text: string,
	lines: number,
): void {
	const next = Array.from({ length: 8 }, () => 0)
	const odd: string[] = []
	for (const line of text.split('\n').slice(0, -1)) {
		const [, process = '', number = ''] = /^p(\d)-(\d+)-x*\.$/.exec(line) ?? []
		if (process === '' || Number(number) !== next[Number(process)]) odd.push(line)
		else next[Number(process)] = Number(number) + 1
	}
	t.deepEqual(odd.slice(0, 5), [], 'torn, doubled or out of order')
	t.deepEqual(
		next,
		Array.from({ length: 8 }, () => lines),
	)
}

async function viewOf(service: Service, name: string): Promise<[Pog, string]> {
	const pog = await service.create(name, { conf: CONF, hostname: 'box', ringBytes: 1 << 20 })
	return [pog, join(pog.paths.varLog, 'messages')]
}

python(
	'a view, a file of lines: every operation answers as on a tmpfs, but for the differences that are named',
	async t => {
		const service = await start('')
		const [pog, view] = await viewOf(service, 'view')
		await pog.send(...Array.from({ length: 150 }, (_, n) => `<14>app: message ${n} ${'of some length '.repeat(n % 7)}`))
		await until('the messages are accepted', async () => (await pog.info()).accepted.devlog === 150)
		const copy = join(service.directory, 'copy')
		writeFileSync(copy, await pog.cat(view), 'latin1')
		const place = join(pog.paths.varLog, 'probe')
		await output('mkdir', [place])
		const like = `${ON_TMPFS.replace('shift; exec', `cp ${copy} "$1/messages"; chmod 640 "$1/messages"; mkdir "$1/probe"; shift; exec`)}`
		const oracleDir = join(service.directory, 'oracle')
		const oracle = await onTmpfs(service, like, ['--dir', `${oracleDir}/probe`, '--view', `${oracleDir}/messages`])
		const answers = await probe(['--dir', place, '--view', view])
		t.deepEqual([...answers.keys()], [...oracle.keys()], 'the same probes were asked')
		asked.push(...oracle.keys())
		const kind: Kind = 'view'
		const wrong = complaints(kind, oracle, answers)
		t.is(wrong.join('\n'), '')
	},
)

python('a view takes appended lines of 8 processes without a torn or a lost line', async t => {
	const service = services.at(-1) ?? (await start(''))
	const [pog, view] = await viewOf(service, 'append-view')
	await append(view, 600)
	expectLines(t, await pog.cat(view), 600)
})

python('/dev/kmsg takes the records of 8 processes without a torn or a lost one', async t => {
	const service = services.at(-1) ?? (await start(''))
	const [pog] = await viewOf(service, 'append-kmsg')
	await append(pog.paths.devKmsg, 400)
	const records = (await pog.records()).filter(record => record.origin === 'kmsg')
	expectLines(t, records.map(record => `${record.text}\n`).join(''), 400)
})

python('every difference that is named belongs to a probe', t => {
	t.deepEqual(unknownNames(asked), [])
})
