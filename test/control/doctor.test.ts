/**
 * What `pogctl doctor` finds: a host that has everything, made of files, and then with one thing less at a time.
 *
 * Source of truth: the formats of proc(5), cgroups(7) and the kernel's admin-guide/sysctl, written down here as a kernel gives them.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type CheckResult, CHECKS, type DoctorContext, linesOf } from '../../src/control/command/doctor-checks.ts'
import { makePog, ServiceDouble } from './double.ts'
import { start } from './harness.ts'
import { launch, pogctl } from './launch.ts'

/** A host that lacks nothing. */
const HOST: Readonly<Record<string, string>> = {
	'/proc/sys/kernel/osrelease': '6.12.5-amd64\n',
	'/proc/filesystems': 'nodev\tsysfs\n\text4\nnodev\tfuse\n',
	'/dev/fuse': '',
	'/proc/sys/user/max_user_namespaces': '63000\n',
	'/proc/sys/kernel/seccomp/actions_avail': 'kill_process kill_thread trap errno user_notif trace log allow\n',
	'/proc/sys/kernel/dmesg_restrict': '1\n',
	'/proc/sys/net/unix/max_dgram_qlen': '512\n',
	'/proc/self/cgroup': '0::/user.slice\n',
	'/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory hugetlb pids\n',
	'/proc/cgroups': '#subsys_name\thierarchy\tnum_cgroups\tenabled\nhugetlb\t0\t70\t1\n',
	'/etc/docker/daemon.json': '{"default-runtime": "pogs"}\n',
	...Object.fromEntries(
		['mount', 'unshare', 'setpriv', 'nsenter', 'fallocate', 'crun', 'dockerd'].map(name => [`/usr/sbin/${name}`, '']),
	),
}

interface Host {
	readonly root: string
	readonly runDir: string
	write(files: Readonly<Record<string, string | undefined>>): void
	examine(more?: Partial<DoctorContext>): Promise<CheckResult[]>
}

async function makeHost(t: ExecutionContext): Promise<Host> {
	const root = mkdtempSync(join(tmpdir(), 'pogs-doctor-'))
	t.teardown(() => rmSync(root, { recursive: true, force: true }))
	const runDir = join(root, 'run/pogs')
	const write: Host['write'] = files => {
		for (const [path, text] of Object.entries(files)) {
			rmSync(join(root, path), { force: true, recursive: true })
			if (text === undefined) continue
			mkdirSync(dirname(join(root, path)), { recursive: true })
			writeFileSync(join(root, path), text)
			if (path.startsWith('/usr')) chmodSync(join(root, path), 0o755)
		}
	}
	write({ ...HOST, '/run/pogs/host/ctl': '' })
	const described = new ServiceDouble().describe()
	const service = { ...described, features: { passthrough: true, resend: true, keeper: 'there' } }
	const context = { root, runDir, service, pogs: [makePog(1, 'web')] }
	const examine: Host['examine'] = async more => {
		const all = await Promise.all(CHECKS.map(check => check({ ...context, ...more })))
		return all.flat()
	}
	return { root, runDir, write, examine }
}

const wrong = (results: readonly CheckResult[]): CheckResult[] => results.filter(({ state }) => state !== 'ok')

test('a host that lacks nothing is all right', async t => {
	const host = await makeHost(t)
	const results = await host.examine()
	t.deepEqual(wrong(results), [])
	const abouts = results.map(({ about }) => about)
	for (const about of [
		'kernel',
		'FUSE',
		'seccomp',
		'service',
		'keeper',
		'control file',
		'OCI runtime',
		'docker',
		'mount',
	])
		t.true(abouts.includes(about), `${about}: ${abouts.join()}`)
})

/** What is taken away, and what is found then: always one thing, with a remedy. */
const LESS: readonly [Readonly<Record<string, string | undefined>>, CheckResult['state'], string, RegExp][] = [
	[{ '/proc/sys/kernel/osrelease': '5.1.0\n' }, 'missing', 'kernel', /5\.2 or later/],
	[{ '/proc/sys/kernel/osrelease': '4.19.0-27\n' }, 'missing', 'kernel', /5\.2 or later/],
	[{ '/proc/sys/kernel/osrelease': undefined }, 'missing', 'kernel', /5\.2 or later/],
	[{ '/proc/sys/kernel/osrelease': '6.8.12\n' }, 'note', 'kernel', /Linux 6\.9/],
	[{ '/proc/sys/kernel/osrelease': '5.2.0\n' }, 'note', 'kernel', /Linux 6\.9/],
	[{ '/dev/fuse': undefined }, 'missing', 'FUSE', /modprobe fuse/],
	[{ '/proc/filesystems': 'nodev\tfusectl\n\tfuseblk\n' }, 'missing', 'FUSE', /modprobe fuse/],
	[{ '/proc/sys/user/max_user_namespaces': '0\n' }, 'note', 'user namespaces', /max_user_namespaces=/],
	[{ '/proc/sys/kernel/seccomp/actions_avail': 'kill errno trace allow\n' }, 'note', 'seccomp', /Linux 5\.0/],
	[{ '/proc/sys/kernel/seccomp/actions_avail': undefined }, 'note', 'seccomp', /Linux 5\.0/],
	[{ '/proc/sys/kernel/dmesg_restrict': '0\n' }, 'note', 'kernel.dmesg_restrict', /dmesg_restrict=1/],
	[{ '/proc/sys/net/unix/max_dgram_qlen': '10\n' }, 'note', 'net.unix.max_dgram_qlen', /max_dgram_qlen=512/],
	[{ '/sys/fs/cgroup/cgroup.controllers': 'cpu io pids\n' }, 'note', 'memory cgroup', /cgroup_enable=memory/],
	[{ '/sys/fs/cgroup/cgroup.controllers': 'memory_other\n' }, 'note', 'memory cgroup', /cgroup_enable=memory/],
	[{ '/sys/fs/cgroup/unified/x': '' }, 'note', 'crun', /mount -t cgroup -o hugetlb/],
	[{ '/run/pogs/host/ctl': undefined }, 'missing', 'control file', /restart pogshim/],
	[{ '/usr/sbin/mount': undefined }, 'missing', 'mount', /install mount/],
	[{ '/usr/sbin/setpriv': undefined }, 'note', 'setpriv', /install util-linux/],
	[{ '/usr/sbin/crun': undefined }, 'note', 'OCI runtime', /install runc or crun/],
	[{ '/etc/docker/daemon.json': '{}' }, 'note', 'docker', /pogctl install docker/],
]

