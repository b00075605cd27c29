/**
 * Puts a POG into the configuration of an OCI bundle: mounts, hooks, the syslog(2) filter, capabilities.
 *
 * Source: OCI runtime specification 1.0.2 and 1.1 (config.md, config-linux.md); runc 1.1 `checkProcMount` (no mounts inside /proc).
 * Pure. Invariants: editing an edited configuration changes nothing; nothing that is not about logs changes.
 */
import type { PogPaths } from '../../pog/info.ts'
import { type Attachable, pointsOf } from './attachable.ts'
import { dropSyslogCapability } from './capabilities.ts'
import type { OciConfig, OciHook, OciLinux } from './config.ts'
import { closeKmsgDevice } from './kmsg-device.ts'
import { isBelow, normalDestination, placeMount } from './place-mount.ts'
import { notifySyslog, type SyslogListener } from './syslog-filter.ts'

export interface AttachPlan {
	/** Name of the POG. */
	readonly pog: string
	/** Where the parts of the POG are on the host. */
	readonly paths: PogPaths
	readonly attach: ReadonlySet<Attachable>
	/** Absolute path of `mount/pogs-hook`. */
	readonly hookPath: string
	readonly runDir: string
	/** The runtime's base name, `runc` by default: `crun` mounts on /proc/kmsg itself. */
	readonly runtime?: string
	/** Who answers syslog(2); left out: the call stays as the engine's profile has it. */
	readonly seccomp?: SyslogListener
	/** Targets that the root file system has no place for and gets none: see `placesMissing`. */
	readonly leaveOut?: ReadonlySet<string>
	/**
	 * The runtime waits for us where it brings the listener, when all its own mounts are made: ours are made from outside then,
	 * and need neither its mounts nor a hook.
	 */
	readonly meets?: boolean
}

export type Edited =
	| {
			readonly value: OciConfig
			/** What was done, for people: `mount /var/log`, ... */
			readonly changes: string[]
			/** Targets that are to be mounted from outside. */
			readonly outside: ReadonlySet<string>
	  }
	| { readonly problem: string }

/** The configuration with the POG in it; what was given stays as it was. */
export function editBundle(before: OciConfig, plan: AttachPlan): Edited {
	const changes: string[] = []
	const withKmsg = plan.attach.has('kmsg')
	const { mounts, procKmsg, outside } = editMounts(before, plan, changes)
	let linux: OciLinux = { ...before.linux }
	if (withKmsg) linux = closeKmsgDevice(linux, changes)
	if (withKmsg && plan.seccomp !== undefined) {
		const filtered = notifySyslog(linux.seccomp ?? undefined, plan.seccomp)
		if ('problem' in filtered) return filtered
		changes.push('answer syslog(2)')
		linux = { ...linux, seccomp: filtered.value }
	}
	const process = withKmsg ? dropSyslogCapability(before, changes) : {}
	const hooks = editHooks(before, plan, procKmsg)
	return { value: { ...before, ...process, mounts, linux, hooks }, changes, outside }
}

function editMounts(
	config: OciConfig,
	plan: AttachPlan,
	changes: string[],
): { mounts: NonNullable<OciConfig['mounts']>; procKmsg: boolean; outside: ReadonlySet<string> } {
	const isOurs = (source: string): boolean => source.startsWith(`${plan.runDir}/pogs/`)
	// What an earlier start wrote into this bundle is no wish of anybody's.
	let mounts = (config.mounts ?? []).filter(mount => !isOurs(mount.source ?? ''))
	let procKmsg = false
	const outside = new Set<string>()
	for (const { source, target, rival } of pointsOf(plan.attach)) {
		if (plan.leaveOut?.has(target)) {
			changes.push(`leave out ${target}: its place is missing in a read-only root file system`)
			continue
		}
		const theirs = mounts.find(mount => normalDestination(mount.destination) === target)
		const ours = { destination: target, type: 'bind', source: plan.paths[source], options: BIND }
		// An empty tmpfs is no volume of somebody's.
		if (theirs !== undefined && rival === 'kept' && theirs.type !== 'tmpfs') {
			changes.push(`keep the mount of ${theirs.source ?? theirs.type ?? '?'} on ${target}`)
			continue
		}
		// runc refuses a mount inside /proc, so a hook makes it. crun could not: in a user namespace it runs that hook too early
		// for /proc from outside, and without the right to our directories inside.
		const covers = mounts.some(mount => isBelow(normalDestination(mount.destination), target))
		// One mounted later would hide a volume below it.
		if (plan.meets && !covers) {
			mounts = mounts.filter(mount => mount !== theirs)
			outside.add(target)
		} else if (target === '/proc/kmsg' && !/crun/.test(plan.runtime ?? '')) {
			mounts = mounts.filter(mount => mount !== theirs)
			procKmsg = true
		} else {
			mounts = placeMount(mounts, ours)
		}
		changes.push(`mount ${target}`)
	}
	return { mounts, procKmsg, outside }
}

// nosuid and nodev come with the source. Named here, a runtime remounts to set them; in a user namespace that fails, because it
// would drop the source's noatime (mount_namespaces(7), "Restrictions").
const BIND = ['bind', 'rw', 'private']

function editHooks(config: OciConfig, plan: AttachPlan, procKmsg: boolean): NonNullable<OciConfig['hooks']> {
	const env = [
		'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
		`POGS_RUN_DIR=${plan.runDir}`,
		`POGS_NAME=${plan.pog}`,
		`POGS_ROOT=${config.root.path}`,
	]
	if (procKmsg) env.push(`POGS_PROC_KMSG=${plan.paths.procKmsg}`)
	const userns = (config.linux.uidMappings?.length ?? 0) > 0
	if (userns) env.push('POGS_USERNS=1')
	const given = config.hooks
	const withoutOurs = (all: readonly OciHook[] | null | undefined): OciHook[] => {
		return (all ?? []).filter(hook => hook.path !== plan.hookPath)
	}
	const withOurs = (stage: string, all: readonly OciHook[] | null | undefined): OciHook[] => [
		...withoutOurs(all),
		{ path: plan.hookPath, args: ['pogs-hook', stage], env, timeout: HOOK_SECONDS },
	]
	// Who brings a listener tells the start with it. Otherwise one hook does: each costs the start two milliseconds.
	const told = plan.meets === true || (plan.seccomp !== undefined && !procKmsg && plan.attach.has('kmsg'))
	const inside = procKmsg && !userns
	const hooks = {
		...given,
		createRuntime: inside || told ? withoutOurs(given?.createRuntime) : withOurs('createRuntime', given?.createRuntime),
		createContainer: inside ? withOurs('createContainer', given?.createContainer) : withoutOurs(given?.createContainer),
		// The end is seen by the process itself, so no hook has to tell it.
		poststop: withoutOurs(given?.poststop),
	}
	// A stage without hooks is left out, as it was.
	return Object.fromEntries(Object.entries(hooks).filter(([, list]) => !Array.isArray(list) || list.length > 0))
}

/** A hook that does not end by then is ended by the runtime, and the container does not start. */
const HOOK_SECONDS = 10
