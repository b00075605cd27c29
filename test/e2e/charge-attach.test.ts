/**
 * A container that ran before it had a POG pays for it like any other, for its ring and for its own files, and is never killed for it.
 *
 * Source of truth: memory.stat and memory.oom_control of the kernel. Needs the memory controller of cgroup v1 and root.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { geometry } from '../../src/ring/layout.ts'
import { BUSYBOX, type Container, makeRoot, unshared } from '../helpers/containers.ts'
import { needs, output, run, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

const MEMORY = '/sys/fs/cgroup/memory'
const MIB = 1024 * 1024
const RING = geometry(256 * 1024).fileBytes

let service: Service
let serial = 0

const CAN = existsSync(`${MEMORY}/memory.limit_in_bytes`) && process.geteuid?.() === 0

function needsV1(title: string, body: (t: ExecutionContext) => Promise<void>): void {
	if (CAN) needs(BUSYBOX, 'unshare', 'nsenter')(title, body)
	else test.serial.skip(`${title} (needs the memory controller of cgroup v1, root)`, body)
}

test.before(async () => {
	service = await startService({ etc: { 'pogs.conf': 'retain-count = 0\n' } })
})
test.after.always(() => service?.stop())

interface Charged {
	readonly name: string
	readonly container: Container
	/** Bytes of shared memory that the group pays for. */
	readonly shmem: () => number
	readonly oomKills: () => number
	/** Leaves it room for so many bytes. */
	readonly leave: (bytes: number) => void
	readonly attach: () => Promise<void>
	/** In the container, and in its group. */
	readonly sh: (script: string) => Promise<string>
}

async function withContainer(body: (charged: Charged) => Promise<void>): Promise<void> {
	const name = `charged-${process.pid}-${++serial}`
	const group = join(MEMORY, name)
	mkdirSync(group)
	const container = await unshared(makeRoot(service.directory))
	const read = (file: string, key: string): number =>
		Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(readFileSync(join(group, file), 'latin1'))?.[1])
	try {
		writeFileSync(join(group, 'cgroup.procs'), String(container.pid))
		await body({
			name,
			container,
			shmem: () => read('memory.stat', 'shmem'),
			oomKills: () => read('memory.oom_control', 'oom_kill'),
			leave: bytes => {
				const used = Number(readFileSync(join(group, 'memory.usage_in_bytes'), 'latin1'))
				writeFileSync(join(group, 'memory.limit_in_bytes'), String(used + bytes))
			},
			attach: async () => {
				const { status, text } = await service.call('PUT', `/v1/pogs/${name}/container`, { pid: container.pid })
				if (status >= 300) throw new Error(text)
			},
			sh: script => {
				const enter = 'echo $$ >"$1/cgroup.procs"; exec nsenter -t "$2" -m -p -r -w /bin/sh -c "$3"'
				return output('sh', ['-c', enter, 'sh', group, String(container.pid), script])
			},
		})
	} finally {
		await container.stop()
		await until('the cgroup is empty', () => readFileSync(join(group, 'cgroup.procs'), 'latin1') === '')
		await until('its POG is gone', async () => (await service.call('GET', `/v1/pogs/${name}`)).status === 404)
		rmdirSync(group)
	}
}

needsV1(
	'the ring is charged to the container it was attached to, of whatever size, and so are its own files',
	async t => {
		await withContainer(async ({ name, shmem, oomKills, attach, sh }) => {
			t.is(shmem(), 0)
			await attach()
			await until('the ring is paid for', () => shmem() === RING)
			await sh(`logger charged; busybox yes | busybox head -c ${3 * MIB} >/var/log/own`)
			t.is(shmem(), RING + 3 * MIB)
			await sh('rm /var/log/own')
			t.is(shmem(), RING)
			t.is((await service.call('PUT', `/v1/pogs/${name}/ring`, { sizeBytes: MIB })).status, 200)
			await until('the larger one is, too', () => shmem() === geometry(MIB).fileBytes)
			t.true((await service.call('GET', `/v1/pogs/${name}/records`)).text.includes('"text":"charged"'))
			t.is(oomKills(), 0)
		})
	},
)

needsV1('a container that is full keeps what it runs, and is told', async t => {
	await withContainer(async ({ name, container, shmem, oomKills, leave, attach }) => {
		leave(RING / 2)
		await attach()
		let said = ''
		await until('it was told', async () => {
			said = (await service.call('GET', `/v1/pogs/${name}/records`)).text
			return said.includes('the ring is')
		})
		t.regex(said, /the ring is (?:not charged to the container: .*has room for|\d+k: the container has no memory)/)
		t.true(shmem() < RING)
		t.is(oomKills(), 0)
		t.is((await run('kill', ['-0', String(container.pid)])).code, 0)
	})
})

needsV1('when the engine is killed before it has come to that, the next one sees to it', async t => {
	await withContainer(async ({ shmem, attach }) => {
		const { engine } = await service.describe()
		await attach()
		process.kill(engine.pid, 'SIGKILL')
		t.is(shmem(), 0)
		await until('the next engine has', () => shmem() === RING, 20_000)
	})
})
