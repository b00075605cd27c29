/**
 * A container that is given everything (all capabilities, all devices, as `docker run --privileged`) has its own log all the same, by
 * whatever way it asks; CAP_SYSLOG it does not get, so that it finds the host's log closed below what it unmounts.
 *
 * Source of truth: a word that is only in the machine's log, and the machine's own dmesg, which shows it.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { BUSYBOX } from '../helpers/containers.ts'
import { needs, output, run, TOP } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

const HOST_WORD = `hostcanary${process.pid}`
const OWN_WORD = 'owncanary'

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

interface Spec {
	process: { terminal: boolean; args: string[]; capabilities: Record<string, string[]>; noNewPrivileges: boolean }
	root: { readonly: boolean }
	mounts: { destination: string; type: string; source: string; options: string[] }[]
	linux: {
		devices?: object[]
		maskedPaths?: string[]
		readonlyPaths?: string[]
		resources: Record<string, unknown>
	}
}

/** All that this machine lets anybody have, in hex: what `--privileged` gives. */
const ALL = /^CapEff:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? ''
const CAP_SYSLOG = 34n

/** Their names (linux/capability.h). */
async function allCapabilities(): Promise<string[]> {
	const { stdout } = await run('capsh', [`--decode=${ALL}`])
	return (stdout.split('=')[1] ?? '').trim().toUpperCase().split(',')
}

async function privileged(runtime: string, script: string): Promise<string> {
	const id = `pogs-privileged-${process.pid}-${runtime}`
	const bundle = join(service.directory, id)
	for (const each of ['usr', 'proc', 'dev', 'etc', 'tmp', 'run', 'sys', 'var/log', 'busybox'])
		mkdirSync(join(bundle, 'rootfs', each), { recursive: true })
	for (const each of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${each}`, join(bundle, 'rootfs', each))
	await output('cp', [BUSYBOX, join(bundle, 'rootfs/busybox/busybox')])
	await output(runtime, ['spec'], { cwd: bundle })
	const path = join(bundle, 'config.json')
	const spec = JSON.parse(readFileSync(path, 'utf8')) as Spec
	const capabilities = await allCapabilities()
	spec.process.terminal = false
	spec.process.args = ['/bin/sh', '-c', script]
	spec.process.noNewPrivileges = false
	for (const set of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'])
		spec.process.capabilities[set] = capabilities
	spec.root.readonly = false
	spec.mounts.push({ destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro'] })
	// Engines name every device of the machine, this one too.
	spec.linux.devices = [{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o644, uid: 0, gid: 0 }]
	spec.linux.resources['devices'] = [{ allow: true, access: 'rwm' }]
	delete spec.linux.maskedPaths
	delete spec.linux.readonlyPaths
	writeFileSync(path, JSON.stringify(spec))
	const root = ['--root', join(service.directory, runtime)]
	const wrapper = join(TOP, `mount/pogs-${runtime}`)
	const env = { POGS_RUN_DIR: service.runDir, POGS_RUNTIME: runtime }
	try {
		const ended = await run(wrapper, [...root, 'run', '--bundle', bundle, id], { env, timeoutMs: 40_000 })
		if (ended.code !== 0) throw new Error(`${ended.code}: ${ended.stdout}${ended.stderr}`)
		return ended.stdout
	} finally {
		await run(wrapper, [...root, 'delete', '--force', id], { env })
	}
}

/** Ways to the log of a system, each with what has to be in its output. */
const READS: readonly string[] = [
	'dmesg',
	'dmesg -S',
	'/busybox/busybox dmesg',
	'timeout 1 cat /proc/kmsg; true',
	'timeout 1 cat /dev/kmsg; true',
	'cat /var/log/messages',
	'dmesg -S -c',
]

for (const runtime of ['runc', 'crun']) {
	needs(runtime, 'capsh')(
		`all capabilities of ${runtime} show a container its own log and none of the machine's`,
		async t => {
			await output('sh', ['-c', `echo '<14>${HOST_WORD}' >/dev/kmsg`])
			const host = await output('dmesg', [])
			t.true(host.includes(HOST_WORD))
			const script = [
				'grep CapEff /proc/self/status',
				`echo '<14>${OWN_WORD}' >/dev/kmsg`,
				...READS.map((read, n) => `echo "== ${n}"; ${read} 2>&1`),
				'echo "== left"; dmesg -S | wc -l',
				'echo "== below"; umount /proc/kmsg; timeout 1 cat /proc/kmsg 2>&1',
				'mkdir /tmp/proc; mount -t proc proc /tmp/proc && timeout 1 cat /tmp/proc/kmsg 2>&1',
				'echo "== device"; mknod /tmp/kmsg c 1 11 2>&1; timeout 1 cat /tmp/kmsg 2>&1; true',
			]
			const said = await privileged(runtime, script.join('\n'))
			const [first = '', ...sections] = said.split(/^== .*\n/m)
			const held = BigInt(`0x${first.trim().split(/\s+/)[1]}`)
			t.is(held | (1n << CAP_SYSLOG), BigInt(`0x${ALL}`))
			t.is((held >> CAP_SYSLOG) & 1n, 0n)
			for (const [n, read] of READS.entries()) {
				t.is((sections[n] ?? '').split(OWN_WORD).length, 2, `${read}: ${sections[n]}`)
				t.is((sections[n] ?? '').trim().split('\n').length, 1, `${read}: ${sections[n]}`)
			}
			t.is((sections[READS.length] ?? '').trim(), '0')
			// It may unmount, and mount a procfs of its own: the kernel does not open what it finds there.
			t.is((sections[READS.length + 1] ?? '').match(/Operation not permitted/g)?.length, 2, sections[READS.length + 1])
			// The device of that number is refused to it, or it would make itself the machine's.
			t.regex(sections[READS.length + 2] ?? '', /Operation not permitted|Permission denied/)
			t.false(said.includes(HOST_WORD))
			// Cleared by the container, and the machine's is whole.
			t.true((await output('dmesg', [])).includes(HOST_WORD))
			t.false((await output('dmesg', [])).includes(OWN_WORD))
		},
	)
}
