/**
 * Who calls: whether a thread may do what needs CAP_SYSLOG on the kernel's own log. Source: /proc/PID/status, /proc/PID/ns/user of
 * proc(5); capabilities(7).
 *
 * The kernel asks for the capability in the first user namespace, which no container has or only one that must not have it. For
 * a POG it is the container's root that is privileged, whatever capabilities it kept, and whoever holds CAP_SYSLOG in the
 * container's own user namespace. Capabilities in a namespace that somebody made inside are worth nothing.
 *
 * Invariant: an answer is valid only if the caller is then found still waiting (its number may be another's by now).
 */
import { readlinkSync } from 'node:fs'
import type { Memory } from '../lib/memory.ts'
import { close, O_CLOEXEC, O_RDONLY, openPath, read } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'

const STATUS_BYTES = 4096
const CAP_SYSLOG = 34

/** Reads credentials; one object serves all callers. */
export class Callers {
	readonly #memory: Memory = allocate(STATUS_BYTES)

	/** `rootUid`: the host's uid of the container's root. `userNamespace`: the container's, as `userNamespaceOf` names it. */
	isPrivileged(tid: number, rootUid: number, userNamespace: string): boolean {
		const status = this.#status(tid)
		const uid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1]
		if (uid === undefined) return false
		if (Number(uid) === rootUid) return true
		const effective = /^CapEff:\t([0-9a-f]+)/m.exec(status)?.[1] ?? '0'
		const holds = ((BigInt(`0x${effective}`) >> BigInt(CAP_SYSLOG)) & 1n) === 1n
		return holds && userNamespace !== '' && userNamespaceOf(tid) === userNamespace
	}

	#status(tid: number): string {
		const fd = openPath(`/proc/${tid}/status`, O_RDONLY | O_CLOEXEC)
		if (fd < 0) return ''
		const bytes = read(fd, this.#memory.address, STATUS_BYTES)
		close(fd)
		return bytes > 0 ? Buffer.from(this.#memory.buffer, 0, bytes).toString('latin1') : ''
	}
}

/** The user namespace of a process, as a name to compare; empty when it cannot be told. */
export function userNamespaceOf(pid: number): string {
	try {
		return readlinkSync(`/proc/${pid}/ns/user`)
	} catch {
		return ''
	}
}
