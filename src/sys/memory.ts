/**
 * Memory mappings: scratch memory for system calls, files mapped once or twice in a row.
 * Source: mmap(2), man-pages 6.03.
 *
 * Invariant: what is mapped here is unmapped only by `unmap`; no finaliser frees it behind a system call's back.
 */
import type { Memory } from '../lib/memory.ts'
import { bind, result, viewMemory } from './libc.ts'

const mmap = bind('int64_t mmap(int64_t, int64_t, int, int, int, int64_t)')
const munmap = bind('int munmap(int64_t, int64_t)')

const PROT_NONE = 0
const PROT_READ_WRITE = 3
const PROT_READ = 1
const MAP_SHARED = 0x01
const MAP_PRIVATE = 0x02
const MAP_FIXED = 0x10
const MAP_ANONYMOUS = 0x20

function memoryAt(address: number, sizeBytes: number): Memory {
	const buffer = viewMemory(address, sizeBytes)
	return { address, buffer, bytes: new Uint8Array(buffer) }
}

/** Zeroed private memory, for buffers the kernel fills. Throws only when the machine is out of memory. */
export function allocate(sizeBytes: number): Memory {
	const address = result(mmap(0, sizeBytes, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	if (address < 0) throw new Error(`Cannot map ${sizeBytes} bytes of memory: errno ${-address}`)
	return memoryAt(address, sizeBytes)
}

/** Maps `sizeBytes` of a file from `offset` (both page multiples), shared. A negative errno on failure. */
export function mapFile(fd: number, sizeBytes: number, offset: number, writable: boolean): Memory | number {
	const prot = writable ? PROT_READ_WRITE : PROT_READ
	const address = result(mmap(0, sizeBytes, prot, MAP_SHARED, fd, offset))
	return address < 0 ? address : memoryAt(address, sizeBytes)
}

/**
 * Maps the same part of a file twice, back to back, so that a stretch of up to `sizeBytes` from any position of a ring
 * is contiguous. The memory is 2 * `sizeBytes` long. A negative errno on failure.
 */
export function mapFileTwice(fd: number, sizeBytes: number, offset: number, writable: boolean): Memory | number {
	const reserved = result(mmap(0, 2 * sizeBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	if (reserved < 0) return reserved
	const prot = writable ? PROT_READ_WRITE : PROT_READ
	for (const half of [0, 1]) {
		const at = result(mmap(reserved + half * sizeBytes, sizeBytes, prot, MAP_SHARED | MAP_FIXED, fd, offset))
		if (at < 0) {
			munmap(reserved, 2 * sizeBytes)
			return at
		}
	}
	return memoryAt(reserved, 2 * sizeBytes)
}

/** Unmaps. Nothing may touch the memory's bytes afterwards: that would be a segmentation fault. */
export function unmap(memory: Memory): void {
	munmap(memory.address, memory.bytes.byteLength)
}

/** Unmaps up to `sizeBytes` from `start` (page multiples): what is large goes piece by piece. */
export function unmapPart(memory: Memory, start: number, sizeBytes: number): void {
	munmap(memory.address + start, Math.min(sizeBytes, memory.bytes.byteLength - start))
}
