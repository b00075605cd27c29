/**
 * What a POG needs of the host before it is served: its directories, its tmpfs, its FUSE mount, its /dev/log socket.
 *
 *     RUN/pogs/NAME/store   tmpfs: ring, varlog/, runpog/, dev/log
 *     RUN/pogs/NAME/mnt     the FUSE mount that containers bind from
 *
 * Invariant: a failure leaves nothing behind; `release` undoes everything that `prepare` did.
 */
import { chmodSync, mkdirSync, rmdirSync, rmSync } from 'node:fs'
import { errnoName } from '../lib/errno.ts'
import type { PogPaths } from '../pog/info.ts'
import { close, O_CLOEXEC, O_DIRECTORY, openPath } from '../sys/io.ts'
import { mountFuse, mountTmpfs, unmount } from '../sys/mount.ts'
import { bindDatagramSocket } from '../sys/sockets.ts'
import type { FdStore } from './fd-store.ts'
import { KeptState } from './kept-state.ts'
import { removeSavedPog } from './saved-pogs.ts'
import { storeBytes } from './store-size.ts'
import type { Transport } from './transports.ts'

export interface Store {
	readonly directory: string
	readonly storePath: string
	readonly ringPath: string
	/** -1 when the transport mounts for itself. */
	readonly fuseFd: number
	readonly mountPoint: string
	readonly logFd: number
	readonly storeFd: number
	readonly paths: PogPaths
}

const ROOT_DIRECTORY_MODE = 0o700
/** The socket's directories are entered by the bind mount's source path only; the socket itself is for everybody. */
const SOCKET_MODE = 0o666

export function storeDirectory(runDir: string, name: string): string {
	return `${runDir}/pogs/${name}`
}

/**
 * Makes everything; or a message that says what could not be made and what would help. Where the transport mounts for
 * itself, the mount is left to it.
 */
export function prepareStore(
	runDir: string,
	name: string,
	ringBytes: number,
	quotaBytes: number,
	transport: Transport,
	keeping: Keeping,
): Store | string {
	const directory = storeDirectory(runDir, name)
	const storePath = `${directory}/store`
	const mount = `${directory}/mnt`
	const descriptors: number[] = []
	const fail = (what: string, errno: number): string => {
		for (const fd of descriptors) close(fd)
		forgetDescriptors(keeping)
		releaseStore(runDir, name)
		return `Cannot ${what}: ${errnoName(errno)}${REMEDIES[errnoName(errno)] ?? ''}`
	}
	mkdirSync(storePath, { recursive: true, mode: ROOT_DIRECTORY_MODE })
	mkdirSync(mount, { recursive: true, mode: ROOT_DIRECTORY_MODE })
	const mounted = mountTmpfs(storePath, storeBytes(ringBytes, quotaBytes), ROOT_DIRECTORY_MODE)
	if (mounted < 0) return fail(`mount a tmpfs on ${storePath}`, mounted)
	const storeFd = openPath(storePath, O_DIRECTORY | O_CLOEXEC)
	if (storeFd < 0) return fail(`open ${storePath}`, storeFd)
	descriptors.push(storeFd)
	mkdirSync(`${storePath}/dev`)
	const logFd = bindLog(storeFd, storePath, keeping)
	if (logFd < 0) return fail(`make the /dev/log socket of "${name}"`, logFd)
	descriptors.push(logFd)
	const fuse = connect(mount, name, transport, keeping)
	if (typeof fuse === 'number') return fail(`mount FUSE on ${mount}`, fuse)
	return storeAt(runDir, name, { fuseFd: fuse.fd, logFd, storeFd })
}

function bindLog(storeFd: number, storePath: string, { fdStore, id }: Keeping): number {
	// By way of the descriptor, so that a long run directory does not exceed the length of a socket's path.
	const logFd = bindDatagramSocket(`/proc/self/fd/${storeFd}/dev/log`)
	if (logFd < 0) return logFd
	fdStore.keep(`log-${id}`, logFd)
	chmodSync(`${storePath}/dev/log`, SOCKET_MODE)
	return logFd
}

function connect(mount: string, name: string, transport: Transport, { fdStore, id }: Keeping): { fd: number } | number {
	if (transport !== 'kernel') return { fd: -1 }
	// One that is made before it has a name keeps what it is given here.
	const fsname = name.startsWith('.') ? 'pogs' : `pogs:${name}`
	return mountFuse(mount, { fsname, onOpen: fd => fdStore.keep(`fuse-${id}`, fd) })
}

/**
 * A new mount and a new socket before a store whose connection is lost; or what could not be made. What containers have of the
 * old ones stays dead until the new ones are put in their place.
 */
