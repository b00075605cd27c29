/**
 * What of a POG can be put into a container: one table of names, bind sources and places.
 *
 * Source: the layout of `src/vfs/pog-tree.ts`; names are those of the `pogs.attach` annotation. `/run/pog` always comes along: it
 * replaces nothing and is where a container reads what it lost.
 */
import type { PogPaths } from '../../pog/info.ts'

/** Names of `pogs.attach`, with what each is for. */
export const ATTACHABLE = {
	kmsg: 'the kernel log: /dev/kmsg, /proc/kmsg and syslog(2)',
	devlog: 'the socket /dev/log',
	varlog: 'the log files in /var/log',
	conf: 'the configuration /etc/syslog.conf',
} as const
export type Attachable = keyof typeof ATTACHABLE

export const ATTACH_ALL: ReadonlySet<Attachable> = new Set(Object.keys(ATTACHABLE) as Attachable[])

export interface AttachPoint {
	readonly source: keyof PogPaths
	/** In the container. */
	readonly target: string
	readonly kind: 'directory' | 'file'
	/** Undefined: always attached. */
	readonly part?: Attachable
	/** Who wins when the container's own configuration mounts the same place. */
	readonly rival: 'replaced' | 'kept'
}

/**
 * In the order they are mounted. A volume that somebody put on /var/log or on syslog.conf is wanted there; one on the kernel log or
 * on /dev/log is the shared log that a POG takes the place of.
 */
export const ATTACH_POINTS: readonly AttachPoint[] = [
	{ source: 'varLog', target: '/var/log', kind: 'directory', part: 'varlog', rival: 'kept' },
	{ source: 'procKmsg', target: '/proc/kmsg', kind: 'file', part: 'kmsg', rival: 'replaced' },
	{ source: 'devKmsg', target: '/dev/kmsg', kind: 'file', part: 'kmsg', rival: 'replaced' },
	{ source: 'devLog', target: '/dev/log', kind: 'file', part: 'devlog', rival: 'replaced' },
	{ source: 'syslogConf', target: '/etc/syslog.conf', kind: 'file', part: 'conf', rival: 'kept' },
	{ source: 'runPog', target: '/run/pog', kind: 'directory', rival: 'replaced' },
]

/** The points that a set of names asks for. */
export function pointsOf(attach: ReadonlySet<Attachable>): readonly AttachPoint[] {
	return ATTACH_POINTS.filter(point => point.part === undefined || attach.has(point.part))
}
