/**
 * Sends syslog(2) of a container to a listener: the seccomp part of its configuration.
 *
 * Source: OCI runtime specification 1.1, config-linux.md, "Seccomp"; seccomp_unotify(2); libseccomp(3): a rule equal to the default
 * action is refused by runc, so every rule here differs. Invariant: all other calls are filtered as before.
 */
import type { OciLinux, OciSyscallRule, Parsed } from './config.ts'

type Seccomp = NonNullable<OciLinux['seccomp']>

export interface SyslogListener {
	/** A listening SOCK_STREAM socket: the runtime sends one message with the descriptor. */
	readonly listenerPath: string
	/** Comes with that message; says which POG it is for. */
	readonly metadata: string
	/** What the paths of our listeners begin with: one that is there already is of an earlier start. */
	readonly ours?: string
}

const NOTIFY = 'SCMP_ACT_NOTIFY'
const LIBSECCOMP_ARCH: Readonly<Record<string, readonly string[]>> = {
	// All of a machine's, else a 32-bit program would get past the filter.
	x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
	arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
	ppc64: ['SCMP_ARCH_PPC64LE'],
	s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
	riscv64: ['SCMP_ARCH_RISCV64'],
}

/** The filter with syslog(2) notified; a filter that allows all else when there was none. */
export function notifySyslog(
	given: Seccomp | undefined,
	listener: SyslogListener,
	architecture: string = process.arch,
): Parsed<Seccomp> {
	if (given?.listenerPath && !given.listenerPath.startsWith(listener.ours ?? listener.listenerPath)) {
		return {
			problem: `Cannot answer syslog(2): the seccomp profile has a listener already, "${given.listenerPath}"`,
		}
	}
	const architectures = LIBSECCOMP_ARCH[architecture]
	const before: Seccomp = given ?? {
		defaultAction: 'SCMP_ACT_ALLOW',
		...(architectures !== undefined && { architectures: [...architectures] }),
	}
	const others = (before.syscalls ?? [])
		.map((rule): OciSyscallRule => ({ ...rule, names: rule.names.filter(name => name !== 'syslog') }))
		.filter(rule => rule.names.length > 0)
	return {
		value: {
			...before,
			listenerPath: listener.listenerPath,
			listenerMetadata: listener.metadata,
			syscalls: [...others, { names: ['syslog'], action: NOTIFY }],
		},
	}
}
