/**
 * The command lines of mount/pogs-runc: which ask pogshim, with which container and bundle, and what the runtime gets.
 *
 * Source of truth: the global and command options of runc(8) 1.1 and crun(1) 1.8. Pogshim is a file here: the wrapper writes its question to
 * the beginning and reads the answer behind it, so the answer lies where the expected question ends.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'

const WRAPPER = new URL('../../mount/pogs-runc', import.meta.url).pathname

interface Ended {
	readonly code: number | null
	readonly stderr: string
	/** What the runtime was called with, a call a row. */
	readonly calls: string[][]
	/** The question, as far as it is as long as the one that was expected. */
	readonly asked: string
}

class Host {
	readonly directory = mkdtempSync(join(tmpdir(), 'pogs-wrapper-'))
	readonly run = join(this.directory, 'run')
	readonly #ctl = join(this.run, 'host/ctl')
	readonly #log = join(this.directory, 'calls')

	constructor(t: ExecutionContext) {
		t.teardown(() => rmSync(this.directory, { recursive: true, force: true }))
		mkdirSync(join(this.run, 'host'), { recursive: true })
		for (const name of ['runc', 'crun']) {
			const script = `#!/bin/sh\n{ printf '%s\\n' ${name} "$@"; echo; } >>'${this.#log}'\nexit \${CODE:-0}\n`
			writeFileSync(join(this.directory, name), script, { mode: 0o755 })
		}
	}

