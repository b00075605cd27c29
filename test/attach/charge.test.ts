/**
 * Whose memory a POG's ring is: ids, mounts and memory cgroups as /proc tells them, and the helper's arithmetic on recorded
 * trees of both cgroup versions.
 *
 * Source of truth: cgroups(7), proc(5), cgroup-v1/memory.rst and cgroup-v2.rst (v6.12): texts and trees as Docker, Podman and
 * systemd make them, written by hand.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { chargeFile, parseMemoryCgroup } from '../../src/attach/charge.ts'
import { hostId, idMapOfConfig, parseIdMap, rootOwner, shiftedId } from '../../src/attach/id-map.ts'
import { parseMountinfo } from '../../src/attach/mountinfo.ts'
import { TOP } from '../helpers/programs.ts'

const HELPER = join(TOP, 'mount/pogs-charge')
const MIB = 1024 * 1024

const V1 = '36 32 0:30 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,memory'
const V1_JOINT = '37 32 0:31 / /sys/fs/cgroup/cpu,memory rw - cgroup cgroup rw,cpu,cpuacct,memory'
const V1_PART = '700 690 0:30 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:15 - cgroup memory rw,memory'
const V1_OTHER = '38 32 0:33 / /sys/fs/cgroup/pids rw shared:18 - cgroup cgroup rw,pids'
const V2 =
	'31 24 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot'
const HYBRID = '41 32 0:28 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate'

const CGROUPS: readonly { title: string; cgroup: string; mounts: string[]; expect: string | undefined }[] = [
	{
		title: 'Docker on cgroup v1',
		cgroup:
			'9:pids:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/system.slice/containerd.service\n',
		mounts: [V1_OTHER, V1, HYBRID],
		expect: '1 /sys/fs/cgroup/memory/docker/abc /sys/fs/cgroup/memory',
	},
	{
		title: 'memory mounted with another controller',
		cgroup: '4:cpu,cpuacct,memory:/x\n',
		mounts: [V1_OTHER, V1_JOINT],
		expect: '1 /sys/fs/cgroup/cpu,memory/x /sys/fs/cgroup/cpu,memory',
	},
	{
		title: 'Podman with systemd on cgroup v2',
		cgroup: '0::/machine.slice/libpod-0123.scope/container\n',
		mounts: [V2],
		expect: '2 /sys/fs/cgroup/machine.slice/libpod-0123.scope/container /sys/fs/cgroup',
	},
	{
		title: 'systemd inside of a container on cgroup v2',
		cgroup: '0::/machine.slice/libpod-0123.scope/init.scope\n',
		mounts: [V2],
		expect: '2 /sys/fs/cgroup/machine.slice/libpod-0123.scope/init.scope /sys/fs/cgroup',
	},
	{ title: 'the root cgroup', cgroup: '0::/\n', mounts: [V2], expect: '2 /sys/fs/cgroup /sys/fs/cgroup' },
	{
		title: 'a mount that shows one part, seen from that part',
		cgroup: '4:memory:/docker/abc/inner\n',
		mounts: [V1_PART],
		expect: '1 /sys/fs/cgroup/memory/inner /sys/fs/cgroup/memory',
	},
	{
		title: 'a cgroup outside of the part that is mounted',
		cgroup: '4:memory:/docker/abcd\n',
		mounts: [V1_PART],
		expect: undefined,
	},
	{ title: 'a cgroup outside of our cgroup namespace', cgroup: '0::/../../other\n', mounts: [V2], expect: undefined },
	{ title: 'a cgroup that was removed', cgroup: '0::/docker/abc (deleted)\n', mounts: [V2], expect: undefined },
	{
		title: 'version 1 that is not mounted, beside version 2',
		cgroup: '4:memory:/x\n0::/x\n',
		mounts: [HYBRID],
		expect: undefined,
	},
	{ title: 'no cgroups at all', cgroup: '', mounts: ['22 1 8:1 / / rw - ext4 /dev/sda1 rw'], expect: undefined },
	{
		title: 'a name with colons and blanks',
		cgroup: '4:memory:/a b:c/d\n',
		mounts: [V1],
		expect: '1 /sys/fs/cgroup/memory/a b:c/d /sys/fs/cgroup/memory',
	},
]

for (const { title, cgroup, mounts, expect } of CGROUPS) {
	test(`the memory cgroup is found: ${title}`, t => {
		const found = parseMemoryCgroup(cgroup, `${mounts.join('\n')}\n`)
		t.is(found && `${found.version} ${found.directory} ${found.top}`, expect)
	})
}

test('the parsers of /proc take any text', t => {
	const near = fc.array(
		fc.constantFrom(V1, V2, '0::', '4:memory:/', '/..', '\\040', ' - ', '\n', '0 100000 65536', '4294967295'),
	)
	fc.assert(
		fc.property(
			fc.oneof(
				fc.string(),
				near.map(parts => parts.join('')),
			),
			text => {
				parseMountinfo(text)
				parseMemoryCgroup(text, text)
				parseIdMap(text)
				t.true(Array.isArray(idMapOfConfig([text, { containerID: text, hostID: 1, size: 1 }])))
			},
		),
	)
})

test('mountinfo: optional fields, escapes and two mounts on one place', t => {
	const text = [
		String.raw`100 90 0:55 /a\040b /mnt/x\011y rw,relatime shared:7 master:3 propagate_from:2 - fuse.pogs pogs:a\134b rw,user_id=0`,
		'101 100 0:56 /kmsg//deleted /proc/kmsg rw - tmpfs  rw',
		'no mount at all',
	].join('\n')
	t.deepEqual(parseMountinfo(text), [
		{
			id: 100,
			parent: 90,
			device: '0:55',
			root: '/a b',
			point: '/mnt/x\ty',
			shared: 7,
			master: 3,
			type: 'fuse.pogs',
			source: 'pogs:a\\b',
			superOptions: 'rw,user_id=0',
		},
		{
			id: 101,
			parent: 100,
			device: '0:56',
			root: '/kmsg//deleted',
			point: '/proc/kmsg',
			shared: 0,
			master: 0,
			type: 'tmpfs',
			source: '',
			superOptions: 'rw',
		},
	])
})

test('the root of a container is found in maps of /proc and of config.json', t => {
	const rootless = parseIdMap('         0       1000          1\n         1     100000      65536\n')
	t.deepEqual(rootOwner(rootless, rootless), { uid: 1000, gid: 1000 })
	t.is(hostId(rootless, 33), 100_032)
	t.is(hostId(rootless, 65_537), undefined)
	const config = idMapOfConfig([{ containerID: 0, hostID: 165_536, size: 65_536 }])
	t.deepEqual(rootOwner(config, rootless), { uid: 165_536, gid: 1000 })
	t.deepEqual(rootOwner(idMapOfConfig(undefined), idMapOfConfig([])), { uid: 0, gid: 0 })
	// keep-id: the user is the same inside, and nobody is root there.
	const keep = parseIdMap('1000 1000 1')
	t.deepEqual(rootOwner(keep, keep), { uid: 1000, gid: 1000 })
	t.is(rootOwner(parseIdMap(''), keep), undefined)
	t.deepEqual(parseIdMap('0 4294967295 1\n0 0 0\n'), [])
	t.deepEqual(
		[0, 33, 100_005, 1_000, 99_999].map(id => shiftedId(rootless, id, 7)),
		[1_000, 100_032, 100_005, 1_000, 7],
	)
})

/** Files of a recorded cgroup tree below a directory of their own; the file to be charged beside it. */
function recorded(t: ExecutionContext, files: Record<string, string>): { top: string; file: string } {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-charge-'))
	t.teardown(() => rmSync(directory, { recursive: true, force: true }))
	const top = join(directory, 'cgroup')
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(top, path)), { recursive: true })
		writeFileSync(join(top, path), `${text}\n`)
	}
	const file = join(directory, 'ring')
	writeFileSync(file, '')
	return { top, file }
}

