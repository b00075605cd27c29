/** What people are told of a container that reaches the host's kernel log by syslog(2), and what helps. */
import type { HostSyslog } from '../../pog/info.ts'

interface Words {
	readonly found: string
	readonly remedy: string
}

export const HOST_SYSLOG_WORDS: Readonly<Record<HostSyslog, Words>> = {
	capability: {
		found: "shows the host's kernel log, and can clear it: the container may have CAP_SYSLOG",
		remedy:
			'start it without --privileged and --cap-add SYSLOG, or through the runtime of "pogctl install", which answers the call from its own log',
	},
	unrestricted: {
		found: "shows the host's kernel log: kernel.dmesg_restrict is 0 and the container has no seccomp filter",
		remedy:
			'sysctl kernel.dmesg_restrict=1, or start it through the runtime of "pogctl install", which answers the call from its own log',
	},
}
