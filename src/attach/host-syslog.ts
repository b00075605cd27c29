/**
 * Whether a process can reach the host's kernel log by syslog(2), which nobody answers for a container that ran before it had a POG.
 *
 * Source: kernel/printk/printk.c, check_syslog_permissions and syslog_action_restricted (v6.12): with CAP_SYSLOG in the initial user namespace
 * every action is allowed; without it, kernel.dmesg_restrict=0 leaves reading all (3) and the size (10) open to everybody. proc(5) for
 * CapBnd and Seccomp of /proc/PID/status. Invariant: what a filter refuses is not known from outside, so one counts only against the
 * second way, as every engine's default filter does, which lets syslog(2) pass with CAP_SYSLOG alone.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import type { HostSyslog } from '../pog/info.ts'

/** include/uapi/linux/capability.h. */
const CAP_SYSLOG = 34n
/** PROC_USER_INIT_INO of include/uapi/linux/nsfs.h (proc_ns.h before 6.18). */
const INITIAL_USER_NAMESPACE = 'user:[4026531837]'

export interface SyslogFacts {
	/** Text of /proc/PID/status. */
	readonly status: string
	/** What /proc/PID/ns/user says. */
	readonly userNamespace: string
	/** Text of /proc/sys/kernel/dmesg_restrict. */
	readonly dmesgRestrict: string
}

/** How, or undefined when it cannot. A program of it that is root has what is in the bounding set, whatever this process has. */
export function hostSyslogOf({ status, userNamespace, dmesgRestrict }: SyslogFacts): HostSyslog | undefined {
	const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
	const may = (BigInt(`0x${bounding}`) >> CAP_SYSLOG) & 1n
	if (may === 1n && userNamespace === INITIAL_USER_NAMESPACE) return 'capability'
	const unfiltered = /^Seccomp:\s*0$/m.test(status)
	return unfiltered && dmesgRestrict.trim() === '0' ? 'unrestricted' : undefined
}

/** The same of a process that runs; undefined also when it is gone. */
export function hostSyslog(pid: number): HostSyslog | undefined {
	try {
		return hostSyslogOf({
			status: readFileSync(`/proc/${pid}/status`, 'latin1'),
			userNamespace: readlinkSync(`/proc/${pid}/ns/user`),
			dmesgRestrict: readFileSync('/proc/sys/kernel/dmesg_restrict', 'latin1'),
		})
	} catch {
		return undefined
	}
}
