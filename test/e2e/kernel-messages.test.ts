/**
 * What the kernel says about a container is in that container's own dmesg, and in no other's: with real OOM kills, rejected forks and
 * crashes in real containers.
 *
 * Source of truth: the host's own /dev/kmsg for what was said and when.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { RecordInfo } from '../../src/pog/info.ts'
import { stampsAheadMs, stampsOf } from '../helpers/kernel-clock.ts'
import { find, needs, output, run, TOP, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

const MIB = 1 << 20
const TAG = `pogs-kernel-${process.pid}`

let service: Service
const containers: string[] = []

test.before(async () => {
	// An engine that is loaded beside, here from TypeScript, takes a processor for seconds.
	service = await startService({ etc: { 'pogs.conf': 'retain-count = 0\nstandby = off\n' } })
})
test.after.always(async () => {
	for (const id of containers) {
		await runc('kill', id, 'KILL')
		await until(`${id} is gone`, async () => (await runc('delete', '--force', id)).code === 0).catch(() => undefined)
	}
	await service?.stop()
})

function runc(...argv: readonly string[]): ReturnType<typeof run> {
	const env = { POGS_RUN_DIR: service.runDir, POGS_RUNTIME: 'runc' }
	return run(join(TOP, 'mount/pogs-runc'), ['--root', join(service.directory, 'runc'), ...argv], {
		env,
		timeoutMs: 20_000,
	})
}

interface Spec {
	process: { terminal: boolean; args: string[] }
	root: { readonly: boolean }
	linux: { cgroupsPath: string; resources: Record<string, unknown> }
}

/** A container that sleeps, with 32 MiB of memory and 12 processes. */
async function container(name: string): Promise<(script: string) => Promise<string>> {
	const id = `${TAG}-${name}`
	const bundle = join(service.directory, id)
	for (const each of ['bin', 'proc', 'dev', 'tmp', 'run', 'var/log'])
		mkdirSync(join(bundle, 'rootfs', each), { recursive: true })
	cpSync(find('busybox') ?? '', join(bundle, 'rootfs/bin/busybox'))
	for (const applet of ['sh', 'sleep', 'dmesg', 'dd', 'cat', 'kill'])
		symlinkSync('busybox', join(bundle, 'rootfs/bin', applet))
	await output('runc', ['spec'], { cwd: bundle })
	const path = join(bundle, 'config.json')
	const spec = JSON.parse(readFileSync(path, 'utf8')) as Spec
	spec.process.terminal = false
	spec.process.args = ['/bin/sleep', '600']
	spec.root.readonly = false
	spec.linux.cgroupsPath = `/${id}`
	spec.linux.resources['memory'] = { limit: 32 * MIB, swap: 32 * MIB }
	spec.linux.resources['pids'] = { limit: 12 }
	writeFileSync(path, JSON.stringify(spec))
	containers.push(id)
	const log = join(service.directory, `${id}.log`)
	// A detached container keeps what it was started with: files, not our pipes.
	const started = await run(
		'sh',
		[
			'-c',
			'"$@" </dev/null >"$LOG" 2>&1',
			'sh',
			join(TOP, 'mount/pogs-runc'),
			'--root',
			join(service.directory, 'runc'),
			'run',
			'-d',
			'--bundle',
			bundle,
			id,
		],
		{
			env: { POGS_RUN_DIR: service.runDir, POGS_RUNTIME: 'runc', LOG: log },
			timeoutMs: 20_000,
		},
	)
	if (started.code !== 0) throw new Error(`Cannot start ${id}: ${readFileSync(log, 'utf8')}`)
	return async script => (await runc('exec', id, '/bin/sh', '-c', script)).stdout
}

async function kernelRecords(name: string): Promise<RecordInfo[]> {
	const { text } = await service.call('GET', `/v1/pogs/${TAG}-${name}/records`)
	const records = text
		.split('\n')
		.filter(Boolean)
		.map(line => JSON.parse(line) as RecordInfo)
	return records.filter(record => record.origin === 'kernel')
}

needs('runc', 'busybox')(
	'an OOM kill is in the own dmesg within 100 ms, as the kernel says it, and in no other container',
	async t => {
		const red = await container('red')
		const blue = await container('blue')
		await red('dd if=/dev/zero of=/dev/null bs=100M count=1')
		await until('it was told', async () => (await kernelRecords('red')).some(each => /Killed process/.test(each.text)))
		const records = await kernelRecords('red')
		const texts = records.map(each => each.text)
		t.regex(texts[0] ?? '', /^dd invoked oom-killer: gfp_mask=/)
		t.true(texts.some(text => text.startsWith('memory: usage 32768kB, limit 32768kB')))
		const summary = texts.find(text => text.startsWith('oom-kill:'))
		t.regex(summary ?? '', /,cpuset=\/,mems_allowed=0,oom_memcg=\/,task_memcg=\/,task=dd,pid=\d{1,2},uid=0$/)
		const killed = records.find(each => /^Memory cgroup out of memory: Killed process \d{1,2} \(dd\) /.test(each.text))
		t.truthy(killed, texts.join('\n'))
		t.is(killed?.facility, 0)
		t.is(killed?.severity, 3)
		const saidMs = ((await stampsOf(/Killed process \d+ \(dd\)/)).at(-1) ?? Number.NaN) - (await stampsAheadMs())
		const delayMs = (killed?.monotonicUs ?? 0) / 1000 - saidMs
		t.true(delayMs > -5 && delayMs < 100, `${delayMs} ms`)
		t.log(`told ${delayMs.toFixed(1)} ms after the kernel`)
		const dmesg = await red('dmesg')
		t.regex(dmesg, /Killed process \d+ \(dd\)/)
		t.notRegex(texts.join('\n'), new RegExp(`${TAG}|Call Trace|Code: |CPU: |\\+0x`))
		t.is(await blue('dmesg'), '')
		t.deepEqual(await kernelRecords('blue'), [])
	},
)

needs(
	'runc',
	'busybox',
	'gcc',
)('forks beyond pids.max and crashes are told to the container they happen in', async t => {
	const green = await container('green')
	await green('for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 0.1 & done; wait')
	await until('the fork was told', async () =>
		(await kernelRecords('green')).some(each => each.text === 'cgroup: fork rejected by pids controller in /'),
	)
	// The kernel says nothing of a SIGSEGV that was sent; a process that crashes by itself has to be compiled.
	const source = join(service.directory, 'crash.c')
	writeFileSync(source, 'int main(void) { *(volatile int *)0 = 1; }')
	const program = join(service.directory, `${TAG}-green/rootfs/bin/crash`)
	await output('gcc', ['-static', '-o', program, source], { timeoutMs: 30_000 })
	const crashes = async (): Promise<string[]> =>
		(await kernelRecords('green')).map(each => each.text).filter(text => text.startsWith('crash['))
	// A process may be gone before we see it; of several one is seen.
	await until('a crash was told', async () => {
		await green('crash')
		return (await crashes()).length > 0
	})
	t.regex(
		(await crashes())[0] ?? '',
		/^crash\[\d{1,3}\]: segfault at 0 ip [0-9a-f]+ sp [0-9a-f]+ error 6 in crash\[[^\]]*\]$/,
	)
})