for (const [less, state, about, remedy] of LESS) {
	const [[path, text] = []] = Object.entries(less)
	test(`${about}: with ${JSON.stringify(text ?? 'nothing')} in ${path} it is ${state}, with a remedy`, async t => {
		const host = await makeHost(t)
		host.write(less)
		const [first, ...more] = wrong(await host.examine())
		t.like(first, { state, about })
		t.regex(first?.remedy ?? '', remedy)
		t.deepEqual(more, [])
	})
}

test('memory cgroups of version 1 will do', async t => {
	const host = await makeHost(t)
	host.write({
		'/sys/fs/cgroup/cgroup.controllers': undefined,
		'/proc/self/cgroup': '9:cpu,memory:/x\n1:name=systemd:/\n',
	})
	const results = await host.examine()
	t.deepEqual(wrong(results), [])
	t.is(results.find(({ about }) => about === 'memory cgroup')?.found, 'version 1')
})

test('a service that is not there, was killed, or has nobody who keeps its mounts', async t => {
	const host = await makeHost(t)
	const gone = await host.examine({ service: undefined })
	t.like(wrong(gone), [{ state: 'missing', about: 'service', found: `no answer at ${host.runDir}/api.sock` }])
	t.false(gone.some(({ about }) => ['keeper', 'control file'].includes(about)))
	host.write({ '/run/pogs/engine.json': '{}' })
	const [killed] = wrong(await host.examine({ service: undefined }))
	t.regex(`${killed?.found}: ${killed?.remedy}`, /^killed: .*get their logs back/)
	const { features: _, ...service } = new ServiceDouble().describe()
	const found = async (features: Record<string, string | number | boolean>): Promise<CheckResult[]> =>
		wrong(await host.examine({ service: { ...service, features } }))
	t.like(await found({ resend: true, keeper: 'gone' }), [
		{ state: 'note', about: 'keeper', found: 'gone: mounts end with the engine' },
	])
	t.like(await found({ resend: true, keeper: 'none' }), [
		{ state: 'note', about: 'keeper', found: 'none: mounts end with the engine' },
	])
	t.like(await found({ resend: true }), [{ state: 'note', about: 'keeper', remedy: 'upgrade pogshim: pogctl upgrade' }])
	t.like(await found({ resend: false, keeper: 'there' }), [{ state: 'note', about: '  resend' }])
})

test("a container that reaches the host's log is a leak, by name", async t => {
	const host = await makeHost(t)
	const pogs = [
		makePog(1, 'web'),
		makePog(2, 'open', { hostSyslog: 'capability' }),
		makePog(3, 'free', { hostSyslog: 'unrestricted' }),
	]
	const found = wrong(await host.examine({ pogs }))
	t.like(found, [
		{ state: 'leak', about: 'open' },
		{ state: 'leak', about: 'free' },
	])
	t.regex(found[1]?.remedy ?? '', /dmesg_restrict=1/)
})

test('lines for people: what is wrong is marked, and its remedy stands below it', t => {
	t.deepEqual(
		linesOf([
			{ state: 'ok', about: 'kernel', found: '6.12' },
			{ state: 'missing', about: 'FUSE', found: 'none', remedy: 'modprobe fuse' },
			{ state: 'leak', about: 'web', found: 'open' },
		]),
		['ok       kernel  6.12', 'MISSING  FUSE    none', '                 -> modprobe fuse', 'LEAK     web     open'],
	)
})

test('the exit code tells of what is missing and of leaks, for machines too', async t => {
	const host = await makeHost(t)
	const without = await launch(host.runDir, ['doctor']).ended
	t.is(without.code, 1)
	t.regex(without.stdout, /^MISSING +service +no answer at /m)
	const running = await start(t)
	running.double.add(makePog(2, 'open', { hostSyslog: 'capability' }))
	const { code, stdout } = await pogctl(running, 'doctor --json')
	t.is(code, 1)
	t.true((JSON.parse(stdout) as CheckResult[]).some(({ state, about }) => state === 'leak' && about === 'open'))
})
