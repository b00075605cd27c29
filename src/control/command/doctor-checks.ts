/**
 * What a host must have for POGs, and what makes them better: one table of checks, each with the remedy when it is not so.
 *
 * Sources: proc(5), kernel Documentation/admin-guide/sysctl (kernel.dmesg_restrict, net.unix.max_dgram_qlen), seccomp(2), user_namespaces(7).
 * Read-only: a check never changes the host, and answers within a second.
 */
import { access, constants, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PogInfo } from '../../pog/info.ts'
import type { ServiceInfo } from '../service.ts'
import { HOST_SYSLOG_WORDS } from './host-syslog-words.ts'
import { ENGINES } from './install-engines.ts'
import { findProgram } from './install.ts'

export type CheckState = 'ok' | 'note' | 'missing' | 'leak'

export interface CheckResult {
	/** `missing`: POGs do not work; `note`: they work, with less; `leak`: one shows what is another's. */
	readonly state: CheckState
	readonly about: string
	readonly found: string
	/** What to do; only when not ok. */
	readonly remedy?: string
}

export interface DoctorContext {
	readonly runDir: string
	/** The service; undefined when none answers. */
	readonly service: ServiceInfo | undefined
	readonly pogs: readonly PogInfo[]
	/** Where the host's files are looked for: nothing for the host itself. */
	readonly root: string
}

type Check = (context: DoctorContext) => Promise<CheckResult | CheckResult[]>

const ok = (about: string, found: string): CheckResult => ({ state: 'ok', about, found })
const note = (about: string, found: string, remedy: string): CheckResult => ({ state: 'note', about, found, remedy })
const missing = (about: string, found: string, remedy: string): CheckResult => ({
	state: 'missing',
	about,
	found,
	remedy,
})

/** Who holds mounts and sockets beside the engine. */
const KEEPERS: Readonly<Record<string, CheckResult>> = {
	there: ok('keeper', 'mounts outlive the engine'),
	gone: note('keeper', 'gone: mounts end with the engine', 'stop pogshim and start it, when containers can do without'),
	none: note('keeper', 'none: mounts end with the engine', 'start pogshim without --engine, or by its systemd unit'),
}

const NO_RESEND = note(
	'  resend',
	'false: when the engine dies, reads that wait end with EINTR, the call being carried out with EIO',
	'Linux 6.9 or later sends them again (FUSE_HAS_RESEND), and nobody notices but by a pause',
)

