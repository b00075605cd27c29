/**
 * Ring files in a POG's tmpfs: made, opened, replaced.
 *
 * The whole file is allocated before it is mapped: writing to a page that the tmpfs has no room for would kill the
 * process, and the quota is shared with the container's own files.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, renameSync, unlinkSync } from 'node:fs'
import { EINTR, EINVAL } from '../lib/errno.ts'
import { finish, type Steps } from '../lib/steps.ts'
import { Ledger } from '../pog/ledger.ts'
import {
	DESC_BYTES,
	FIELD,
	geometry,
	HEADER_BYTES,
	MAGIC_HIGH,
	MAGIC_LOW,
	MAX_RING_BYTES,
	MIN_RING_BYTES,
	WORD,
} from '../ring/layout.ts'
import { RingMove } from '../ring/resize.ts'
import { isAsLeft, salvage } from '../ring/salvage.ts'
import { Ring, type RingMemory } from '../ring/ring.ts'
import { allocateFile } from '../sys/files.ts'
import { close, O_CLOEXEC, O_CREAT, O_RDWR, O_TRUNC, openPath } from '../sys/io.ts'
import { mapFile, mapFileTwice, unmap, unmapPart } from '../sys/memory.ts'

/** Of a file that is allocated, or copied into, at once. */
const STEP_BYTES = 1 << 20
const UNMAP_BYTES = 4 << 20
const BLOCK_BYTES = 512

/** A fresh ring file, mapped; or a negative errno (-ENOSPC, -ENOMEM). */
export function createRing(path: string, wishedBytes: number): Ring | number {
	const memory = finish(createMemory(path, wishedBytes))
	if (typeof memory === 'number') return memory
	Ring.format(memory, wishedBytes)
	return new Ring(memory)
}