function v2(max: string, current: number, inactive = 0, high = 'max'): Record<string, string> {
	return {
		'memory.max': max,
		'memory.high': high,
		'memory.current': `${current}`,
		'memory.stat': `anon 1\nfile 2\ninactive_file ${inactive}\nshmem 0`,
	}
}

function v1(limit: string, usage: number, inactive = 0): Record<string, string> {
	return {
		'memory.limit_in_bytes': limit,
		'memory.usage_in_bytes': `${usage}`,
		'memory.stat': `cache 1\ninactive_file 9\ntotal_inactive_file ${inactive}\ntotal_shmem 0`,
	}
}

function below(path: string, files: Record<string, string>): Record<string, string> {
	return Object.fromEntries(Object.entries(files).map(([name, text]) => [`${path}/${name}`, text]))
}

/** The helper keeps 1 MiB for itself; it asks for 1 MiB in steps of 256 KiB. Usage in a recorded tree does not grow. */
const ROOM: readonly { title: string; files: Record<string, string>; expect: number }[] = [
	{ title: 'v2 without a limit', files: below('c', v2('max', 50 * MIB)), expect: MIB },
	{ title: 'v2 with much room', files: below('c', v2(`${64 * MIB}`, 50 * MIB)), expect: MIB },
	{ title: 'v2 with no room', files: below('c', v2(`${64 * MIB}`, 63 * MIB)), expect: 0 },
	{ title: 'v2 with reclaimable cache', files: below('c', v2(`${64 * MIB}`, 64 * MIB, 8 * MIB)), expect: MIB },
	{ title: 'v2 near memory.high', files: below('c', v2(`${64 * MIB}`, 10 * MIB, 0, `${10 * MIB}`)), expect: 0 },
	{
		title: 'v2 below a full parent',
		files: { ...below('p', v2(`${64 * MIB}`, 64 * MIB)), ...below('p/c', v2(`${64 * MIB}`, 1 * MIB)) },
		expect: 0,
	},
	{
		title: 'v2 that leaves memory to its parent',
		files: { ...below('p', v2(`${64 * MIB}`, 1 * MIB)), 'p/c/cgroup.controllers': 'pids' },
		expect: MIB,
	},
	{
		title: "v2 where one death is everybody's",
		files: { ...below('c', v2(`${64 * MIB}`, 61 * MIB)), 'c/memory.oom.group': '1' },
		expect: 0,
	},
	{ title: 'v1 without a limit', files: below('c', v1('9223372036854771712', 50 * MIB)), expect: MIB },
	{ title: 'v1 with no room', files: below('c', v1(`${64 * MIB}`, 63 * MIB)), expect: 0 },
	{
		title: 'v1 below a full parent',
		files: { ...below('p', v1(`${64 * MIB}`, 64 * MIB)), ...below('p/c', v1('9223372036854771712', MIB)) },
		expect: 0,
	},
]