/** In the order they are told: the kernel, the service, programs, engines. */
export const CHECKS: readonly Check[] = [
	async ({ root }) => {
		const release = (await text(`${root}/proc/sys/kernel/osrelease`)).trim()
		const [major = 0, minor = 0] = release.split('.').map(Number)
		if (major > 6 || (major === 6 && minor >= 9)) return ok('kernel', release)
		if (major > 5 || (major === 5 && minor >= 2))
			return note(
				'kernel',
				release,
				'Linux 6.9 serves app files at the speed of tmpfs and lets the service restart unnoticed',
			)
		return missing('kernel', release, 'Linux 5.2 or later is needed (mounts by file descriptor)')
	},
	async ({ root }) => {
		const readable = await access(`${root}/dev/fuse`, constants.R_OK | constants.W_OK).then(
			() => true,
			() => false,
		)
		const known = /\bfuse$/m.test(await text(`${root}/proc/filesystems`))
		if (readable && known) return ok('FUSE', '/dev/fuse')
		return missing(
			'FUSE',
			known ? 'no access to /dev/fuse' : 'the kernel has no FUSE',
			'modprobe fuse; run pogshim as root',
		)
	},
	async ({ root }) => {
		const most = Number(await text(`${root}/proc/sys/user/max_user_namespaces`))
		if (most > 0) return ok('user namespaces', `up to ${most}`)
		return note('user namespaces', 'none allowed', 'sysctl user.max_user_namespaces=10000, for rootless containers')
	},
	async ({ root }) => {
		if (/\buser_notif\b/.test(await text(`${root}/proc/sys/kernel/seccomp/actions_avail`)))
			return ok('seccomp', 'user notification')
		return note(
			'seccomp',
			'no user notification',
			'Linux 5.0 or later answers syslog(2) from the POG; without, it is refused',
		)
	},
	async ({ root }) => {
		if ((await text(`${root}/proc/sys/kernel/dmesg_restrict`)).trim() === '1') return ok('kernel.dmesg_restrict', '1')
		return note(
			'kernel.dmesg_restrict',
			'0: a container without a POG reads the host log by syslog(2)',
			'sysctl kernel.dmesg_restrict=1',
		)
	},
	async ({ root }) => {
		const length = Number(await text(`${root}/proc/sys/net/unix/max_dgram_qlen`))
		if (length >= 64) return ok('net.unix.max_dgram_qlen', String(length))
		return note(
			'net.unix.max_dgram_qlen',
			`${length}: writers of /dev/log wait after ${length} messages`,
			'sysctl net.unix.max_dgram_qlen=512',
		)
	},
	async ({ root }) => {
		const groups = await text(`${root}/proc/self/cgroup`)
		if (/^\d+:([^:]*,)?memory(,[^:]*)?:/m.test(groups)) return ok('memory cgroup', 'version 1')
		const controllers = await text(`${root}/sys/fs/cgroup/cgroup.controllers`)
		if (/\bmemory\b/.test(controllers)) return ok('memory cgroup', 'version 2')
		return note(
			'memory cgroup',
			'none',
			'without it nobody but the host pays for the memory of a log (boot with cgroup_enable=memory)',
		)
	},
	async ({ root }) => {
		// runc and crun, as container engines, speak to cgroups of one kind; crun refuses a v1 tree that lacks a controller.
		const controllers = (await text(`${root}/proc/cgroups`)).split('\n').filter(line => /^hugetlb\s.*\s1$/.test(line))
		const hybrid = await isThere(`${root}/sys/fs/cgroup/unified`)
		if (!hybrid || controllers.length === 0 || (await isThere(`${root}/sys/fs/cgroup/hugetlb`))) return []
		if (findProgram('crun', root) === undefined) return []
		return note(
			'crun',
			'it refuses a hybrid cgroup tree without hugetlb',
			'mkdir /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb',
		)
	},
	async ({ service, runDir }) => {
		if (service === undefined) {
			const killed = await isThere(join(runDir, 'engine.json'))
			return killed
				? missing('service', `killed: ${runDir} is as it left it`, 'start it: pogshim; containers get their logs back')
				: missing('service', `no answer at ${runDir}/api.sock`, 'start it: pogshim')
		}
		const { keeper, ...features } = service.features
		return [
			ok('service', `pogshim ${service.version}, process ${service.engine.pid}, ${service.pogs} POGs`),
			KEEPERS[String(keeper)] ?? note('keeper', 'not told', 'upgrade pogshim: pogctl upgrade'),
			...Object.entries(features).map(([feature, value]) =>
				feature === 'resend' && value === false ? NO_RESEND : ok(`  ${feature}`, String(value)),
			),
		]
	},
	async ({ service, runDir }) => {
		if (service === undefined) return []
		if (await isThere(join(runDir, 'host/ctl'))) return ok('control file', join(runDir, 'host/ctl'))
		return missing('control file', `${runDir}/host/ctl is not there`, 'runtimes and hooks need it: restart pogshim')
	},
	async ({ pogs }) =>
		pogs.flatMap(({ name, hostSyslog }): CheckResult[] => {
			if (hostSyslog === undefined) return []
			const { found, remedy } = HOST_SYSLOG_WORDS[hostSyslog]
			return [{ state: 'leak', about: name, found: `syslog(2) ${found}`, remedy }]
		}),
	async ({ root }) =>
		PROGRAMS.map(([program, use, source, needed]) => {
			const path = findProgram(program, root)
			if (path !== undefined) return ok(program, path)
			return (needed ? missing : note)(program, `not found; ${use}`, `install ${source}`)
		}),
	async ({ root }) => {
		const runtimes = ['runc', 'crun'].filter(name => findProgram(name, root) !== undefined)
		if (runtimes.length > 0) return ok('OCI runtime', runtimes.join(', '))
		return note('OCI runtime', 'neither runc nor crun', 'install runc or crun; pogctl run needs none')
	},
	async ({ root }) => {
		const told: CheckResult[] = []
		for (const [name, engine] of Object.entries(ENGINES)) {
			if (name === 'hooks' || name === 'cdi' || findProgram(engine.program, root) === undefined) continue
			const texts = await Promise.all(engine.files.map(file => text(`${root}${file.path}`)))
			if (texts.every(content => content.includes('pogs'))) told.push(ok(name, 'gives its containers POGs'))
			else told.push(note(name, 'its containers share a log or have none', `pogctl install ${name}`))
		}
		return told
	},
]

const PROGRAMS: readonly (readonly [program: string, use: string, source: string, needed: boolean])[] = [
	['mount', 'hooks mount /proc/kmsg with it', 'mount (Debian) or util-linux', true],
	['unshare', 'pogctl run makes namespaces with it', 'util-linux', false],
	['setpriv', 'pogctl run drops capabilities with it', 'util-linux', false],
	['nsenter', 'hooks enter user namespaces with it', 'util-linux', false],
	['fallocate', "a log's memory is charged to its container with it", 'util-linux', false],
]

/** Empty when it cannot be read. */
async function text(path: string): Promise<string> {
	return readFile(path, 'utf8').catch(() => '')
}

async function isThere(path: string): Promise<boolean> {
	return stat(path).then(
		() => true,
		() => false,
	)
}

const MARKS: Readonly<Record<CheckState, string>> = { ok: 'ok', note: 'note', missing: 'MISSING', leak: 'LEAK' }

/** For people: one line a result, and the remedy below it. */
export function linesOf(results: readonly CheckResult[]): string[] {
	const marks = Math.max(...Object.values(MARKS).map(mark => mark.length))
	const width = Math.max(...results.map(({ about }) => about.length))
	return results.flatMap(({ state, about, found, remedy }) => [
		`${MARKS[state].padEnd(marks)}  ${about.padEnd(width)}  ${found}`,
		...(remedy === undefined ? [] : [`${' '.repeat(marks + width + 4)}-> ${remedy}`]),
	])
}
