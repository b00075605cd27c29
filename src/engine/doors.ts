/**
 * The service's own doors: the API socket, the host's control file, the sockets for seccomp listeners and for LXC's monitors.
 *
 * Invariant: each is kept by the keeper before somebody can knock, so that who knocks while no engine runs waits instead of being
 * refused. One whose name is gone, because an engine died while it stopped, is made anew: nobody could find it.
 */
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmdirSync, rmSync } from 'node:fs'
import { lxcSocketPath, seccompSocketPath } from '../attach/container-process.ts'
import { parseMountinfo } from '../attach/mountinfo.ts'
import { apiSocketPath, socketPathProblem } from '../control/calls.ts'
import { featuresOf } from '../fuse/negotiate.ts'
import { errnoName } from '../lib/errno.ts'
import { close } from '../sys/io.ts'
import { mountFuse, unmount } from '../sys/mount.ts'
import { listenPackets, listenStream } from '../sys/seccomp-socket.ts'
import type { Inherited } from '../sys/upbringing.ts'
import type { FdStore } from './fd-store.ts'
import { keptHandshake } from './kept-state.ts'
import { openTo } from './peers.ts'
import type { ShardClient } from './shard-client.ts'
import { claim, claimAll } from './takeover.ts'

export interface DoorKeeping {
	readonly runDir: string
	readonly inherited: Inherited
	readonly fdStore: FdStore
	/** Whose members may use the API beside root; null for none. */
	readonly group: number | null
}

/** The API's listening socket: the earlier engine's, or a new one that nobody else can connect to at any moment. */
export function openApiSocket({
	runDir,
	inherited,
	fdStore,
	group,
}: DoorKeeping): { fd: number } | { problem: string } {
	const path = apiSocketPath(runDir)
	const kept = claimSocket('api', path, { inherited, fdStore })
	if (kept >= 0) return { fd: kept }
	const workshop = mkdtempSync(`${runDir}/.api-`)
	const made = `${workshop}/s`
	try {
		const tooLong = socketPathProblem(path) ?? socketPathProblem(made)
		if (tooLong !== undefined) return { problem: tooLong }
		const fd = listenStream(made)
		if (fd < 0) return { problem: `Cannot listen at "${path}": ${errnoName(fd)}` }
		fdStore.keep('api', fd)
		if (group !== null) openTo(group, made, 0o660)
		// The lock of the run directory is ours: whoever made the one that lies there is gone.
		rmSync(path, { force: true })
		linkSync(made, path)
		return { fd }
	} finally {
		rmSync(workshop, { recursive: true, force: true })
	}
}

/** A listening socket of the earlier engine's that has its name still; or -1. */
export function claimSocket(
	name: string,
	path: string,
	{ inherited, fdStore }: Pick<DoorKeeping, 'inherited' | 'fdStore'>,
): number {
	const kept = claim(inherited, name)
	if (kept < 0 || existsSync(path)) return kept
	close(kept)
	fdStore.forget(name)
	return -1
}

type Keeping = Pick<DoorKeeping, 'runDir' | 'fdStore'>

/** For good: nobody finds it any more, and whoever knocks already is refused. */
export function removeApiSocket({ runDir, fdStore }: Keeping): void {
	rmSync(apiSocketPath(runDir), { force: true })
	fdStore.forget('api')
}

/** The same for the others, the control file among them. */
export function removeOtherDoors({ runDir, fdStore }: Keeping): void {
	closeControl(runDir)
	for (const path of [seccompSocketPath(runDir), lxcSocketPath(runDir)]) rmSync(path, { force: true })
	for (const name of ['host', 'door', 'lxc']) fdStore.forget(name)
}

/** Listens for containers' seccomp listeners; or what stands against it. Only syslog(2) needs it. */
export async function openSyslogDoor(
	{ runDir, inherited, fdStore }: DoorKeeping,
	shard: ShardClient,
): Promise<string | undefined> {
	const path = seccompSocketPath(runDir)
	let socketFd = claimSocket('door', path, { inherited, fdStore })
	if (socketFd < 0) {
		rmSync(path, { force: true })
		socketFd = listenStream(path)
		if (socketFd < 0) return `Cannot listen at ${path}: ${errnoName(socketFd)}; syslog(2) will not be answered`
		fdStore.keep('door', socketFd)
	}
	const served = await shard.ask('serveSyslog', { socketFd, callers: claimAll(inherited, 'caller-') })
	return 'error' in served ? served.error : undefined
}

/** Listens for the monitors of LXC containers; or what stands against it. */
export async function openLxcDoor(
	{ runDir, inherited, fdStore }: DoorKeeping,
	shard: ShardClient,
): Promise<string | undefined> {
	const path = lxcSocketPath(runDir)
	let socketFd = claimSocket('lxc', path, { inherited, fdStore })
	if (socketFd < 0) {
		rmSync(path, { force: true })
		socketFd = listenPackets(path)
		if (socketFd < 0) return `Cannot listen at ${path}: ${errnoName(socketFd)}; LXC containers will not start`
		fdStore.keep('lxc', socketFd)
	}
	const served = await shard.ask('serveLxc', { socketFd })
	return 'error' in served ? served.error : undefined
}

/** Serves the host's control file at `RUN/host`; or what stands against it. Everything but runtimes works without it. */
export async function openControl(
	{ runDir, inherited, fdStore }: DoorKeeping,
	shard: ShardClient,
): Promise<string | undefined> {
	const target = `${runDir}/host`
	let kept = claim(inherited, 'host')
	if (kept >= 0 && !(sendsAgain(runDir) && isMounted(runDir, 'host'))) {
		// Commands that were on their way would wait for ever; so they fail, and come to the new one.
		close(kept)
		fdStore.forget('host')
		kept = -1
	}
	let fuseFd = kept
	if (kept < 0) {
		closeControl(runDir)
		mkdirSync(target, { recursive: true, mode: 0o700 })
		const onOpen = (fd: number): void => fdStore.keep('host', fd)
		const mounted = mountFuse(target, { fsname: 'pogs:host', onOpen })
		if (typeof mounted === 'number')
			return `Cannot mount ${target}: ${errnoName(mounted)}; runtime wrappers and hooks will not work`
		fuseFd = mounted.fd
	}
	const served = await shard.ask('serveControl', { fuseFd, revive: kept >= 0, storePath: runDir })
	return 'error' in served ? served.error : undefined
}

/** Whether the kernel sends again, on the control file's connection, what an earlier engine took. */
function sendsAgain(runDir: string): boolean {
	const { negotiated } = keptHandshake(runDir)
	return negotiated === undefined || featuresOf(negotiated).resend
}

/** Looks at the table alone: who serves a mount must not touch it. */
function isMounted(runDir: string, name: string): boolean {
	const target = `${realpathSync(runDir, 'latin1')}/${name}`
	return parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1')).some(({ point }) => point === target)
}

function closeControl(runDir: string): void {
	const target = `${runDir}/host`
	while (unmount(target, true) === 0) {}
	rmSync(`${runDir}/negotiated`, { force: true })
	try {
		rmdirSync(target)
	} catch {}
}
