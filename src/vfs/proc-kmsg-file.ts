/**
 * /proc/kmsg of one POG: syslog(2) READ as a file. Source: fs/proc/kmsg.c, syslog_print of kernel/printk/printk.c (v6.12).
 *
 * All opens share one position with syslog(2) READ: what one reader got, no other gets.
 */
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import { PENDING, type ReadReply, type ReadRequest, type RequestId } from '../fuse/filesystem.ts'
import { EAGAIN, EINVAL, EIO, ENXIO } from '../lib/errno.ts'
import type { KmsgReaders } from './kmsg-readers.ts'
import type { Cell } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile } from './open-file.ts'

const O_NONBLOCK = 0o4000
const POLLIN_RDNORM = 0x41
/** A word of its cell. */
const KERNEL_HANDLE = 2

export class ProcKmsgFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
	readonly kind = CELL_KIND.procKmsgFile
	readonly shared = true
	readonly #readers: KmsgReaders
	readonly #pieceBytes: number
	#kernelHandle = -1

	/** `pieceBytes`: the largest READ the kernel sends; filled completely, it would ask (and block) for more. */
	constructor(readers: KmsgReaders, pieceBytes: number) {
		super()
		this.#readers = readers
		this.#pieceBytes = pieceBytes
	}

	/** One that an earlier engine had open. */
	static restore(readers: KmsgReaders, pieceBytes: number, cell: Cell): ProcKmsgFile {
		const file = new ProcKmsgFile(readers, pieceBytes)
		file.cell = cell
		file.#kernelHandle = cell.floats[cell.at + KERNEL_HANDLE] ?? -1
		if (file.#kernelHandle >= 0) readers.watch(file, file.#kernelHandle)
		return file
	}

	override keep(): void {
		if (this.cell !== null) this.cell.floats[this.cell.at + KERNEL_HANDLE] = this.#kernelHandle
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		// splice and sendfile: programs that try them fall back to read(2).
		if (request.cached) return -EINVAL
		const ready = this.resume(request.request, request.sizeBytes, reply)
		if (ready !== -EAGAIN || (request.flags & O_NONBLOCK) !== 0) return ready
		this.#readers.wait(this, request)
		return PENDING
	}

	/** As many whole records as fit, consumed for everybody; the first one in parts when it does not fit. */
	resume(request: RequestId, sizeBytes: number, reply: ReadReply): number {
		const { log, pog, scratch } = this.#readers
		let room = Math.min(sizeBytes, this.#pieceBytes - 1)
		let { seq, partial } = log.shared
		if (seq >= pog.ring.headSeq) return -EAGAIN
		let given = 0
		while (seq < pog.ring.headSeq && room > 0) {
			const bytes = this.#readers.renderProc(seq)
			const rest = bytes - partial
			if (rest <= room) {
				reply.addBytes(scratch, partial, bytes)
				given += rest
				room -= rest
				partial = 0
				seq = log.following(seq + 1)
			} else {
				if (given === 0) {
					reply.addBytes(scratch, partial, partial + room)
					partial += room
				}
				break
			}
		}
		this.#readers.reading(request, this)
		log.setShared(seq, partial)
		return 0
	}

	override write(): number {
		return -EIO
	}

	override interrupted(request: number): void {
		this.#readers.forget(request)
	}

	override poll(kernelHandle: number, schedule: boolean): number {
		// Once somebody waits, each look asks for one more notice: it comes without the flag when a notice was followed.
		if (schedule || this.#kernelHandle >= 0) {
			this.#kernelHandle = kernelHandle
			this.keep()
			this.#readers.watch(this, kernelHandle)
		}
		return this.#readers.log.shared.seq < this.#readers.pog.ring.headSeq ? POLLIN_RDNORM : 0
	}

	override lseek(): number {
		return -ENXIO
	}

	override seekEnd(): number {
		return 0
	}

	override truncate(): number {
		return 0
	}

	override fsync(): number {
		return -EINVAL
	}

	override release(): void {
		this.#readers.unwatch(this)
	}
}
