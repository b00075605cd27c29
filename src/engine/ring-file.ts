/**
 * Ring files in a POG's tmpfs: made, opened, replaced.
 *
 * The whole file is allocated before it is mapped: writing to a page that the tmpfs has no room for would kill the
 * process, and the quota is shared with the container's own files.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, renameSync, unlinkSync } from 'node:fs'
import { EINVAL } from '../lib/errno.ts'
import {
	DESC_BYTES,
	FIELD,
	geometry,
	HEADER_BYTES,
	MAGIC_HIGH,
	MAGIC_LOW,
	MIN_RING_BYTES,
	WORD,
} from '../ring/layout.ts'
import { moveRing } from '../ring/resize.ts'
import { Ring, type RingMemory } from '../ring/ring.ts'
import { allocateFile } from '../sys/files.ts'
import { O_CLOEXEC, O_CREAT, O_RDWR, O_TRUNC, openPath } from '../sys/io.ts'
import { mapFile, mapFileTwice, unmap } from '../sys/memory.ts'

/** A fresh ring file, mapped; or a negative errno (-ENOSPC, -ENOMEM). */
export function createRing(path: string, wishedBytes: number): Ring | number {
	const memory = createMemory(path, wishedBytes)
	if (typeof memory === 'number') return memory
	Ring.format(memory, wishedBytes)
	return new Ring(memory)
}

function createMemory(path: string, wishedBytes: number): RingMemory | number {
	const { fileBytes, textBytes, descCount } = geometry(wishedBytes)
	// The container may have used up the store's inodes.
	const fd = openPath(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
	if (fd < 0) return fd
	try {
		ftruncateSync(fd, fileBytes)
		const allocated = allocateFile(fd, fileBytes)
		const memory = allocated < 0 ? allocated : mapRing(fd, textBytes, descCount, true)
		if (typeof memory === 'number') unlinkSync(path)
		return memory
	} finally {
		closeSync(fd)
	}
}

function mapRing(fd: number, textBytes: number, descCount: number, writable: boolean): RingMemory | number {
	const headBytes = HEADER_BYTES + descCount * DESC_BYTES
	const head = mapFile(fd, headBytes, 0, writable)
	if (typeof head === 'number') return head
	const text = mapFileTwice(fd, textBytes, headBytes, writable)
	if (typeof text !== 'number') return { head, text }
	unmap(head)
	return text
}

/** Maps a ring for reading, beside its writer; undefined when there is none, or it is not one. */
export function openRingForReading(path: string): Ring | undefined {
	return openRing(path, false)
}

/** Maps the ring that an earlier engine left, to go on in it; undefined when there is none, or it is not one. */
export function reviveRing(path: string): Ring | undefined {
	const ring = openRing(path, true)
	ring?.recover()
	return ring
}

function openRing(path: string, writable: boolean): Ring | undefined {
	let fd: number
	try {
		fd = openSync(path, writable ? 'r+' : 'r')
	} catch {
		return undefined
	}
	try {
		const { size } = fstatSync(fd)
		// Memory behind the end of a file must not be touched: that would end this process.
		if (size < HEADER_BYTES) return undefined
		const header = mapFile(fd, HEADER_BYTES, 0, false)
		if (typeof header === 'number') return undefined
		const words = new Uint32Array(header.buffer)
		const floats = new Float64Array(header.buffer)
		const whole = words[WORD.magicLow] === MAGIC_LOW && words[WORD.magicHigh] === MAGIC_HIGH
		const textBytes = floats[FIELD.textBytes] ?? 0
		const known = geometry(Math.max(textBytes, MIN_RING_BYTES))
		const described = known.textBytes === textBytes && known.descCount === floats[FIELD.descCount]
		unmap(header)
		if (!whole || !described || size < known.fileBytes) return undefined
		const memory = mapRing(fd, textBytes, known.descCount, writable)
		return typeof memory === 'number' ? undefined : new Ring(memory)
	} finally {
		closeSync(fd)
	}
}

/** Moves the newest records into a ring of another size under the same path; or a negative errno, and nothing changed. */
export function resizeRing(path: string, from: Ring, wishedBytes: number): Ring | number {
	const beside = `${path}.new`
	const memory = createMemory(beside, wishedBytes)
	if (typeof memory === 'number') return memory
	const ring = moveRing(from, memory, wishedBytes)
	renameSync(beside, path)
	from.retire()
	return ring
}

/** Moves the newest records into a file that somebody else allocated for it; or a negative errno, and nothing changed. */
export function adoptRing(path: string, from: Ring, allocated: string, wishedBytes: number): Ring | number {
	const { textBytes, descCount, fileBytes } = geometry(wishedBytes)
	const fd = openSync(allocated, 'r+')
	try {
		// A page that is not there would be a SIGBUS later.
		const { blocks, size } = fstatSync(fd)
		if (size < fileBytes || blocks * 512 < fileBytes) return -EINVAL
		const memory = mapRing(fd, textBytes, descCount, true)
		if (typeof memory === 'number') return memory
		const ring = moveRing(from, memory, wishedBytes)
		renameSync(allocated, path)
		from.retire()
		return ring
	} finally {
		closeSync(fd)
	}
}

/** Unmaps a ring that nobody uses any more. */
export function closeRing(ring: Ring): void {
	unmap(ring.memory.head)
	unmap(ring.memory.text)
}
