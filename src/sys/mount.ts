/**
 * Mounting: FUSE connections and tmpfs stores. Source: mount(2), man-pages 6.03; fuse(4);
 * Documentation/filesystems/fuse.rst and fs/fuse/inode.c (v6.12) for the options.
 *
 * Invariant: a failure leaves no descriptor and no mount behind.
 */
import { close, O_CLOEXEC, O_NONBLOCK, O_RDWR, openPath } from './io.ts'
import { bind, result } from './libc.ts'

const mountCall = bind('int mount(const char *, const char *, const char *, uint64_t, const char *)')
const umountCall = bind('int umount2(const char *, int)')

const MS_NOSUID = 0x2
const MS_NODEV = 0x4
const MS_NOEXEC = 0x8
const MS_REMOUNT = 0x20
const MS_NOATIME = 0x400

/** Empty files cost kernel memory that no size limit counts. */
const MAX_INODES = 16_384

const MNT_DETACH = 0x2

/** The file system type shown in /proc/self/mounts and by `findmnt -t`. */
export const FUSE_TYPE = 'fuse.pogs'

export interface FuseMountOptions {
	/** The source shown in /proc/self/mounts. No comma: mount(2) would take it for the next option. */
	readonly fsname: string
	/** Path of the FUSE device. */
	readonly device?: string
	readonly noexec?: boolean
	/** Given the descriptor before there is a mount that depends on it. */
	readonly onOpen?: (fd: number) => void
}

/**
 * Opens the FUSE device and mounts it on the directory `target`. The descriptor, or a negative errno: -ENOENT and
 * -ENODEV mean that the kernel has no FUSE (`modprobe fuse`), -EPERM that the caller may not mount here.
 */
export function mountFuse(target: string, options: FuseMountOptions): { readonly fd: number } | number {
	const fd = openPath(options.device ?? '/dev/fuse', O_RDWR | O_NONBLOCK | O_CLOEXEC)
	if (fd < 0) return fd
	options.onOpen?.(fd)
	// In a user namespace the owner must be an id that exists there: the caller's own does.
	const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
	const data = `fd=${fd},rootmode=40000,user_id=${uid},group_id=${gid},allow_other,default_permissions`
	const flags = MS_NOSUID | MS_NODEV | MS_NOATIME | (options.noexec ? MS_NOEXEC : 0)
	const mounted = result(mountCall(options.fsname, target, FUSE_TYPE, flags, data))
	if (mounted < 0) {
		close(fd)
		return mounted
	}
	return { fd }
}

/** Mounts a tmpfs of `sizeBytes` on `target`, its root with permission bits `mode`. 0, or a negative errno. */
export function mountTmpfs(target: string, sizeBytes: number, mode: number): number {
	const data = `size=${sizeBytes},nr_inodes=${MAX_INODES},mode=${mode.toString(8)}`
	return result(mountCall('pogs', target, 'tmpfs', MS_NOSUID | MS_NODEV, data))
}

/** Changes the size of a tmpfs mounted by `mountTmpfs`. -EINVAL when more than `sizeBytes` is in use. */
export function remountTmpfs(target: string, sizeBytes: number): number {
	return result(mountCall('pogs', target, 'tmpfs', MS_REMOUNT | MS_NOSUID | MS_NODEV, `size=${sizeBytes}`))
}

/** Unmounts `target`; with `detach` at once for new lookups, and in the end when the last user is gone. */
export function unmount(target: string, detach: boolean): number {
	return result(umountCall(target, detach ? MNT_DETACH : 0))
}
