/**
 * `pogctl install`: what is written for each engine, below another root; and back again.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Client } from '../../src/control/client.ts'
import type { Context } from '../../src/control/command/context.ts'
import { ENGINES } from '../../src/control/command/install-engines.ts'
import { install, type InstallOptions, uninstall } from '../../src/control/command/install.ts'

/** A root directory with some files, and pogctl on it. */
function rootWith(t: ExecutionContext, files: Record<string, string> = {}) {
	const root = mkdtempSync(join(tmpdir(), 'pogs-install-'))
	t.teardown(() => rmSync(root, { recursive: true, force: true }))
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(root, path)), { recursive: true })
		writeFileSync(join(root, path), text, { mode: 0o600 })
	}
	const said: string[] = []
	const context: Context = {
		runDir: root,
		json: false,
		terminal: false,
		colour: false,
		client: new Client(root),
		out: text => Promise.resolve(void said.push(text)),
		err: text => void said.push(text),
	}
	const call = async (command: typeof install, engine: string, options: InstallOptions = {}) => {
		said.length = 0
		const code = await command(context, engine, { root, ...options })
		return { code, said: said.join('') }
	}
	const tree = () => {
		const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
		return Object.fromEntries(
			files
				.map(entry => join(entry.parentPath, entry.name))
				.map(path => [path.slice(root.length), readFileSync(path, 'utf8')]),
		)
	}
	return { root, tree, install: call.bind(null, install), uninstall: call.bind(null, uninstall) }
}

for (const engine of Object.keys(ENGINES)) {
	test(`uninstall ${engine} leaves nothing of what install made, and a dry run writes nothing`, async t => {
		const { tree, ...pogctl } = rootWith(t)
		const dry = await pogctl.install(engine, { dryRun: true })
		t.is(dry.code, 0)
		t.regex(dry.said, /^\+.*pogs/m)
		t.deepEqual(tree(), {})
		t.is((await pogctl.install(engine)).code, 0)
		const installed = tree()
		t.true(Object.keys(installed).length > 0)
		t.notRegex(JSON.stringify(installed), /@[A-Z]+@/)
		t.regex((await pogctl.install(engine)).said, /nothing to change/)
		t.is((await pogctl.uninstall(engine)).code, 0)
		t.deepEqual(tree(), {})
		t.regex((await pogctl.uninstall(engine)).said, /nothing to change/)
	})
}

const DAEMON = '{\n  "log-driver": "json-file",\n  "runtimes": { "kata": { "path": "/usr/bin/kata" } }\n}\n'

test('daemon.json keeps what others set, its indent and mode, and comes back byte for byte', async t => {
	const { root, tree, ...pogctl } = rootWith(t, { 'etc/docker/daemon.json': DAEMON })
	const { said } = await pogctl.install('docker')
	t.regex(said, /^\+ {2}"default-runtime": "pogs"$/m)
	const after = JSON.parse(tree()['/etc/docker/daemon.json'] ?? '') as Record<string, unknown>
	t.is(after['log-driver'], 'json-file')
	t.deepEqual(Object.keys(after['runtimes'] as object), ['kata', 'pogs'])
	t.is(statSync(join(root, 'etc/docker/daemon.json')).mode & 0o777, 0o600)
	t.is(tree()['/etc/docker/daemon.json.before-pogs'], DAEMON)
	await pogctl.uninstall('docker')
	t.deepEqual(tree(), { '/etc/docker/daemon.json': DAEMON })
})

test('what somebody changed after install stays after uninstall', async t => {
	const { root, tree, ...pogctl } = rootWith(t, { 'etc/docker/daemon.json': DAEMON })
	await pogctl.install('docker')
	const changed = { ...(JSON.parse(tree()['/etc/docker/daemon.json'] ?? '') as object), debug: true }
	writeFileSync(join(root, 'etc/docker/daemon.json'), JSON.stringify(changed))
	await pogctl.uninstall('docker')
	const {
		'log-driver': driver,
		debug,
		runtimes,
		...rest
	} = JSON.parse(tree()['/etc/docker/daemon.json'] ?? '') as Record<string, unknown>
	t.deepEqual([driver, debug, runtimes, rest], ['json-file', true, { kata: { path: '/usr/bin/kata' } }, {}])
})

test('a default runtime that somebody chose stays, and --opt-in chooses none', async t => {
	const own = rootWith(t, { 'etc/docker/daemon.json': '{"default-runtime":"kata"}' })
	t.regex((await own.install('docker')).said, /default runtime stays "kata"/)
	t.regex(own.tree()['/etc/docker/daemon.json'] ?? '', /"default-runtime": "kata"/)
	const none = rootWith(t)
	await none.install('docker', { optIn: true })
	t.notRegex(none.tree()['/etc/docker/daemon.json'] ?? '', /default-runtime/)
})

test('a file that is not understood is left alone', async t => {
	const { tree, ...pogctl } = rootWith(t, {
		'etc/docker/daemon.json': '{"runtimes": [',
		'etc/containerd/config.toml': 'version = 3\n',
	})
	const before = tree()
	for (const engine of ['docker', 'containerd']) {
		const { code, said } = await pogctl.install(engine)
		t.is(code, 1)
		t.regex(said, /Cannot change \/etc\//)
	}
	t.is((await pogctl.install('rkt')).code, 2)
	t.deepEqual(tree(), before)
})

test('containerd gets one block at the end, and the rest of its file stays as it is', async t => {
	const text = 'version = 2\ndisabled_plugins = ["x"]\n\n# the end\n'
	const { tree, root, ...pogctl } = rootWith(t, { 'etc/containerd/config.toml': text })
	await pogctl.install('containerd')
	const path = '/etc/containerd/config.toml'
	t.true(tree()[path]?.startsWith(text))
	t.is(tree()[path]?.match(/containerd\.runtimes\.pogs\]/g)?.length, 1)
	// Without the backup it is the block that goes.
	rmSync(join(root, `${path}.before-pogs`))
	await pogctl.uninstall('containerd')
	t.is(tree()[path], text)
})
