/**
 * Descriptor calls on addresses: read, write, writev, pread, pwrite, open, close, ioctl, eventfd.
 * Source: the section 2 pages of man-pages 6.03.
 *
 * Invariant: every call answers its result or a negative errno, and none allocates: addresses and sizes are numbers.
 * The caller keeps the memory at an address mapped until the call returns.
 */
import { bind, result } from './libc.ts'

const readCall = bind('int64_t read(int, int64_t, int64_t)')
const writeCall = bind('int64_t write(int, int64_t, int64_t)')
const writevCall = bind('int64_t writev(int, int64_t, int)')
const preadCall = bind('int64_t pread(int, int64_t, int64_t, int64_t)')
const pwriteCall = bind('int64_t pwrite(int, int64_t, int64_t, int64_t)')
const openCall = bind('int open(const char *, int, int)')
const closeCall = bind('int close(int)')
// Variadic in C; a third integer travels in the same register on every 64-bit Linux ABI.
const ioctlCall = bind('int ioctl(int, int64_t, int64_t)')
const lseekCall = bind('int64_t lseek(int, int64_t, int)')
const eventfdCall = bind('int eventfd(int, int)')

export const O_RDONLY = 0o0
export const O_RDWR = 0o2
export const O_CREAT = 0o100
export const O_TRUNC = 0o1000
export const O_NONBLOCK = 0o4000
export const O_DIRECTORY = 0o200000
export const O_CLOEXEC = 0o2000000

const SEEK_END = 2

export const EFD_NONBLOCK = 0o4000
export const EFD_CLOEXEC = 0o2000000

/** read(2): bytes read, 0 at the end, or a negative errno. */
export function read(fd: number, address: number, sizeBytes: number): number {
	return result(readCall(fd, address, sizeBytes))
}

/** write(2): bytes written, or a negative errno. */
export function write(fd: number, address: number, sizeBytes: number): number {
	return result(writeCall(fd, address, sizeBytes))
}

/** writev(2) of `count` struct iovec at `iovAddress`: bytes written, or a negative errno. */
export function writev(fd: number, iovAddress: number, count: number): number {
	return result(writevCall(fd, iovAddress, count))
}

/** pread(2): bytes read, or a negative errno. */
export function pread(fd: number, address: number, sizeBytes: number, offset: number): number {
	return result(preadCall(fd, address, sizeBytes, offset))
}

/** pwrite(2): bytes written, or a negative errno. */
export function pwrite(fd: number, address: number, sizeBytes: number, offset: number): number {
	return result(pwriteCall(fd, address, sizeBytes, offset))
}

/** open(2): a descriptor, or a negative errno. `path` must not contain a NUL. */
export function openPath(path: string, flags: number, mode = 0): number {
	return result(openCall(path, flags, mode))
}

/** close(2): 0, or a negative errno; the descriptor is gone in both cases. */
export function close(fd: number): number {
	return result(closeCall(fd))
}

/** lseek(2) to the end: the position, or a negative errno. */
export function seekEnd(fd: number): number {
	return result(lseekCall(fd, 0, SEEK_END))
}

/** ioctl(2) with one number or address as its argument. */
export function ioctl(fd: number, request: number, argument: number): number {
	return result(ioctlCall(fd, request, argument))
}

/** eventfd(2): a descriptor, or a negative errno. */
export function eventfd(initial: number, flags: number): number {
	return result(eventfdCall(initial, flags))
}
