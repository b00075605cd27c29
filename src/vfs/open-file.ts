/**
 * One open file description of a POG's tree. A kind of file overrides what it can do; the rest answers as a regular file
 * that cannot.
 *
 * What a later engine needs to go on with it is in its cell; a kind that moves keeps its cell up to date at every step.
 */
import type { HandleId, ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import type { Steps } from '../lib/steps.ts'
import type { Sender } from '../pog/pog.ts'
import { type Cell, publish } from '../ring/cells.ts'
import { EBADF, EINVAL, EOPNOTSUPP } from '../lib/errno.ts'

/** The word of a cell that has its handle's number. */
export const HANDLE = 1

const POLLIN = 0x0001
const POLLOUT = 0x0004
const POLLRDNORM = 0x0040
const POLLWRNORM = 0x0100

/** Answers a read of a file that has these bytes. */
export function readFrom(bytes: Uint8Array, { offset, sizeBytes }: ReadRequest, reply: ReadReply): number {
	const end = Math.min(bytes.length, offset + sizeBytes)
	if (offset < end) reply.addBytes(bytes, offset, end)
	return 0
}

export abstract class OpenFile {
	/** FOPEN_* bits for the kernel. */
	abstract readonly openFlags: number
	/** Id of the registered backing file, 0 for none. */
	readonly backingId: number = 0

	/** Where it is kept, once it is open. */
	cell: Cell | null = null

	/** What kind of file it is: one of CELL_KIND. */
	abstract readonly kind: number

	/** Begins to be kept. The cell counts from its `publish` on. */
	keepIn(cell: Cell, handle: HandleId): void {
		cell.floats[cell.at + HANDLE] = handle
		this.cell = cell
		this.keep()
		publish(cell, this.kind, this.note())
	}

	/** Writes to the cell what changes while it is open. */
	keep(): void {}

	/** What is kept of it that never changes, beside its kind. */
	note(): number {
		return 0
	}

	/** The cell is as it was before the last read: goes back to it. */
	load(): void {}

	read(_request: ReadRequest, _reply: ReadReply): number {
		return -EBADF
	}

	/** `hostPid`: the writer in the initial namespace, 0 when unknown. */
	write(_request: WriteRequest, _sender: Sender, _hostPid: number): number {
		return -EBADF
	}

	/** A close(2); what it answers is what close(2) answers. */
	flush(): number {
		return 0
	}

	fsync(): number {
		return 0
	}

	/** What is to be done before `release` and may take long; null when there is nothing. */
	closing(): Steps<void> | null {
		return null
	}

	release(): void {}

	/** Regular files are always ready. */
	poll(_kernelHandle: number, _schedule: boolean): number {
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM
	}

	/** SEEK_DATA and SEEK_HOLE only. */
	lseek(_offset: number, _whence: number): number {
		return -EINVAL
	}

	/** File size that lseek(SEEK_END) starts from; undefined: the node's size. */
	seekEnd(): number | undefined {
		return undefined
	}

	truncate(_sizeBytes: number): number {
		return -EINVAL
	}

	allocate(_offset: number, _length: number, _mode: number): number {
		return -EOPNOTSUPP
	}

	/** The kernel gave up waiting for a pending read of this file. */
	interrupted(_request: number): void {}
}