	/** `question`: what pogshim is expected to be asked; without one it is not there. */
	async wrap(
		argv: readonly string[],
		{ question, answer = 'ok', env = {}, program = WRAPPER }: Expected = {},
	): Promise<Ended> {
		for (const path of [this.#log, this.#ctl]) rmSync(path, { force: true })
		const length = Buffer.byteLength(question ?? '') + 1
		if (question !== undefined) writeFileSync(this.#ctl, `${'.'.repeat(length)}${answer}\n`)
		const child = spawn(program, [...argv], {
			cwd: this.directory,
			env: {
				PATH: `${this.directory}:${process.env['PATH']}`,
				POGS_RUN_DIR: this.run,
				POGS_RUNTIME_FILE: '/dev/null',
				...env,
			},
			stdio: ['ignore', 'ignore', 'pipe'],
		})
		let stderr = ''
		child.stderr.setEncoding('utf8').on('data', (piece: string) => {
			stderr += piece
		})
		const code = await new Promise<number | null>(resolve => child.once('close', resolve))
		const calls = existsSync(this.#log) ? readFileSync(this.#log, 'utf8').split('\n\n') : []
		const asked = question === undefined ? '' : readFileSync(this.#ctl, 'utf8').slice(0, length - 1)
		return { code, stderr, asked, calls: calls.filter(Boolean).map(call => call.trim().split('\n')) }
	}
}

interface Expected {
	readonly question?: string
	readonly answer?: string
	readonly env?: Record<string, string>
	readonly program?: string
}

const TAB = '\t'
const prepare = (bundle: string, id: string, engine = 'runc'): string => ['prepare', bundle, id, engine].join(TAB)

/** Command lines that start a container "box" from the bundle /b, as engines write them. */
const STARTS: readonly string[] = [
	'create --bundle /b box',
	'create -b /b --pid-file /p box',
	'create --bundle=/b --console-socket=/c box',
	'create -bundle /b box',
	'run -b=/b box',
	'run --detach --bundle /b box',
	'--root /run/runc --log /l/x --log-format json --systemd-cgroup create --bundle /b --pid-file /p box',
	'--root=/run/runc --log=/l/x --log-format=json create --bundle /b box',
	'-root /create -log /run create -bundle /b box',
	// The value of an option may look like a command.
	'--root run --criu delete --rootless create --log-level delete --cgroup-manager state create --bundle /b box',
	'--debug --cgroup-manager=cgroupfs run --bundle /b box',
]

for (const line of STARTS) {
	test(`starts a container: ${line}`, async t => {
		const host = new Host(t)
		const log = join(host.directory, 'log')
		const argv = line.replace('/l/x', log).split(' ')
		const question = prepare('/b', 'box')
		const { code, asked, calls } = await host.wrap(argv, { question })
		t.is(asked, question)
		t.deepEqual(calls, [['runc', ...argv]])
		t.is(code, 0)
		// Nobody to ask: nothing is started, and the log the engine named says why.
		const refused = await host.wrap(argv)
		t.is(refused.code, 1)
		t.deepEqual(refused.calls, [])
		t.regex(refused.stderr, /^pogs-runc: No pogshim answers at .*container box is not started/)
		if (!line.includes('/l/x')) return
		const told = readFileSync(log, 'utf8')
		if (line.includes('json')) t.like(JSON.parse(told), { level: 'error' })
		else t.regex(told, /^level=error msg="pogs-runc: /)
	})
}

test('a bundle without a place is the current directory, a relative one is below it', async t => {
	const host = new Host(t)
	for (const [line, bundle] of [
		['create box', `${host.directory}/.`],
		['create --bundle sub/b box', `${host.directory}/sub/b`],
		['create --bundle ./sub box', `${host.directory}/sub`],
	] as const) {
		const question = prepare(bundle, 'box')
		t.is((await host.wrap(line.split(' '), { question })).asked, question, line)
	}
})

test('every other command goes to the runtime as it is, and pogshim is not asked', async t => {
	const host = new Host(t)
	const odd = ['exec', '--env', 'a b=*', 'box', 'sh', '-c', 'echo create "$1"']
	for (const argv of [
		['--version'],
		['--help'],
		[],
		'state box',
		'kill --all box KILL',
		'start create',
		'--root run list',
		odd,
	]) {
		const words = typeof argv === 'string' ? argv.split(' ') : argv
		const { code, asked, calls } = await host.wrap(words, { question: prepare('/b', 'box'), env: { CODE: '7' } })
		t.is(code, 7)
		t.regex(asked, /^\.*$/, words.join(' '))
		t.deepEqual(calls, [`runc\n${words.join('\n')}`.trim().split('\n')])
	}
})

test('delete is done first and told then, when it succeeded', async t => {
	const host = new Host(t)
	const question = ['exited', 'box'].join(TAB)
	for (const line of ['delete box', '--root /r delete --force box']) {
		const done = await host.wrap(line.split(' '), { question })
		t.deepEqual([done.code, done.asked, done.calls], [0, question, [['runc', ...line.split(' ')]]])
		const failed = await host.wrap(line.split(' '), { question, env: { CODE: '3' } })
		t.is(failed.code, 3)
		t.regex(failed.asked, /^\.*$/)
		t.is((await host.wrap(line.split(' '))).code, 0)
	}
})

test('a restored container is said to be one; crun is called by its name or by the policy', async t => {
	const host = new Host(t)
	const restored = prepare('/b', 'box', 'restore')
	t.is((await host.wrap('restore --bundle /b box'.split(' '), { question: restored })).asked, restored)
	const crun = prepare('/b', 'box', 'crun')
	const named = join(host.directory, 'pogs-crun')
	symlinkSync(WRAPPER, named)
	const file = join(host.directory, 'runtime')
	writeFileSync(file, 'runtime = crun\n')
	for (const more of [{ program: named }, { env: { POGS_RUNTIME: 'crun' } }, { env: { POGS_RUNTIME_FILE: file } }]) {
		const { asked, calls } = await host.wrap('create -b /b box'.split(' '), { question: crun, ...more })
		t.is(asked, crun)
		t.is(calls[0]?.[0], 'crun')
	}
})

test('what pogshim refuses is not started, with its reason; absent = start starts without, with a warning', async t => {
	const host = new Host(t)
	const question = prepare('/b', 'box')
	const argv = 'create -b /b box'.split(' ')
	const refused = await host.wrap(argv, { question, answer: 'error Cannot parse pogs.ring "x"' })
	t.deepEqual([refused.code, refused.stderr, refused.calls], [1, 'pogs-runc: Cannot parse pogs.ring "x"\n', []])
	const file = join(host.directory, 'runtime')
	writeFileSync(file, 'absent = start\n')
	for (const env of [{ POGS_ABSENT: 'start' }, { POGS_RUNTIME_FILE: file }] as Record<string, string>[]) {
		const started = await host.wrap(argv, { env })
		t.is(started.code, 0)
		t.deepEqual(started.calls, [['runc', ...argv]])
		t.regex(started.stderr, /^pogs-runc: .*container box starts WITHOUT private logs\n$/)
	}
	const unclear = await host.wrap(['create', '-b', '/a\tb', 'box'], { question })
	t.is(unclear.code, 1)
	t.regex(unclear.stderr, /a tab or newline in its id or bundle/)
	t.deepEqual(unclear.calls, [])
})
