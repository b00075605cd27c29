/** Rings on real memory (a file of /dev/shm, mapped as the engine does), and what is needed to fill them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { closeRing, createRing } from '../../src/engine/ring-file.ts'
import { FLAG } from '../../src/ring/layout.ts'
import { newDescriptor, Ring } from '../../src/ring/ring.ts'

const directory = mkdtempSync('/dev/shm/pogs-test-')
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
let count = 0

/** A path for a ring file that no other test has. */
export function ringPath(): string {
	return `${directory}/ring-${++count}`
}

export function newRing(bytes: number, path = ringPath()): Ring {
	const ring = createRing(path, bytes)
	if (typeof ring === 'number') throw new Error(`Cannot make a ring: errno ${-ring}`)
	return ring
}

/** Runs with a fresh ring and unmaps it, also after a failure. */
export function withRing<R>(bytes: number, run: (ring: Ring) => R): R {
	const ring = newRing(bytes)
	try {
		return run(ring)
	} finally {
		closeRing(ring)
	}
}

export interface AppendOptions {
	routes?: number
	kmsg?: boolean
	extraBytes?: number
	realtimeUs?: number
}

/** Appends a record with this text; its sequence number. */
export function append(ring: Ring, line: Uint8Array, options: AppendOptions = {}): number {
	const extra = options.extraBytes ?? 0
	const at = ring.reserve(line.length + extra)
	ring.text.set(line, at)
	const d = newDescriptor()
	d.flags = FLAG.all | (options.kmsg === true ? FLAG.kmsg : 0)
	d.routes = options.routes ?? 0
	d.lineBytes = line.length
	d.extraBytes = extra
	d.realtimeUs = options.realtimeUs ?? 0
	return ring.commit(d)
}

/** A ring in plain memory that holds a copy of another's bytes: what a new process finds after the old one was killed. */
export function copyOf(ring: Ring): Ring {
	const head = new Uint8Array(ring.memory.head.bytes)
	const half = ring.memory.text.bytes.subarray(0, ring.textBytes)
	const text = new Uint8Array(2 * half.length)
	text.set(half)
	text.set(half, half.length)
	return new Ring({
		head: { address: 0, bytes: head, buffer: head.buffer },
		text: { address: 0, bytes: text, buffer: text.buffer },
	})
}