for (const { title, files, expect } of ROOM) {
	test(`the helper sees how much room there is: ${title}`, async t => {
		const { top, file } = recorded(t, files)
		const leaf = 'p/c/' in files || Object.keys(files).some(path => path.startsWith('p/c/')) ? 'p/c' : 'c'
		const directory = join(top, leaf)
		const said = execFileSync('sh', [HELPER, file, `${MIB}`, `${MIB / 4}`, directory, top], { encoding: 'utf8' })
		t.is(said, `${expect}\n`)
		t.is(statSync(file).size, expect)
		if (expect > 0) t.regex(readFileSync(join(directory, 'cgroup.procs'), 'utf8'), /^\d+\n$/)
		else t.throws(() => statSync(join(directory, 'cgroup.procs')), { code: 'ENOENT' })
	})
}

test('a paused container is not waited for', async t => {
	const { top, file } = recorded(t, { ...below('c', v2('max', 1)), 'c/cgroup.events': 'populated 1\nfrozen 1' })
	const cgroup = { version: 2, directory: join(top, 'c'), top } as const
	t.deepEqual(await chargeFile({ cgroup, path: file, bytes: MIB }), { bytes: 0, problem: 'The container is paused' })
})

test('a cgroup that cannot be joined costs nobody anything', async t => {
	const { top, file } = recorded(t, { x: '' })
	const cgroup = { version: 2, directory: join(top, 'gone'), top } as const
	const charged = await chargeFile({ cgroup, path: file, bytes: MIB })
	t.is(charged.bytes, 0)
	t.regex(charged.problem ?? '', /^Cannot charge the container: .*cgroup\.procs/)
	t.is(statSync(file).size, 0)
})
