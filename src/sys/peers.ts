/**
 * Who is at the other end of a Unix socket. Source: unix(7) SO_PEERCRED, SO_PEERPIDFD (v6.5); proc(5) on NSpid;
 * pidfd_open(2) on the fdinfo of a process descriptor.
 */
import { readFileSync } from 'node:fs'
import { close } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const getsockoptCall = bind('int getsockopt(int, int, int, int64_t, int64_t)')

const SOL_SOCKET = 1
const SO_PEERCRED = 17
const SO_PEERPIDFD = 77

export interface Peer {
	readonly uid: number
	readonly gid: number
	/** Process id of the one that connected; 0 when it is outside of our namespace. */
	readonly pid: number
	/** Pid namespaces from ours down to its own: 1 when it is in ours, 0 when it cannot be told. */
	readonly depth: number
}

/** The one that connected; or a negative errno. */
export function peerOf(fd: number): Peer | number {
	const memory = allocate(32)
	const words = new Uint32Array(memory.buffer)
	const ask = (option: number, bytes: number): number => {
		words[4] = bytes
		return result(getsockoptCall(fd, SOL_SOCKET, option, memory.address, memory.address + 16))
	}
	try {
		const answer = ask(SO_PEERCRED, 12)
		if (answer < 0) return answer
		const [pid = 0, uid = 0, gid = 0] = words
		// By descriptor, the process is the one that connected, whoever has its number by now.
		const pidfd = ask(SO_PEERPIDFD, 4) < 0 ? -1 : (words[0] ?? -1)
		const depth = depthIn(pidfd < 0 ? `/proc/${pid}/status` : `/proc/self/fdinfo/${pidfd}`)
		if (pidfd >= 0) close(pidfd)
		return { uid, gid, pid, depth }
	} finally {
		unmap(memory)
	}
}

function depthIn(path: string): number {
	try {
		const pids = /^NSpid:\s*(.*)$/m.exec(readFileSync(path, 'latin1'))?.[1]?.trim().split(/\s+/) ?? []
		return pids[0] === '0' || pids[0] === '-1' ? 0 : pids.length
	} catch {
		return 0
	}
}