export function reconnectStore(runDir: string, name: string, transport: Transport, keeping: Keeping): Store | string {
	const adopted = adoptStore(runDir, name, { fuseFd: -1, logFd: -1 })
	if (typeof adopted === 'string') return adopted
	const { storeFd, storePath, mountPoint } = adopted
	releaseMount(runDir, name)
	mkdirSync(mountPoint, { recursive: true, mode: ROOT_DIRECTORY_MODE })
	rmSync(`${storePath}/dev/log`, { force: true })
	const logFd = bindLog(storeFd, storePath, keeping)
	const fuse = logFd < 0 ? logFd : connect(mountPoint, name, transport, keeping)
	if (typeof fuse !== 'number') return { ...adopted, logFd, fuseFd: fuse.fd }
	for (const fd of [storeFd, logFd]) if (fd >= 0) close(fd)
	forgetDescriptors(keeping)
	return `Cannot connect "${name}" again: ${errnoName(fuse)}${REMEDIES[errnoName(fuse)] ?? ''}`
}

/** Takes over the store that an earlier engine prepared, with the descriptors it kept; or what is not there any more. */
export function adoptStore(runDir: string, name: string, kept: { fuseFd: number; logFd: number }): Store | string {
	const { storePath } = storeAt(runDir, name, { ...kept, storeFd: -1 })
	const storeFd = openPath(storePath, O_DIRECTORY | O_CLOEXEC)
	return storeFd < 0 ? `Cannot open ${storePath}: ${errnoName(storeFd)}` : storeAt(runDir, name, { ...kept, storeFd })
}

function storeAt(runDir: string, name: string, fds: Pick<Store, 'fuseFd' | 'logFd' | 'storeFd'>): Store {
	const directory = storeDirectory(runDir, name)
	const storePath = `${directory}/store`
	const mount = `${directory}/mnt`
	return {
		...fds,
		directory,
		storePath,
		ringPath: `${storePath}/ring`,
		mountPoint: mount,
		paths: pathsOf(runDir, name),
	}
}

/** Where the parts of a POG of this name are to be found. */
export function pathsOf(runDir: string, name: string): PogPaths {
	const directory = storeDirectory(runDir, name)
	const mount = `${directory}/mnt`
	return {
		varLog: `${mount}/var/log`,
		procKmsg: `${mount}/proc/kmsg`,
		devKmsg: `${mount}/dev/kmsg`,
		devLog: `${directory}/store/dev/log`,
		syslogConf: `${mount}/etc/syslog.conf`,
		runPog: `${mount}/run/pog`,
	}
}

/** Who keeps the descriptors of a POG's store beyond this process. */
export interface Keeping {
	readonly fdStore: Pick<FdStore, 'keep' | 'forget'>
	readonly id: number
}

/** The store's descriptors are closed: their copies have to be, too, or the connection would stay without a server. */
export function forgetDescriptors({ fdStore, id }: Keeping): void {
	for (const name of [`fuse-${id}`, `log-${id}`]) fdStore.forget(name)
}

/** What usually helps, by errno. */
const REMEDIES: Readonly<Record<string, string>> = {
	ENOENT: ' (is /dev/fuse there? try "modprobe fuse")',
	ENODEV: ' (the kernel has no FUSE: try "modprobe fuse")',
	EPERM: ' (mounting needs root, or a user namespace with access to /dev/fuse)',
	EACCES: ' (opening /dev/fuse was refused: run as root, or make it accessible)',
	EMFILE: ' (too many open files: raise LimitNOFILE)',
	ENOMEM: ' (out of memory)',
}

/** Unmounts what containers saw of a POG; its store stays. */
export function releaseMount(runDir: string, name: string): void {
	const mount = `${storeDirectory(runDir, name)}/mnt`
	while (unmount(mount, true) === 0) {}
	removeDirectory(mount)
}

/** Unmounts and removes what there is of a POG's directories. */
export function releaseStore(runDir: string, name: string): void {
	const directory = storeDirectory(runDir, name)
	// First: what is half gone must not be taken for a POG by the next engine.
	removeSavedPog(directory)
	for (const part of ['mnt', 'store']) {
		// More than one mount may lie here after a crash.
		while (unmount(`${directory}/${part}`, true) === 0) {}
		removeDirectory(`${directory}/${part}`)
	}
	new KeptState(directory).clear()
	removeDirectory(directory)
}

function removeDirectory(path: string): void {
	try {
		rmdirSync(path)
	} catch {
		// Somebody put something there, or it never was: nothing of ours.
	}
}
