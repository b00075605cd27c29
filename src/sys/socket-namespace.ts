/**
 * Makes sockets whose datagram queue is deep, whatever the host's default.
 * Source: unix_create1() of net/unix/af_unix.c (v6.12), where a socket takes its queue's bound from `net.unix.max_dgram_qlen` of
 * the network namespace it is made in; setns(2), unshare(2) of man-pages 6.03.
 *
 * The default is 10 messages: then a sender sleeps, and two wake-ups cost more than fifty messages. systemd raises the bound
 * at boot (DEFAULT_UNIX_MAX_DGRAM_QLEN, 512); we do so in a namespace of our own, because the host's settings are not ours.
 * A socket with a path is found by its inode from every namespace. What one sender can queue stays bounded by its own send
 * buffer, and charged to its cgroup. Invariant: the thread is back in its own namespace when a function here returns.
 */
import { close, O_CLOEXEC, O_RDONLY, O_RDWR, openPath, read, write } from './io.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const unshareCall = bind('int unshare(int)')
const setnsCall = bind('int setns(int, int)')

const CLONE_NEWNET = 0x40000000
const THIS_NAMESPACE = '/proc/thread-self/ns/net'
const QUEUE_BOUND = '/proc/sys/net/unix/max_dgram_qlen'
/**
 * Messages. A full queue wakes every sender that waits for each message taken; a full send buffer (some 280 messages of 100
 * bytes) wakes its own sender, once it is half empty. So it is the buffers that should fill: those of a dozen busy senders.
 */
const DEPTH = 4096

/** The namespace with the deep queues; negative when there is none to be had, or the host's are deep already. */
let deep: number | undefined

/** Runs `make` where sockets get deep queues; in the caller's own namespace when the kernel does not let us. */
export function withDeepQueues(make: () => number): number {
	deep ??= currentDepth() >= DEPTH ? -1 : makeNamespace()
	if (deep < 0) return make()
	const own = openPath(THIS_NAMESPACE, O_RDONLY | O_CLOEXEC)
	if (own < 0) return make()
	const entered = setnsCall(deep, CLONE_NEWNET) === 0
	try {
		return make()
	} finally {
		if (entered) goBack(own)
		close(own)
	}
}

function currentDepth(): number {
	const fd = openPath(QUEUE_BOUND, O_RDONLY | O_CLOEXEC)
	if (fd < 0) return 0
	const scratch = allocate(4096)
	const got = read(fd, scratch.address, 16)
	const depth = got > 0 ? Number.parseInt(Buffer.from(scratch.bytes.subarray(0, got)).toString('latin1'), 10) : 0
	unmap(scratch)
	close(fd)
	return depth
}

/** A descriptor of a new namespace with the bound set, or a negative errno. */
function makeNamespace(): number {
	const own = openPath(THIS_NAMESPACE, O_RDONLY | O_CLOEXEC)
	if (own < 0) return own
	// Who may not enter the namespace it is in (a user namespace's root, the host's network) could not come back.
	const made = Math.min(result(setnsCall(own, CLONE_NEWNET)), 0) || result(unshareCall(CLONE_NEWNET))
	if (made < 0) {
		close(own)
		return made
	}
	const set = setDepth()
	const fd = set < 0 ? set : openPath(THIS_NAMESPACE, O_RDONLY | O_CLOEXEC)
	goBack(own)
	close(own)
	return fd
}

function setDepth(): number {
	const fd = openPath(QUEUE_BOUND, O_RDWR | O_CLOEXEC)
	if (fd < 0) return fd
	const text = Buffer.from(String(DEPTH))
	const scratch = allocate(4096)
	scratch.bytes.set(text)
	const written = write(fd, scratch.address, text.length)
	unmap(scratch)
	close(fd)
	return written
}

/** A thread lost in another network namespace would serve, and start programs, in the wrong one. */
function goBack(own: number): void {
	const back = result(setnsCall(own, CLONE_NEWNET))
	if (back < 0) throw new Error(`Cannot return to the network namespace: errno ${-back}`)
}
