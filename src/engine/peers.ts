/**
 * Who may use the API: root, the user that the service runs as, and the group `pogs` where there is one. Each of them can do
 * everything that the service can, so the group is as good as root. Source: unix(7), group(5).
 *
 * The file modes say so already; this is for the case that somebody binds the run directory into a container, whose root has the same
 * user id. Invariant: who is in a pid namespace below ours is refused, whatever its user id.
 */
import { chmodSync, chownSync, readFileSync } from 'node:fs'
import { peerOf } from '../sys/peers.ts'

/** The group whose members may use the API. */
export const GROUP = 'pogs'

/** Its id, or null where the system has no such group. */
export function groupId(file = '/etc/group'): number | null {
	try {
		const line = readFileSync(file, 'latin1')
			.split('\n')
			.find(each => each.startsWith(`${GROUP}:`))
		return line === undefined ? null : Number(line.split(':')[2])
	} catch {
		return null
	}
}

/** Lets the group in; does nothing where we may not give files to it. */
export function openTo(group: number, path: string, mode: number): void {
	try {
		chownSync(path, -1, group)
		chmodSync(path, mode)
	} catch {}
}

/** Why the one at the other end of this connection is not answered; undefined when it is. */
export function refusalOf(fd: number, group: number | null): string | undefined {
	const peer = peerOf(fd)
	if (typeof peer === 'number') return 'Cannot tell who asks'
	// Gone, or it handed its connection on: the process that connected can answer for itself no more.
	if (peer.pid > 0 && peer.depth === 0) return 'The process that asked is gone'
	if (peer.depth > 1) return 'A container may not use the API: it has /run/pog/pogctl for its own log'
	if (peer.uid === 0 || peer.uid === process.geteuid?.()) return undefined
	if (group !== null && (peer.gid === group || groupsOf(peer.pid).includes(group))) return undefined
	return `User ${peer.uid} may not use the API: become root, or a member of the group ${GROUP}`
}

function groupsOf(pid: number): number[] {
	try {
		const status = readFileSync(`/proc/${pid}/status`, 'latin1')
		return (/^Groups:\s*(.*)$/m.exec(status)?.[1] ?? '').trim().split(/\s+/).map(Number)
	} catch {
		return []
	}
}
