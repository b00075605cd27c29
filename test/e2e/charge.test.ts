/**
 * A container pays for its ring, and is never killed for it: real memory cgroups with real limits.
 *
 * Source of truth: memory.stat and memory.oom_control of the kernel. Needs the memory controller of cgroup v1 and root.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { chargeFile, memoryCgroupOf, type MemoryCgroup } from '../../src/attach/charge.ts'
import { BUSYBOX, makeRoot } from '../helpers/containers.ts'
import { find, output, PYTHON, run, type Running, start, TOP, until } from '../helpers/programs.ts'

const MEMORY = '/sys/fs/cgroup/memory'
const MIB = 1024 * 1024

let directory: string
let serial = 0

const CAN = existsSync(`${MEMORY}/memory.limit_in_bytes`) && process.geteuid?.() === 0

function needsV1(title: string, body: (t: ExecutionContext) => Promise<void>, ...programs: string[]): void {
	const missing = programs.filter(program => !find(program))
	if (CAN && missing.length === 0) test.serial(title, body)
	else test.serial.skip(`${title} (needs ${['the memory controller of cgroup v1, root', ...missing].join(', ')})`, body)
}

test.before(async () => {
	directory = mkdtempSync(join(tmpdir(), 'pogs-charge-'))
	mkdirSync(join(directory, 'store'))
	if (CAN) await output('mount', ['-t', 'tmpfs', 'charge', join(directory, 'store')])
})
test.after.always(async () => {
	if (CAN) await output('umount', [join(directory, 'store')])
	rmSync(directory, { recursive: true, force: true })
})

/** A file without pages on the tmpfs. */
function ringFile(): string {
	const path = join(directory, 'store', `ring-${++serial}`)
	writeFileSync(path, '')
	return path
}

interface Group {
	readonly cgroup: MemoryCgroup
	/** A field of memory.stat or memory.oom_control, or the text of another file of the group. */
	stat(file: 'memory.stat' | 'memory.oom_control', key: string): number
	/** A program in the group that touches so many bytes of its own, says "ready" and waits. */
	occupy(bytes: number): Promise<Running>
}

/** A memory cgroup with a limit for one test. */
async function withGroup(limitBytes: number, body: (group: Group) => Promise<void>): Promise<void> {
	const path = join(MEMORY, `pogs-test-${process.pid}-${++serial}`)
	const running: Running[] = []
	mkdirSync(path)
	try {
		writeFileSync(join(path, 'memory.limit_in_bytes'), String(limitBytes))
		await body({
			cgroup: { version: 1, directory: path, top: MEMORY },
			stat: (file, key) => {
				const match = new RegExp(`^${key} (\\d+)$`, 'm').exec(readFileSync(join(path, file), 'latin1'))
				return Number(match?.[1])
			},
			occupy: async bytes => {
				const script = `import sys; hold = bytearray(b'x') * ${bytes}; print('ready', flush=True); sys.stdin.read()`
				const program = start('sh', ['-c', 'echo $$ >"$1/cgroup.procs"; exec "$2" -c "$3"', 'sh', path, PYTHON, script])
				running.push(program)
				await program.printed('the memory is taken', stdout => stdout.includes('ready'))
				return program
			},
		})
	} finally {
		for (const program of running) await program.stop('SIGKILL')
		await until('the cgroup is empty', () => readFileSync(join(path, 'cgroup.procs'), 'latin1') === '')
		rmdirSync(path)
	}
}

needsV1('a ring is charged to the cgroup, page for page', async t => {
	await withGroup(64 * MIB, async group => {
		const path = ringFile()
		t.deepEqual(await chargeFile({ cgroup: group.cgroup, path, bytes: 5 * MIB }), { bytes: 5 * MIB })
		t.is(statSync(path).blocks * 512, 5 * MIB)
		t.is(group.stat('memory.stat', 'shmem'), 5 * MIB)
		rmSync(path)
		await until('the charge is gone with the file', () => group.stat('memory.stat', 'shmem') === 0)
	})
})

needsV1('a container with little room keeps what it runs, and gets a smaller ring', async t => {
	await withGroup(24 * MIB, async group => {
		const application = await group.occupy(8 * MIB)
		const path = ringFile()
		const charged = await chargeFile({ cgroup: group.cgroup, path, bytes: 64 * MIB })
		t.true(charged.bytes >= MIB && charged.bytes < 16 * MIB, `${charged.bytes}`)
		t.is(charged.problem, `The container has room for ${charged.bytes} of ${64 * MIB} bytes`)
		t.is(group.stat('memory.stat', 'shmem'), charged.bytes)
		t.is(group.stat('memory.oom_control', 'oom_kill'), 0)
		t.is(application.child.exitCode, null)
		t.is(application.child.signalCode, null)
		rmSync(path)
	})
})

