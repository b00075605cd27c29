/**
 * What a POG needs of the host before it is served: its directories, its tmpfs, its FUSE mount, its /dev/log socket.
 *
 *     RUN/pogs/NAME/store   tmpfs: ring, varlog/, runpog/, dev/log
 *     RUN/pogs/NAME/mnt     the FUSE mount that containers bind from
 *
 * Invariant: a failure leaves nothing behind; `release` undoes everything that `prepare` did.
 */
import { chmodSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { errnoName } from '../lib/errno.ts'
import type { PogPaths } from '../pog/info.ts'
import { close, O_CLOEXEC, O_DIRECTORY, openPath } from '../sys/io.ts'
import { mountFuse, mountTmpfs, unmount } from '../sys/mount.ts'
import { bindDatagramSocket } from '../sys/sockets.ts'
import type { Transport } from './messages.ts'
import { storeBytes } from './store-size.ts'

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
): Store | string {
	const directory = storeDirectory(runDir, name)
	const storePath = `${directory}/store`
	const mount = `${directory}/mnt`
	const descriptors: number[] = []
	const fail = (what: string, errno: number): string => {
		for (const fd of descriptors) close(fd)
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
	// By way of the descriptor, so that a long run directory does not exceed the length of a socket's path.
	const logFd = bindDatagramSocket(`/proc/self/fd/${storeFd}/dev/log`)
	if (logFd < 0) return fail(`make the /dev/log socket of "${name}"`, logFd)
	descriptors.push(logFd)
	chmodSync(`${storePath}/dev/log`, SOCKET_MODE)
	const fuse = transport === 'kernel' ? mountFuse(mount, { fsname: `pogs:${name}` }) : { fd: -1 }
	if (typeof fuse === 'number') return fail(`mount FUSE on ${mount}`, fuse)
	return {
		directory,
		storePath,
		ringPath: `${storePath}/ring`,
		fuseFd: fuse.fd,
		mountPoint: mount,
		logFd,
		storeFd,
		paths: {
			varLog: `${mount}/var/log`,
			procKmsg: `${mount}/proc/kmsg`,
			devKmsg: `${mount}/dev/kmsg`,
			devLog: `${storePath}/dev/log`,
			syslogConf: `${mount}/etc/syslog.conf`,
			runPog: `${mount}/run/pog`,
		},
	}
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
	for (const part of ['mnt', 'store']) {
		// More than one mount may lie here after a crash.
		while (unmount(`${directory}/${part}`, true) === 0) {}
		removeDirectory(`${directory}/${part}`)
	}
	removeDirectory(directory)
}

function removeDirectory(path: string): void {
	try {
		rmdirSync(path)
	} catch {
		// Somebody put something there, or it never was: nothing of ours.
	}
}

/** Cleans up what a service that was killed left in this run directory. Answers the names. */
export function releaseLeftovers(runDir: string): string[] {
	let names: string[]
	try {
		names = readdirSync(`${runDir}/pogs`)
	} catch {
		return []
	}
	for (const name of names) releaseStore(runDir, name)
	return names
}
