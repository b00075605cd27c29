/**
 * POGs in OCI configurations: on what real engines wrote (fixtures/oci), and on arbitrary ones.
 */
import {
	chmodSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { ATTACH_ALL, type Attachable } from '../../src/attach/oci/attachable.ts'
import { placesMissing, readBundle, rootOf, writeBundle } from '../../src/attach/oci/bundle.ts'
import { checkConfig, type OciConfig, parseConfigText, renderConfig } from '../../src/attach/oci/config.ts'
import { type AttachPlan, editBundle, type Edited } from '../../src/attach/oci/edit-bundle.ts'
import { ownerOf } from '../../src/attach/oci/owner.ts'
import { normalDestination, placeMount } from '../../src/attach/oci/place-mount.ts'
import { readSettings } from '../../src/attach/oci/settings.ts'
import { notifySyslog } from '../../src/attach/oci/syslog-filter.ts'

const FIXTURES = new URL('../../fixtures/oci/', import.meta.url)
const RECORDED = readdirSync(FIXTURES).filter(name => name.endsWith('.json'))
const textOf = (name: string) => readFileSync(new URL(name, FIXTURES), 'utf8')
const PATHS = {
	varLog: '/run/pogs/pogs/web/mnt/var/log',
	procKmsg: '/run/pogs/pogs/web/mnt/proc/kmsg',
	devKmsg: '/run/pogs/pogs/web/mnt/dev/kmsg',
	devLog: '/run/pogs/pogs/web/store/dev/log',
	syslogConf: '/run/pogs/pogs/web/mnt/etc/syslog.conf',
	runPog: '/run/pogs/pogs/web/mnt/run/pog',
}
const PLAN: AttachPlan = {
	pog: 'web',
	paths: PATHS,
	attach: ATTACH_ALL,
	hookPath: '/usr/local/lib/pogs/mount/pogs-hook',
	runDir: '/run/pogs',
	seccomp: { listenerPath: '/run/pogs/syslog.sock', metadata: 'web' },
}
const TARGETS = {
	varLog: '/var/log',
	devKmsg: '/dev/kmsg',
	devLog: '/dev/log',
	syslogConf: '/etc/syslog.conf',
	runPog: '/run/pog',
}

function parsed(text: string): unknown {
	const result = parseConfigText(text)
	if ('problem' in result) throw new Error(result.problem)
	return result.value
}
function edited(given: unknown, plan: AttachPlan = PLAN): Exclude<Edited, { problem: string }> {
	const checked = checkConfig(given)
	const result = 'problem' in checked ? checked : editBundle(checked.value, plan)
	if ('problem' in result) throw new Error(result.problem)
	return result
}
const recorded = (name: string) => parsed(textOf(name)) as OciConfig
/** A configuration that has what the specification demands, and these parts. */
const minimal = (parts: Record<string, unknown> = {}): unknown => ({
	ociVersion: '1.0.2',
	root: { path: 'rootfs' },
	linux: {},
	...parts,
})

for (const name of RECORDED) {
	test(`a POG gets into ${name} whole, once, and after every mount above its own`, t => {
		const before = recorded(name)
		const { value } = edited(before)
		const destinations = (value.mounts ?? []).map(mount => mount.destination)
		for (const [source, target] of Object.entries(TARGETS)) {
			const kept = name === 'docker-device.json' && target === '/var/log'
			t.is(destinations.filter(destination => destination === target).length, 1, target)
			const index = destinations.indexOf(target)
			t.is(value.mounts?.[index]?.source, kept ? '/srv/logs' : PATHS[source as keyof typeof TARGETS], target)
			const later = destinations.slice(index + 1)
			if (!kept)
				t.false(
					later.some(other => target.startsWith(`${other.replace(/\/$/, '')}/`)),
					`${target} is covered`,
				)
		}
		t.false(destinations.includes('/proc/kmsg'), 'runc refuses a mount in /proc')
		t.deepEqual(edited(value).value, value, 'a second edit changes nothing')
		t.deepEqual(recorded(name), before, 'what was given stays as it was')
		// All that is not about logs is as it was.
		const { mounts: _m, hooks: _h, linux: linuxAfter, ...rest } = value
		const { mounts: _n, hooks: _i, linux: linuxBefore, ...restBefore } = before
		// Without one capability: a test of its own.
		const capabilities = JSON.stringify(restBefore).replaceAll(/,"CAP_SYSLOG"/g, '')
		t.deepEqual(JSON.parse(JSON.stringify(rest)), JSON.parse(capabilities))
		for (const key of ['namespaces', 'uidMappings', 'cgroupsPath', 'sysctl'])
			t.deepEqual(linuxAfter[key], linuxBefore[key], key)
	})

	test(`${name} comes back from its text as it was, its largest numbers included`, t => {
		const { value } = edited(parsed(textOf(name)))
		const again = renderConfig(value)
		for (const [digits] of textOf(name).matchAll(/\b[0-9]{16,}\b/g)) t.true(again.includes(digits), digits)
		t.deepEqual(parsed(again), value as unknown)
	})
}

test('runc gets hooks for /proc/kmsg and the life of the container, crun a mount', t => {
	const runc = edited(recorded('runc-spec.json')).value.hooks
	t.deepEqual(Object.keys(runc ?? {}).sort(), ['createContainer'])
	t.deepEqual(runc?.createContainer?.[0]?.args, ['pogs-hook', 'createContainer'])
	t.true(runc?.createContainer?.[0]?.env?.includes(`POGS_PROC_KMSG=${PATHS.procKmsg}`))
	const mapped = edited(recorded('podman-uidmap.json')).value.hooks
	t.deepEqual(
		Object.keys(mapped ?? {}).sort(),
		['createRuntime'],
		'the root of a user namespace may not look into ours',
	)
	const crun = edited(recorded('crun-spec.json'), { ...PLAN, runtime: 'crun' }).value
	t.deepEqual(crun.hooks, {}, 'its listener tells the start')
	t.is(crun.mounts?.find(mount => mount.destination === '/proc/kmsg')?.source, PATHS.procKmsg)
})

test('a runtime that waits for us gets no mount and no hook, but for a place with a volume below it', t => {
	for (const name of RECORDED) {
		const before = recorded(name)
		const given = before.mounts ?? []
		const { value, outside } = edited(before, { ...PLAN, runtime: 'runc', meets: true })
		const inside = ['podman-volumes.json', 'podman-systemd.json'].includes(name) ? ['/var/log'] : []
		const kept = name === 'docker-device.json' ? ['/var/log'] : []
		const expected = [...Object.values(TARGETS), '/proc/kmsg'].filter(path => ![...inside, ...kept].includes(path))
		t.deepEqual([...outside].sort(), expected.sort(), name)
		t.deepEqual(
			value.mounts?.filter(({ source }) => source?.startsWith(PLAN.runDir)).map(({ destination }) => destination),
			inside,
			name,
		)
		const shared = ['/dev/kmsg', '/proc/kmsg', '/dev/log']
		t.deepEqual(
			value.mounts?.filter(({ source }) => !source?.startsWith(PLAN.runDir)),
			given.filter(({ destination }) => !shared.includes(normalDestination(destination))),
			name,
		)
		t.deepEqual(value.hooks, before.hooks ?? {}, name)
		t.is(value.linux.seccomp?.listenerPath, PLAN.seccomp?.listenerPath)
		t.deepEqual(edited(value, { ...PLAN, runtime: 'runc', meets: true }).value, value, 'a second edit changes nothing')
	}
})

test('what an earlier start wrote into a bundle is written anew', t => {
	const before = recorded('runc-spec.json')
	const crun = edited(before, { ...PLAN, runtime: 'crun' }).value
	const ours = { listenerPath: '/run/pogs/host/start/web', metadata: 'web', ours: '/run/pogs/' }
	const again = edited(crun, { ...PLAN, runtime: 'runc', meets: true, seccomp: ours }).value
	t.deepEqual(again.mounts, before.mounts)
	t.is(again.linux.seccomp?.listenerPath, ours.listenerPath)
})

test('hooks of others stay, ours are renewed', t => {
	const other = { path: '/usr/bin/other', args: ['other'], timeout: 3 }
	const once = edited(minimal({ hooks: { createContainer: [other], poststart: [other] } })).value
	const twice = edited(once, { ...PLAN, pog: 'db' }).value
	t.is(twice.hooks?.createContainer?.length, 2)
	t.deepEqual(twice.hooks?.createContainer?.[0] as unknown, other)
	t.true(twice.hooks?.createContainer?.[1]?.env?.includes('POGS_NAME=db'))
	t.deepEqual(twice.hooks?.poststart as unknown, [other])
})

test('a volume on /var/log is kept and told; one on the kernel log is replaced', t => {
	const { value, changes } = edited(
		minimal({
			mounts: [
				{ destination: '/var/log/', type: 'bind', source: '/srv/logs', options: ['rbind'] },
				{ destination: '//dev/./kmsg', type: 'bind', source: '/dev/kmsg', options: ['bind'] },
			],
		}),
	)
	t.true(changes.includes('keep the mount of /srv/logs on /var/log'), changes.join())
	t.false(JSON.stringify(value.mounts).includes('"/dev/kmsg","type":"bind","source":"/dev/kmsg"'))
	t.is(value.mounts?.filter(mount => normalDestination(mount.destination) === '/dev/kmsg').length, 1)
	// podman --read-only and --systemd put empty ones there.
	const tmpfs = edited(minimal({ mounts: [{ destination: '/var/log', type: 'tmpfs', source: 'tmpfs' }] })).value
	t.is(tmpfs.mounts?.find(mount => mount.destination === '/var/log')?.source, PATHS.varLog)
})

test('a volume below /var/log stays on top of the log files', t => {
	const mounts = edited(recorded('podman-volumes.json')).value.mounts?.map(mount => mount.destination) ?? []
	t.true(mounts.indexOf('/var/log') < mounts.indexOf('/var/log/app'))
	t.true(mounts.indexOf('/run') < mounts.indexOf('/run/pog'))
})

test('only what was asked for is attached', t => {
	const { value } = edited(minimal(), { ...PLAN, attach: new Set<Attachable>(['devlog']) })
	t.deepEqual(
		value.mounts?.map(mount => mount.destination),
		['/dev/log', '/run/pog'],
	)
	t.is(value.linux.seccomp, undefined)
	t.is(value.hooks?.createContainer, undefined)
})

test('what cannot get a mount point is left out and told', t => {
	const { value, changes } = edited(minimal(), { ...PLAN, leaveOut: new Set(['/etc/syslog.conf']) })
	t.false(value.mounts?.some(mount => mount.destination === '/etc/syslog.conf'))
	t.true(
		changes.some(change => change.startsWith('leave out /etc/syslog.conf')),
		changes.join(),
	)
})

test("the host's kernel log device is taken out and denied", t => {
	const device = edited(recorded('docker-device.json')).value.linux
	t.false(device.devices?.some(({ path }) => path === '/dev/kmsg'))
	const last = device.resources?.devices?.at(-1)
	t.deepEqual(last as unknown, { allow: false, type: 'c', major: 1, minor: 11, access: 'rwm' })
	const rulesOf = (name: string) => edited(recorded(name)).value.linux.resources?.devices ?? []
	t.is(rulesOf('podman-privileged.json').at(-1)?.allow, false)
	// The engines' default denies it already: a deny within a wildcard of theirs is more than some runtimes take.
	t.deepEqual(rulesOf('docker.json'), recorded('docker.json').linux.resources?.devices ?? [])
	const masked = edited(
		minimal({ linux: { maskedPaths: ['/proc/kcore', '/proc/kmsg'], readonlyPaths: ['/proc/sys'] } }),
	).value.linux
	t.deepEqual(masked.maskedPaths, ['/proc/kcore'])
	t.deepEqual(masked.readonlyPaths, ['/proc/sys'])
	const block = edited(minimal({ linux: { devices: [{ path: '/dev/ram11', type: 'b', major: 1, minor: 11 }] } })).value
		.linux
	t.is(block.devices?.length, 1)
})

test('syslog(2) is notified on every architecture of the machine, and nothing else changes', t => {
	const none = notifySyslog(undefined, { listenerPath: '/s', metadata: 'm' }, 'x64')
	t.deepEqual(none as unknown, {
		value: {
			defaultAction: 'SCMP_ACT_ALLOW',
			architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
			listenerPath: '/s',
			listenerMetadata: 'm',
			syscalls: [{ names: ['syslog'], action: 'SCMP_ACT_NOTIFY' }],
		},
	})
	for (const name of ['docker.json', 'docker-device.json', 'podman.json']) {
		const before = recorded(name).linux.seccomp
		const after = edited(recorded(name)).value.linux.seccomp
		const rules = after?.syscalls ?? []
		t.deepEqual(
			rules.filter(rule => rule.names.includes('syslog')).map(rule => rule.action),
			['SCMP_ACT_NOTIFY'],
		)
		const others = (list: typeof rules) => list.flatMap(rule => rule.names).filter(call => call !== 'syslog')
		t.deepEqual(others(rules), others(before?.syscalls ?? []))
		t.is(after?.defaultAction, before?.defaultAction)
	}
	const taken = notifySyslog(
		{ defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/theirs' },
		{ listenerPath: '/s', metadata: 'm' },
	)
	t.true('problem' in taken && taken.problem.includes('"/theirs"'))
})

test('the owner is the host id of root in the container', t => {
	t.deepEqual(ownerOf(recorded('podman-uidmap.json')), { uid: 100_000, gid: 100_000 })
	t.deepEqual(ownerOf(recorded('docker.json')), { uid: 0, gid: 0 })
})

test('settings come from annotations, or variables where there are none', t => {
	const settingsOf = (name: string) => readSettings(recorded(name), '/etc/pogs/conf.d') as unknown
	t.deepEqual(settingsOf('podman.json'), {
		value: { ringBytes: 1_048_576, quotaBytes: 1_048_576, attach: new Set(['kmsg', 'devlog']) },
	})
	t.deepEqual(settingsOf('docker.json'), { value: { ringBytes: 1_048_576, attach: ATTACH_ALL } })
	t.deepEqual(settingsOf('ctr.json'), { value: { ratePerSecond: 100, attach: ATTACH_ALL } })
	const both = minimal({
		process: { env: ['POGS_RING=64k', 'POGS_HOME=/x'] },
		annotations: { 'pogs.ring': '2m', other: '1' },
	})
	t.deepEqual(readSettings(both as OciConfig, '/etc/pogs/conf.d') as unknown, {
		value: { ringBytes: 2_097_152, attach: ATTACH_ALL },
	})
})

test('a setting that is not understood is refused by name with what was expected', t => {
	const problemOf = (annotations: Record<string, string>): string => {
		const result = readSettings(minimal({ annotations }) as OciConfig, '/etc/pogs/conf.d')
		return 'problem' in result ? result.problem : JSON.stringify(result.value)
	}
	t.regex(problemOf({ 'pogs.rings': '1m' }), /unknown setting "pogs\.rings", expected one of name, ring/)
	t.regex(problemOf({ 'pogs.ring': 'big' }), /cannot use pogs\.ring "big", expected bytes such as/)
	t.regex(problemOf({ 'pogs.attach': 'kmsg,all' }), /expected all, none or a list of kmsg, devlog, varlog, conf/)
	t.regex(problemOf({ 'pogs.constructor': '' }), /unknown setting/)
	for (const path of ['/etc/shadow', '../runtime', '/etc/pogs/conf.d/../x', '/etc/pogs/conf.d', 'a\0b']) {
		t.regex(problemOf({ 'pogs.conf': path }), /expected a file below \/etc\/pogs\/conf\.d/, path)
	}
	t.regex(problemOf({ 'pogs.conf': 'web.conf' }), /"confPath":"\/etc\/pogs\/conf\.d\/web\.conf"/)
})

test('editing is total: any value gives a configuration or a problem', t => {
	fc.assert(
		fc.property(fc.anything(), fc.anything(), fc.anything(), (mounts, linux, hooks) => {
			for (const given of [mounts, minimal({ mounts }), minimal({ linux }), minimal({ hooks })]) {
				const checked = checkConfig(given)
				if ('problem' in checked) continue
				const result = editBundle(checked.value, PLAN)
				if (!('problem' in result)) t.deepEqual(edited(result.value).value, result.value)
			}
		}),
	)
	t.pass()
})

test('a mount never comes before one above it, whatever the list', t => {
	const part = fc.constantFrom('run', 'var', 'log', 'dev', '.', '..', '')
	const path = fc.array(part, { maxLength: 4 }).map(parts => `/${parts.join('/')}`)
	const list = fc.array(path.map(destination => ({ destination })))
	fc.assert(
		fc.property(list, path, (mounts, destination) => {
			const placed = placeMount(mounts, { destination, source: 'ours' })
			const at = placed.findIndex(mount => mount.source === 'ours')
			const target = normalDestination(destination)
			const covers = (above: string) => above === '/' || target === above || target.startsWith(`${above}/`)
			t.false(placed.slice(at + 1).some(mount => target !== '/' && covers(normalDestination(mount.destination))))
			const others = placed.filter(mount => mount.source !== 'ours')
			t.deepEqual(
				others,
				mounts.filter(mount => normalDestination(mount.destination) !== target),
			)
		}),
	)
})

test('every integer of a text survives, in strings nothing is touched', t => {
	const json = fc.jsonValue({ maxDepth: 3 })
	fc.assert(
		fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), json, (big, other) => {
			const text = `{"n":${big},"s":"${big}","a":[${big},{"x":${JSON.stringify(other)}}]}`
			const result = parseConfigText(text)
			if ('problem' in result) return t.true(text.includes('\\u0000integer:'), result.problem)
			const again = renderConfig(result.value as OciConfig)
			t.true(again.startsWith(`{"n":${big},"s":"${big}","a":[${big},`), again)
			return undefined
		}),
	)
	t.true('problem' in parseConfigText('{"a":"\\u0000integer:12"}'))
	t.true('problem' in parseConfigText('{"a":'))
})

