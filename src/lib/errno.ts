/**
 * Linux error numbers as values. Source: include/uapi/asm-generic/errno-base.h and errno.h (v6.12).
 *
 * An expected failure is returned, never thrown: a function that can fail answers a negative errno (`-ENOENT`), and
 * zero or a positive result otherwise.
 */

export const EPERM = 1
export const ENOENT = 2
export const EINTR = 4
export const EIO = 5
export const ENXIO = 6
export const E2BIG = 7
export const EBADF = 9
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EBUSY = 16
export const EEXIST = 17
export const EXDEV = 18
export const ENODEV = 19
export const ENOTDIR = 20
export const EISDIR = 21
export const EINVAL = 22
export const ENFILE = 23
export const EMFILE = 24
export const ENOTTY = 25
export const EFBIG = 27
export const ENOSPC = 28
export const ESPIPE = 29
export const EROFS = 30
export const EMLINK = 31
export const EPIPE = 32
export const ERANGE = 34
export const ENAMETOOLONG = 36
export const ENOSYS = 38
export const ENOTEMPTY = 39
export const ELOOP = 40
export const ENODATA = 61
export const EPROTO = 71
export const EOPNOTSUPP = 95
export const ENOTCONN = 107
export const ESTALE = 116
export const EDQUOT = 122
export const ECANCELED = 125

const NAMES: ReadonlyMap<number, string> = new Map(
	Object.entries({
		EPERM,
		ENOENT,
		EINTR,
		EIO,
		ENXIO,
		E2BIG,
		EBADF,
		EAGAIN,
		ENOMEM,
		EACCES,
		EFAULT,
		EBUSY,
		EEXIST,
		EXDEV,
		ENODEV,
		ENOTDIR,
		EISDIR,
		EINVAL,
		ENFILE,
		EMFILE,
		ENOTTY,
		EFBIG,
		ENOSPC,
		ESPIPE,
		EROFS,
		EMLINK,
		EPIPE,
		ERANGE,
		ENAMETOOLONG,
		ENOSYS,
		ENOTEMPTY,
		ELOOP,
		ENODATA,
		EPROTO,
		EOPNOTSUPP,
		ENOTCONN,
		ESTALE,
		EDQUOT,
		ECANCELED,
	}).map(([name, value]) => [value, name]),
)

/** The symbolic name of an errno, of either sign: `ENOENT` for 2 and -2; `errno 999` when unknown. */
export function errnoName(errno: number): string {
	const value = Math.abs(errno)
	return NAMES.get(value) ?? `errno ${value}`
}
