/**
 * Attach of a POG to containers that already run: made by unshare, runc, crun and systemd-nspawn, with and without a user
 * namespace, hostile ones too.
 *
 * Source of truth: mount_namespaces(7), user_namespaces(7); what programs inside and mountinfo say. Two canaries in every
 * container: one written to its log, one written to a neighbour's.
 */
import { chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { type AttachOutcome, attachRunning, detachRunning } from '../../src/attach/attach-running.ts'
import { ATTACH_ALL } from '../../src/attach/oci/attachable.ts'
import {
	BUSYBOX,
	childOf,
	type Container,
	containerOf,
	inside,
	makeRoot as makeRootIn,
	oci,
	UNSHARED,
	unshared,
} from '../helpers/containers.ts'
import { needs, output, start, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

const ALL_PATHS = ['/var/log', '/proc/kmsg', '/dev/kmsg', '/dev/log', '/etc/syslog.conf', '/run/pog']
const SHIFT = 100_000
const POG_MOUNT = / - (fuse\.pogs|tmpfs pogs) /

let service: Service
let serial = 0

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

function makeRoot(owner = 0): string {
	return makeRootIn(service.directory, owner)
}

async function attach(container: Container, pog: Pog): Promise<string[]> {
	return valueOf(await attachRunning({ pid: container.pid, paths: pog.paths, attach: ATTACH_ALL }))
}

function valueOf(outcome: AttachOutcome): string[] {
	if ('problem' in outcome) throw new Error(outcome.problem)
	return outcome.value
}

/** The host's mounts in the service's directory and on the paths of a log; others come and go. */
function hostMounts(): string {
	const concerned = (point: string): boolean => ALL_PATHS.includes(point) || point.startsWith(service.directory)
	const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n')
	return lines.filter(line => concerned(line.split(' ')[1] ?? '')).join('\n')
}

/** Makes a container and two POGs, and stops it whatever happens. */
async function withContainer(
	made: Promise<Container>,
	owner: number,
	body: (container: Container, pog: Pog, other: Pog) => Promise<void>,
): Promise<void> {
	const container = await made
	try {
		const spec = { conf: '*.* /var/log/messages\n', owner: { uid: owner, gid: owner } }
		const pog = await service.create(`attach-${++serial}`, spec)
		await body(container, pog, await service.create(`neighbour-${serial}`, spec))
	} finally {
		await container.stop()
	}
}

const KINDS: readonly {
	name: string
	programs: string[]
	owner: number
	make: (owner: number) => Promise<Container>
}[] = [
	{ name: 'unshare', programs: ['unshare', 'nsenter'], owner: 0, make: () => unshared(makeRoot()) },
	{ name: 'runc', programs: ['runc'], owner: 0, make: () => oci('runc', makeRoot()) },
	{ name: 'crun', programs: ['crun'], owner: 0, make: () => oci('crun', makeRoot()) },
	{ name: 'runc in a user namespace', programs: ['runc'], owner: SHIFT, make: at => oci('runc', makeRoot(at), at) },
	{ name: 'crun in a user namespace', programs: ['crun'], owner: SHIFT, make: at => oci('crun', makeRoot(at), at) },
]

for (const kind of KINDS) {
	needs(BUSYBOX, ...kind.programs)(`a running container of ${kind.name} gets its log, and gives it back`, async t => {
		await withContainer(kind.make(kind.owner), kind.owner, async (container, pog, other) => {
			const before = hostMounts()
			await other.send('<13>neighbour: canary-of-the-neighbour')
			t.deepEqual(await attach(container, pog), ALL_PATHS)
			await container.sh('echo "<11>app: by-dev-kmsg" >/dev/kmsg; logger -p local1.info by-dev-log')
			await until('both lines are in the file', async () => {
				const text = await container.sh('cat /var/log/messages')
				return text.includes('by-dev-kmsg') && text.includes('by-dev-log')
			})
			const seen = await container.sh(
				'cat /var/log/messages /etc/syslog.conf; ls /run/pog; stat -c %u /var/log/messages',
			)
			t.false(seen.includes('canary-of-the-neighbour'))
			t.true(seen.includes('*.* /var/log/messages'))
			t.true(seen.includes('pogctl'))
			t.true(seen.endsWith('\n0\n'))
			const records = await pog.records()
			t.deepEqual(
				records.filter(record => record.text.includes('by-dev')).map(record => record.text.replace(/^.*by-/, 'by-')),
				['by-dev-kmsg', 'by-dev-log'],
			)
			t.deepEqual(await attach(container, pog), ALL_PATHS)
			const mounts = await container.sh('cat /proc/self/mountinfo')
			t.is(mounts.split('\n').filter(line => line.includes(` - fuse.pogs pogs:${pog.name} `)).length, 5)
			t.deepEqual(
				valueOf(await detachRunning({ pid: container.pid, paths: pog.paths, attach: ATTACH_ALL })),
				[...ALL_PATHS].reverse(),
			)
			t.notRegex(await container.sh('cat /proc/self/mountinfo'), POG_MOUNT)
			t.is(await container.sh('ls /var/log; ls -d /dev/log /dev/kmsg /run/pog 2>/dev/null || :'), '')
			t.is(hostMounts(), before)
		})
	})
}

/** Attach to a container that is not as it should be. */
function attaching(container: Container, pog: Pog): Promise<AttachOutcome> {
	return attachRunning({ pid: container.pid, paths: pog.paths, attach: ATTACH_ALL })
}

const needsUnshare = needs(BUSYBOX, 'unshare', 'nsenter')

needsUnshare('links of a container lead to places in the container alone', async t => {
	const root = makeRoot()
	const outside = join(service.directory, 'outside')
	mkdirSync(outside)
	symlinkSync(outside, join(root, 'var'))
	symlinkSync('/run/journal/dev-log', join(root, 'real-dev-log'))
	const setup = 'ln -s ../../../run/journal/socket dev/log; mkdir -p run/journal; : >run/journal/socket'
	await withContainer(unshared(root, setup), 0, async (container, pog) => {
		// /var is a link to a path that only the host has.
		const refused = await attaching(container, pog)
		t.is('problem' in refused ? refused.problem : '', 'Cannot make /var in the container: ELOOP')
		t.deepEqual(readdirSync(outside), [])
		await container.sh(`mkdir -p ${outside}`)
		t.deepEqual(await attach(container, pog), ALL_PATHS)
		t.deepEqual(readdirSync(outside), [])
		t.deepEqual(readdirSync(join(root, outside)), ['log'])
		await container.sh('logger by-way-of-a-link')
		t.true((await pog.records()).some(record => record.text.includes('by-way-of-a-link')))
		const mounts = await container.sh('cat /proc/self/mountinfo')
		t.true(mounts.includes(` ${outside}/log `))
		t.true(mounts.includes(' /run/journal/socket '))
		t.deepEqual(
			valueOf(await detachRunning({ pid: container.pid, paths: pog.paths, attach: ATTACH_ALL })),
			[...ALL_PATHS].reverse(),
		)
		t.notRegex(await container.sh('cat /proc/self/mountinfo'), POG_MOUNT)
	})
})

needs(BUSYBOX, 'runc')('nothing is made where the root of a user namespace may not', async t => {
	const root = makeRoot(SHIFT)
	const volume = join(root, 'of-the-host')
	mkdirSync(volume, { mode: 0o755 })
	symlinkSync('of-the-host', join(root, 'var'))
	await withContainer(oci('runc', root, SHIFT), SHIFT, async (container, pog) => {
		const refused = await attaching(container, pog)
		t.is('problem' in refused ? refused.problem : '', 'Cannot make /var/log in the container: EACCES')
		t.deepEqual(readdirSync(volume), [])
		t.notRegex(await container.sh('cat /proc/self/mountinfo'), POG_MOUNT)
		chownSync(volume, SHIFT, SHIFT)
		t.deepEqual(await attach(container, pog), ALL_PATHS)
		t.is(lstatSync(join(volume, 'log')).uid, SHIFT)
	})
})

needsUnshare('an attach that fails half-way leaves the container as it was', async t => {
	await withContainer(unshared(makeRoot(), 'mkdir dev/log'), 0, async (container, pog) => {
		const before = await container.sh('cat /proc/self/mountinfo')
		const refused = await attaching(container, pog)
		t.is('problem' in refused ? refused.problem : '', 'Cannot mount /dev/log in the container: EINVAL')
		t.is(await container.sh('cat /proc/self/mountinfo'), before)
	})
})

needsUnshare('nothing is mounted where the host would see it', async t => {
	const root = makeRoot()
	const volume = join(service.directory, 'volume')
	mkdirSync(join(volume, 'log'), { recursive: true })
	mkdirSync(join(root, 'var'))
	await output('mount', ['-t', 'tmpfs', 'volume', volume])
	try {
		await output('mount', ['--make-shared', volume])
		mkdirSync(join(volume, 'log'))
		const bound = unshared(root, `mount --bind ${volume} var`, [
			'-m',
			'-p',
			'-f',
			'--kill-child',
			'--propagation',
			'unchanged',
		])
		await withContainer(bound, 0, async (container, pog) => {
			const before = hostMounts()
			const refused = await attaching(container, pog)
			t.is(
				'problem' in refused ? refused.problem : '',
				'Cannot mount /var/log: /var is shared with the host, which would see it as well',
			)
			t.is(hostMounts(), before)
			await container.sh('mount --make-private /var')
			t.deepEqual(await attach(container, pog), ALL_PATHS)
			t.is(hostMounts(), before)
		})
	} finally {
		await output('umount', [volume])
	}
})

needsUnshare('what is mounted in a container on a POG stays in the container', async t => {
	await withContainer(unshared(makeRoot()), 0, async (container, pog) => {
		await output('mount', ['--make-shared', pog.paths.varLog.replace(/\/var\/log$/, '')])
		await attach(container, pog)
		await container.sh('mkdir /var/log/sub; mount -t tmpfs canary /var/log/sub')
		t.false(hostMounts().includes('canary'))
		t.true((await container.sh('cat /proc/self/mountinfo')).includes('canary'))
	})
})

needsUnshare('a container with a read-only root does without what it has no place for', async t => {
	const root = makeRoot()
	mkdirSync(join(root, 'var/log'), { recursive: true })
	await withContainer(unshared(root, 'mount -o remount,bind,ro .'), 0, async (container, pog) => {
		const outcome = await attaching(container, pog)
		t.deepEqual(outcome, {
			value: ALL_PATHS.slice(0, 4),
			left: ['Cannot make /etc/syslog.conf in the container: EROFS', 'Cannot make /run in the container: EROFS'],
		})
	})
})

needsUnshare('a chrooted process gets its log in its own root', async t => {
	const root = makeRoot()
	const setup =
		'mkdir -p jail/proc jail/dev jail/bin; cp bin/busybox jail/bin; ln -s busybox jail/bin/sh; mount -t proc proc jail/proc'
	const script = `set -e; cd "$1"; ${setup}; exec chroot jail /bin/sh -c 'echo ready; exec /bin/busybox cat'`
	const running = start('unshare', [...UNSHARED, 'sh', '-c', script, 'sh', root])
	await running.printed('the container is up', stdout => stdout.includes('ready'))
	await withContainer(Promise.resolve(containerOf(running, root)), 0, async (container, pog) => {
		t.deepEqual(await attach(container, pog), ALL_PATHS)
		await container.sh('/bin/busybox logger from-the-jail')
		t.true((await pog.records()).some(record => record.text.includes('from-the-jail')))
		t.deepEqual(
			valueOf(await detachRunning({ pid: container.pid, paths: pog.paths, attach: ATTACH_ALL })),
			[...ALL_PATHS].reverse(),
		)
	})
})

needsUnshare('a second POG takes the place of the first, and of one that is gone', async t => {
	await withContainer(unshared(makeRoot()), 0, async (container, pog, other) => {
		await attach(container, pog)
		t.deepEqual(await attach(container, other), ALL_PATHS)
		await container.sh('logger for-the-second')
		t.false((await pog.records()).some(record => record.text.includes('for-the-second')))
		t.true((await other.records()).some(record => record.text.includes('for-the-second')))
		await service.call('DELETE', `/v1/pogs/${other.name}`)
		t.deepEqual(await attach(container, pog), ALL_PATHS)
		await container.sh('logger for-the-first; cat /var/log/messages')
		t.true((await pog.records()).some(record => record.text.includes('for-the-first')))
		const mounts = await container.sh('cat /proc/self/mountinfo')
		t.is(mounts.split('\n').filter(line => POG_MOUNT.test(line)).length, ALL_PATHS.length)
	})
})

test.serial('what is no container is refused by name', async t => {
	const pog = await service.create(`refused-${++serial}`)
	const before = hostMounts()
	for (const [pid, problem] of [
		[process.pid, `Process ${process.pid} sees the mounts of the host: a POG there would hide the host's own log`],
		[4_194_305, 'There is no process 4194305'],
		[0, '"0" is no process id'],
	] as const) {
		t.deepEqual(await attachRunning({ pid, paths: pog.paths, attach: ATTACH_ALL }), { problem })
	}
	t.is(hostMounts(), before)
})

const NSPAWN: readonly { kind: string; owner: number; options: string[] }[] = [
	{ kind: 'systemd-nspawn', owner: 0, options: [] },
	{
		kind: 'systemd-nspawn in a user namespace',
		owner: 524_288,
		options: ['--private-users=524288:65536', '--private-users-ownership=chown'],
	},
]

for (const { kind, owner, options } of NSPAWN) {
	needs(BUSYBOX, 'systemd-nspawn')(`a container of ${kind} gets its log, and never the log of the host`, async t => {
		const root = makeRoot()
		mkdirSync(join(root, 'usr'))
		mkdirSync(join(root, 'var/log'), { recursive: true })
		writeFileSync(join(root, 'etc/os-release'), 'ID=test\n')
		const args = ['-q', '--register=no', '--keep-unit', ...options, '-D', root, '/bin/sh', '-c', 'echo ready; exec cat']
		const running = start('systemd-nspawn', args)
		await running.printed('the container is up', stdout => stdout.includes('ready'))
		let pid = running.pid
		while (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('cat') && !Number.isNaN(childOf(pid))) {
			pid = childOf(pid)
		}
		const made = { ...containerOf(running, root), pid, sh: (script: string) => inside(pid, script) }
		await withContainer(Promise.resolve(made), owner, async (container, pog) => {
			t.deepEqual(await attach(container, pog), ALL_PATHS)
			await container.sh('echo "<11>app: from-nspawn" >/dev/kmsg')
			t.true((await pog.records()).some(record => record.text.includes('from-nspawn')))
			const device = await container.sh('stat -c %d /proc/kmsg')
			valueOf(await detachRunning({ pid: container.pid, paths: pog.paths, attach: ATTACH_ALL }))
			t.is(await container.sh('timeout 2 cat /proc/kmsg'), '')
			t.not(await container.sh('stat -c %d /proc/kmsg'), device)
		})
	})
}

needsUnshare('a container that moves its directories about meanwhile moves nothing on the host', async t => {
	const root = makeRoot()
	const outside = join(service.directory, 'outside-of-race')
	mkdirSync(join(outside, 'log'), { recursive: true })
	mkdirSync(join(root, 'real/log'), { recursive: true })
	await withContainer(unshared(root), 0, async (container, pog) => {
		const before = hostMounts()
		const flip = `while :; do ln -s real var; mv -T var v2 2>/dev/null; rm -f var v2
			ln -s ../../../..${outside} var; rm -f var; mkdir -p var/log; rmdir var/log var; done 2>/dev/null`
		const flipping = start('nsenter', ['-t', `${container.pid}`, '-m', '-p', '-r', '-w', '/bin/sh', '-c', flip])
		try {
			for (let round = 0; round < 5; round++) {
				const job = { pid: container.pid, paths: pog.paths, attach: new Set(['varlog'] as const) }
				await attachRunning(job)
				await detachRunning(job)
			}
		} finally {
			await flipping.stop('SIGKILL')
		}
		t.is(hostMounts(), before)
		t.deepEqual(readdirSync(outside), ['log'])
		t.deepEqual(readdirSync(join(outside, 'log')), [])
	})
})

needs(BUSYBOX, 'unshare')('a container that holds us up does so for the time given', async t => {
	// A file system whose server has stopped: whoever walks into it waits.
	const stopped = await startService()
	try {
		const slow = await stopped.create('slow')
		const root = makeRoot()
		mkdirSync(join(root, 'run'))
		await withContainer(unshared(root, `mount --bind ${slow.paths.varLog} run`), 0, async (container, pog) => {
			const { pid: server } = (await stopped.describe()).engine
			process.kill(server, 'SIGSTOP')
			try {
				const { pid } = container
				const outcome = await attachRunning({ pid, paths: pog.paths, attach: ATTACH_ALL, timeoutMs: 200 })
				t.deepEqual(outcome, { problem: `The container of process ${pid} did not let us finish in 200 ms` })
			} finally {
				process.kill(server, 'SIGCONT')
			}
		})
	} finally {
		await stopped.stop()
	}
})