test('a bundle is replaced whole, with its mode; a link is refused', async t => {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-bundle-'))
	t.teardown(() => rmSync(directory, { recursive: true, force: true }))
	const path = join(directory, 'config.json')
	writeFileSync(path, textOf('podman.json'))
	chmodSync(path, 0o640)
	const before = readBundle(directory)
	if ('problem' in before) return t.fail(before.problem)
	t.is(writeBundle(directory, edited(before.value).value), undefined)
	t.is(statSync(path).mode & 0o7777, 0o640)
	t.deepEqual(readdirSync(directory), ['config.json'])
	t.true(readFileSync(path, 'utf8').includes('"hard":18446744073709551615'))
	t.is(rootOf('/b', { ...before.value, root: { path: 'rootfs' } }), '/b/rootfs')
	rmSync(path)
	t.regex(JSON.stringify(readBundle(directory)), /Cannot read .*ENOENT/)
	symlinkSync('/etc/passwd', path)
	t.regex(JSON.stringify(readBundle(directory)), /Cannot read .*ELOOP/)
	t.regex(JSON.stringify(writeBundle(directory, before.value)), /no regular file/)
	return undefined
})

test('a root file system that can be written lacks no places', async t => {
	t.deepEqual([...placesMissing('/tmp', minimal() as OciConfig)], [])
})

test('no capability set of a container with a POG has CAP_SYSLOG; the others, and containers without, stay as they are', t => {
	const sets = {
		bounding: ['CAP_CHOWN', 'CAP_SYSLOG'],
		effective: ['CAP_SYSLOG'],
		ambient: null,
		permitted: ['CAP_KILL'],
	}
	const given = minimal({ process: { args: ['sh'], capabilities: sets } })
	const { value, changes } = edited(given)
	t.deepEqual(value.process?.capabilities, {
		bounding: ['CAP_CHOWN'],
		effective: [],
		ambient: null,
		permitted: ['CAP_KILL'],
	})
	t.deepEqual(value.process?.['args'], ['sh'])
	t.true(changes.includes('take CAP_SYSLOG'))
	const without = edited(given, { ...PLAN, attach: new Set<Attachable>(['varlog']) })
	t.deepEqual(without.value.process?.capabilities, sets)
	t.false('process' in edited(minimal()).value && edited(minimal()).value.process !== undefined)
})