needsV1('a container that is full pays nothing and loses nothing', async t => {
	await withGroup(16 * MIB, async group => {
		const application = await group.occupy(1 * MIB)
		const used = Number(readFileSync(join(group.cgroup.directory, 'memory.usage_in_bytes'), 'latin1'))
		writeFileSync(join(group.cgroup.directory, 'memory.limit_in_bytes'), String(used + 256 * 1024))
		const path = ringFile()
		const charged = await chargeFile({ cgroup: group.cgroup, path, bytes: MIB })
		t.deepEqual(charged, { bytes: 0, problem: `The container has room for 0 of ${MIB} bytes` })
		t.is(group.stat('memory.oom_control', 'oom_kill'), 0)
		t.is(application.child.signalCode, null)
	})
})

needsV1('when memory runs out all the same, the helper is the one that goes', async t => {
	await withGroup(32 * MIB, async group => {
		const application = await group.occupy(2 * MIB)
		const path = ringFile()
		// As if the room had gone right after the helper looked: with no level to look at it sees no limit.
		const cgroup = { ...group.cgroup, top: group.cgroup.directory }
		const charged = await chargeFile({ cgroup, path, bytes: 64 * MIB })
		t.is(charged.bytes, 0)
		t.true(group.stat('memory.oom_control', 'oom_kill') > 0, 'the limit was not reached')
		t.is(application.child.exitCode, null)
		t.is(application.child.signalCode, null)
		t.true(group.stat('memory.stat', 'shmem') < MIB)
		rmSync(path)
	})
})

needsV1(
	'where the helper cannot tell its cgroup it asks for nothing',
	async t => {
		await withGroup(32 * MIB, async group => {
			const path = ringFile()
			const script = 'echo $$ >"$1/cgroup.procs"; exec unshare -C sh "$2" "$3" 1048576 262144'
			const said = await run('sh', ['-c', script, 'sh', group.cgroup.directory, join(TOP, 'mount/pogs-charge'), path])
			t.is(said.stdout, '0\n')
			t.is(said.stderr, 'pogs-charge: cannot tell the name of our memory cgroup here\n')
			t.is(statSync(path).blocks, 0)
		})
	},
	'unshare',
)

for (const runtime of ['runc', 'crun']) {
	needsV1(
		`a container of ${runtime} pays, from its hook and while it runs`,
		async t => {
			const root = makeRoot(directory)
			const bundle = join(directory, `bundle-${++serial}`)
			const id = `pogs-charge-${process.pid}-${serial}`
			mkdirSync(bundle)
			await output(runtime, ['spec'], { cwd: bundle })
			const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as Spec
			config.root = { path: root, readonly: false }
			config.process.terminal = false
			config.process.args = ['/bin/sh', '-c', 'echo ready; exec cat']
			config.linux.cgroupsPath = `/${id}`
			config.linux.resources = { memory: { limit: 48 * MIB } }
			const [fromHook, later] = [ringFile(), ringFile()]
			const helper = join(TOP, 'mount/pogs-charge')
			const args = ['sh', helper, fromHook, String(2 * MIB), String(MIB / 4)]
			config.hooks = { createContainer: [{ path: '/bin/sh', args }] }
			writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
			const pidFile = join(bundle, 'pid')
			const running = start(runtime, ['run', '--bundle', bundle, '--pid-file', pidFile, id])
			try {
				await running.printed('the container is up', stdout => stdout.includes('ready'))
				// runc writes it when the program runs already.
				await until('its process is written down', () => existsSync(pidFile))
				const shmem = (): number => {
					const text = readFileSync(join(MEMORY, id, 'memory.stat'), 'latin1')
					return Number(/^total_shmem (\d+)$/m.exec(text)?.[1])
				}
				t.is(statSync(fromHook).blocks * 512, 2 * MIB)
				t.is(shmem(), 2 * MIB)
				const cgroup = memoryCgroupOf(Number(readFileSync(pidFile, 'latin1')))
				t.deepEqual(cgroup, { version: 1, directory: join(MEMORY, id), top: MEMORY })
				if (cgroup === undefined) return
				t.deepEqual(await chargeFile({ cgroup, path: later, bytes: 3 * MIB }), { bytes: 3 * MIB })
				t.is(shmem(), 5 * MIB)
				const all = await chargeFile({ cgroup, path: ringFile(), bytes: 128 * MIB })
				t.true(all.bytes > 16 * MIB && all.bytes < 44 * MIB, `${all.bytes}`)
				t.regex(readFileSync(join(MEMORY, id, 'memory.oom_control'), 'latin1'), /^oom_kill 0$/m)
				t.is(running.child.exitCode, null)
			} finally {
				await run(runtime, ['kill', id, 'KILL'])
				await running.ended()
				await run(runtime, ['delete', '--force', id])
			}
		},
		runtime,
		BUSYBOX,
	)
}

interface Spec {
	root: { path: string; readonly: boolean }
	process: { terminal: boolean; args: string[] }
	hooks?: { createContainer: { path: string; args: string[] }[] }
	linux: { cgroupsPath?: string; resources?: { memory: { limit: number } } }
}