function* createMemory(path: string, wishedBytes: number): Steps<RingMemory | number> {
	const { fileBytes, textBytes, descCount } = geometry(wishedBytes)
	// The container may have used up the store's inodes.
	const fd = openPath(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
	if (fd < 0) return fd
	let memory: RingMemory | number = -EINTR
	try {
		ftruncateSync(fd, fileBytes)
		let allocated = 0
		for (let at = 0; at < fileBytes && allocated >= 0; at += STEP_BYTES) {
			allocated = allocateFile(fd, Math.min(STEP_BYTES, fileBytes - at), at)
			yield
		}
		memory = allocated < 0 ? allocated : mapRing(fd, textBytes, descCount, true)
		return memory
	} finally {
		// Also when nobody waits for it any more.
		if (typeof memory === 'number') unlinkSync(path)
		close(fd)
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
	const fd = openOrNot(path, 'r')
	if (fd === undefined) return undefined
	try {
		const { told, size } = toldGeometry(fd)
		// Memory behind the end of a file must not be touched: that would end this process.
		if (told === undefined || size < told.fileBytes) return undefined
		const memory = mapRing(fd, told.textBytes, told.descCount, false)
		return typeof memory === 'number' ? undefined : new Ring(memory)
	} finally {
		closeSync(fd)
	}
}

/**
 * Maps the ring that an earlier engine left, to go on in it. Whatever happened to the file, what is whole in it is there, and the
 * rest is counted as lost; undefined when there is no file, or nothing of a ring in it.
 * `leftJustNow`: by an engine that has died a moment ago; then only the newest records are looked at, unless these have a fault.
 */
export function reviveRing(path: string, leftJustNow = false): Ring | undefined {
	const fd = openOrNot(path, 'r+')
	if (fd === undefined) return undefined
	try {
		const { told, size } = toldGeometry(fd)
		const known = told ?? sizedGeometry(size)
		if (known === undefined) return undefined
		// What was cut off is zeros from now on. A page that is not there would end this process; to look at each takes 5 ms for 4 MiB.
		if (size < known.fileBytes) ftruncateSync(fd, known.fileBytes)
		if (!isAllocated(fd, known.fileBytes) && allocateFile(fd, known.fileBytes) < 0) return undefined
		const memory = mapRing(fd, known.textBytes, known.descCount, true)
		if (typeof memory === 'number') return undefined
		Ring.mark(memory, known)
		const whole = leftJustNow && told !== undefined && size >= told.fileBytes && isAsLeft(memory)
		const lost = whole ? 0 : salvage(memory)
		const ring = new Ring(memory)
		ring.recover()
		if (lost > 0) new Ledger(ring).drop('lost', lost)
		return ring
	} finally {
		closeSync(fd)
	}
}

/** Are all the pages of a file of that length there? stat(2) counts them in blocks of 512 bytes. */
function isAllocated(fd: number, fileBytes: number): boolean {
	const { size, blocks } = fstatSync(fd)
	return size === fileBytes && blocks * BLOCK_BYTES >= fileBytes
}

function openOrNot(path: string, flags: 'r' | 'r+'): number | undefined {
	try {
		return openSync(path, flags)
	} catch {
		return undefined
	}
}

type Geometry = ReturnType<typeof geometry>

/** What the header says the file is, when it says so in full; and how long the file is. */
function toldGeometry(fd: number): { told: Geometry | undefined; size: number } {
	const { size } = fstatSync(fd)
	const header = size < HEADER_BYTES ? -EINVAL : mapFile(fd, HEADER_BYTES, 0, false)
	if (typeof header === 'number') return { told: undefined, size }
	const words = new Uint32Array(header.buffer)
	const floats = new Float64Array(header.buffer)
	const marked = words[WORD.magicLow] === MAGIC_LOW && words[WORD.magicHigh] === MAGIC_HIGH
	const [textBytes = 0, descCount] = [floats[FIELD.textBytes], floats[FIELD.descCount]]
	unmap(header)
	const known = geometry(Math.max(textBytes, MIN_RING_BYTES))
	const told = marked && known.textBytes === textBytes && known.descCount === descCount
	return { told: told ? known : undefined, size }
}

/** The ring that a file of just this length holds: no two geometries have the same. */
function sizedGeometry(fileBytes: number): Geometry | undefined {
	for (let bytes = MIN_RING_BYTES; bytes <= MAX_RING_BYTES; bytes *= 2) {
		const known = geometry(bytes)
		if (known.fileBytes === fileBytes) return known
	}
	return undefined
}

/**
 * Moves the newest records into a ring of another size under the same path, in steps; or a negative errno, and nothing changed.
 * Records may be appended between the steps. `ready`: more to be done in steps just before the last one.
 */
export function* resizeRing(
	path: string,
	from: Ring,
	wishedBytes: number,
	ready?: () => Steps<void>,
): Steps<Ring | number> {
	const beside = besideOf(path)
	const memory = yield* createMemory(beside, wishedBytes)
	return typeof memory === 'number' ? memory : yield* move(from, memory, { wishedBytes, beside, path }, ready)
}

/** Moves the newest records into a file that somebody else allocated for it, as `resizeRing` does. */
export function* adoptRing(
	path: string,
	from: Ring,
	allocated: string,
	wishedBytes: number,
	ready?: () => Steps<void>,
): Steps<Ring | number> {
	const { textBytes, descCount, fileBytes } = geometry(wishedBytes)
	const fd = openSync(allocated, 'r+')
	let memory: RingMemory | number
	try {
		// A page that is not there would be a SIGBUS later.
		const { blocks, size } = fstatSync(fd)
		if (size < fileBytes || blocks * 512 < fileBytes) return -EINVAL
		memory = mapRing(fd, textBytes, descCount, true)
	} finally {
		closeSync(fd)
	}
	return typeof memory === 'number'
		? memory
		: yield* move(from, memory, { wishedBytes, beside: allocated, path }, ready)
}

interface Move {
	readonly wishedBytes: number
	/** The file of the new ring, and where it goes. */
	readonly beside: string
	readonly path: string
}

function* move(
	from: Ring,
	memory: RingMemory,
	{ wishedBytes, beside, path }: Move,
	ready: () => Steps<void> = function* () {},
): Steps<Ring> {
	let done = false
	try {
		const moving = new RingMove(from, memory, wishedBytes)
		while (!moving.step()) yield
		yield* ready()
		while (!moving.step()) yield
		const ring = moving.finish()
		renameSync(beside, path)
		from.retire()
		done = true
		return ring
	} finally {
		// Nobody waits for it any more.
		if (!done) {
			unmapRing(memory)
			unlinkSync(beside)
		}
	}
}

/** The file of a ring that is being made to take the place of another. */
function besideOf(path: string): string {
	return `${path}.new`
}

/** Removes what an engine left that was killed while it moved a ring; whether there was something. */
export function removeBeside(path: string): boolean {
	try {
		unlinkSync(besideOf(path))
		return true
	} catch {
		return false
	}
}

/** Unmaps a ring that nobody uses any more. */
export function closeRing(ring: Ring): void {
	unmapRing(ring.memory)
}

/** The same in steps. The file's last descriptor should be somebody else's: freeing the pages takes long as well. */
export function* closeRingInSteps({ memory: { head, text } }: Ring): Steps<void> {
	for (const memory of [head, text]) {
		for (let at = 0; at < memory.bytes.byteLength; at += UNMAP_BYTES) {
			unmapPart(memory, at, UNMAP_BYTES)
			yield
		}
	}
}

function unmapRing({ head, text }: RingMemory): void {
	unmap(head)
	unmap(text)
}
