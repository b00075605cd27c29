/**
 * syslog(2) of a command that `pogctl run` starts: a filter whose listener the service gets, so that the command's calls are
 * answered from its POG.
 *
 * Source: seccomp_unotify(2). The filter is this thread's and of all it starts from now on; the listener is held by the service
 * alone. Invariant: whatever fails, the command never reaches the real call: without a listener it is refused.
 */
import { errnoName } from '../lib/errno.ts'
import { close } from '../sys/io.ts'
import { notifySyslogCall, refuseSyslogCall } from '../sys/seccomp.ts'
import { connectStream, DescriptorMessages } from '../sys/seccomp-socket.ts'
import { renderContainerProcess, seccompSocketPath } from './container-process.ts'

/** Undefined, or what the user should know: the call is refused then, or not even that. */
export function answerSyslog(runDir: string, pog: { name: string; containerId: string }): string | undefined {
	const door = connectStream(seccompSocketPath(runDir))
	if (door < 0) return refuse(`the service does not listen: ${errnoName(door)}`)
	const listener = notifySyslogCall()
	try {
		// EBUSY: inside a container whose own calls somebody answers already.
		if (listener < 0) return refuse(errnoName(listener))
		const text = renderContainerProcess({ metadata: pog.name, containerId: pog.containerId, pid: process.pid })
		const sent = new DescriptorMessages().send(door, text, listener)
		// The filter stays: with nobody to ask, the kernel answers ENOSYS.
		return sent < 0 ? `Cannot answer syslog(2): the service does not take it: ${errnoName(sent)}` : undefined
	} finally {
		close(door)
		if (listener >= 0) close(listener)
	}
}

function refuse(why: string): string {
	const refused = refuseSyslogCall()
	if (refused >= 0) return `Cannot answer syslog(2), so it is refused: ${why}`
	return `Cannot close syslog(2) to the command: ${errnoName(refused)}; mind the host's kernel.dmesg_restrict`
}
