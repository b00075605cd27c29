/**
 * /dev/kmsg of one POG. Source: devkmsg_* of kernel/printk/printk.c (v6.12), Documentation/ABI/testing/dev-kmsg.
 *
 * A FUSE node is a regular file, so lseek is mostly invisible to us: SEEK_SET happens in the kernel, SEEK_END asks for
 * the size with a handle, SEEK_DATA arrives as LSEEK. Each handle therefore keeps the position it is at (a kmsg sequence
 * number) and the file offset the next sequential read will carry; a record's own offset is `(seq + 1) * STRIDE`, so that any
 * other offset can be told apart.
 */
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH, FOPEN_PARALLEL_DIRECT_WRITES } from '../fuse/flags.ts'
import { PENDING, type ReadReply, type ReadRequest, type RequestId, type WriteRequest } from '../fuse/filesystem.ts'
import { EAGAIN, EINVAL, ENODEV, EPIPE, ESPIPE } from '../lib/errno.ts'
import type { Pog, Sender } from '../pog/pog.ts'
import type { KmsgReaders } from './kmsg-readers.ts'
import type { Cell } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile } from './open-file.ts'
import { WriteLimit } from './write-limit.ts'

/** What stat says: a file of no size would be empty to sendfile(2). */
export const KMSG_SIZE_BYTES = 8192
/** Further apart than the longest record is long, and never 0. */
const STRIDE = 8192
/** PRINTKRB_RECORD_MAX: the longest write. */
const MAX_WRITE_BYTES = 1024
const O_ACCMODE = 3
const O_WRONLY = 1
const O_NONBLOCK = 0o4000
const SEEK_DATA = 3
const POLLIN_RDNORM = 0x41
const POLLERR_PRI = 0x0a
const SEVERITY_WARNING = 4

/** By the host's policy; and with dmesg_restrict, reading is for the container's root, writing is not (devkmsg_open). */
export function mayOpenKmsg({ policy, printk, owner }: Pog, flags: number, uid: number): boolean {
	if (policy.devkmsg === 'off') return false
	return printk.dmesgRestrict === 0 || (flags & O_ACCMODE) === O_WRONLY || uid === owner.uid
}
/** Words of its cell. */
const KEPT = { kmsgSeq: 2, expect: 3, kernelHandle: 4, limitBeganUs: 5, limit: 6, atEnd: 7 } as const

export class KmsgFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH | FOPEN_PARALLEL_DIRECT_WRITES
	readonly kind = CELL_KIND.kmsgFile
	readonly shared = false
	readonly #readers: KmsgReaders
	#kmsgSeq: number
	/** A ring sequence number at or before the record to read next. */
	#hint = 0
	#expect = 0
	/** The last that was asked for is the end, and nothing was read since. */
	#atEnd = false
	#kernelHandle = -1
	readonly #limit = new WriteLimit()
	readonly #processName: (hostPid: number) => string
	/** Who wrote the first line that was suppressed. */
	#suppressedName: string | undefined

	constructor(readers: KmsgReaders, processName: (hostPid: number) => string) {
		super()
		this.#readers = readers
		this.#processName = processName
		this.#kmsgSeq = readers.log.oldest
	}

	/** One that an earlier engine had open. */
	static restore(readers: KmsgReaders, processName: (hostPid: number) => string, cell: Cell): KmsgFile {
		const file = new KmsgFile(readers, processName)
		file.cell = cell
		const { floats, at } = cell
		file.#kernelHandle = floats[at + KEPT.kernelHandle] ?? -1
		file.#limit.restore(floats[at + KEPT.limitBeganUs] ?? 0, floats[at + KEPT.limit] ?? 0)
		file.load()
		if (file.#kernelHandle >= 0) readers.watch(file, file.#kernelHandle)
		return file
	}

	override load(): void {
		if (this.cell === null) return
		const { floats, at } = this.cell
		this.#kmsgSeq = floats[at + KEPT.kmsgSeq] ?? 0
		this.#expect = floats[at + KEPT.expect] ?? 0
		this.#atEnd = floats[at + KEPT.atEnd] === 1
		this.#hint = 0
	}

	override keep(): void {
		if (this.cell === null) return
		const { floats, at } = this.cell
		floats[at + KEPT.kmsgSeq] = this.#kmsgSeq
		floats[at + KEPT.expect] = this.#expect
		floats[at + KEPT.kernelHandle] = this.#kernelHandle
		floats[at + KEPT.atEnd] = this.#atEnd ? 1 : 0
	}

	#keepLimit(): void {
		if (this.cell === null) return
		const { floats, at } = this.cell
		floats[at + KEPT.limitBeganUs] = this.#limit.beganUs
		floats[at + KEPT.limit] = this.#limit.state
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		// splice and sendfile: the kernel's device has none, and programs then fall back to read(2).
		if (request.cached) return -EINVAL
		const { log } = this.#readers
		this.#readers.reading(request.request, this)
		// Who looks the file up between the question for the end and the answer leaves the kernel with its size instead.
		if (this.#atEnd && request.offset === KMSG_SIZE_BYTES) this.#expect = request.offset
		this.#atEnd = false
		if (request.offset !== this.#expect) {
			const seq = seekTarget(request.offset, log.oldest, log.next)
			if (seq < 0) return seq
			this.#kmsgSeq = seq
			this.#expect = request.offset
		}
		const ready = this.#give(request.sizeBytes, reply)
		this.keep()
		if (ready !== -EAGAIN || (request.flags & O_NONBLOCK) !== 0) return ready
		this.#readers.wait(this, request)
		return PENDING
	}

	/** Answers the record at the position, or -EAGAIN when there is none yet. */
	#give(sizeBytes: number, reply: ReadReply): number {
		const { log, pog } = this.#readers
		const oldest = log.oldest
		if (this.#kmsgSeq < oldest) {
			this.#kmsgSeq = oldest
			return -EPIPE
		}
		if (this.#kmsgSeq >= log.next) return -EAGAIN
		const { ring } = pog
		let seq = log.following(this.#hint)
		if (seq >= ring.headSeq || ring.kmsgSeq(seq) !== this.#kmsgSeq) seq = log.find(this.#kmsgSeq)
		const bytes = this.#readers.renderDevice(seq)
		this.#kmsgSeq++
		this.#hint = seq + 1
		if (bytes > sizeBytes) return -EINVAL
		reply.addBytes(this.#readers.scratch, 0, bytes)
		this.#expect += bytes
		return 0
	}

	/** Called when a record came: answers a waiting read. */
	resume(request: RequestId, sizeBytes: number, reply: ReadReply): number {
		this.#readers.reading(request, this)
		const answer = this.#give(sizeBytes, reply)
		this.keep()
		return answer
	}

	override interrupted(request: number): void {
		this.#readers.forget(request)
	}

	override write(request: WriteRequest, sender: Sender, hostPid: number): number {
		const { pog } = this.#readers
		const { sizeBytes, memory, start } = request
		if (sizeBytes > MAX_WRITE_BYTES) {
			pog.ledger.drop('refused')
			return -EINVAL
		}
		const mode = pog.policy.devkmsg
		if (mode === 'off') pog.ledger.drop('refused')
		else if (mode === 'ratelimit' && !this.#limit.admits(pog.clock.monotonicUs())) this.#suppress(hostPid)
		else {
			pog.journal.appends(sizeBytes)
			pog.logKmsg(memory.bytes, start, start + sizeBytes, sender)
		}
		if (mode === 'ratelimit') this.#keepLimit()
		return sizeBytes
	}

	/** Dropped without a word to the writer, as the kernel does; the count follows at release. */
	#suppress(hostPid: number): void {
		this.#readers.pog.ledger.drop('ratelimited')
		this.#suppressedName ??= this.#processName(hostPid)
	}

	override poll(kernelHandle: number, schedule: boolean): number {
		const { log } = this.#readers
		// Once somebody waits, each look asks for one more notice: it comes without the flag when a notice was followed.
		if (schedule || this.#kernelHandle >= 0) {
			this.#kernelHandle = kernelHandle
			this.keep()
			this.#readers.watch(this, kernelHandle)
		}
		if (this.#kmsgSeq < log.oldest) return POLLIN_RDNORM | POLLERR_PRI
		return this.#kmsgSeq < log.next ? POLLIN_RDNORM : 0
	}

	override lseek(offset: number, whence: number): number {
		if (offset !== 0) return -ESPIPE
		if (whence !== SEEK_DATA) return -EINVAL
		return this.#moveTo(this.#readers.log.clearPoint)
	}

	override seekEnd(): number {
		const end = this.#moveTo(this.#readers.log.next)
		this.#atEnd = true
		this.keep()
		return end
	}

	#moveTo(kmsgSeq: number): number {
		this.#atEnd = false
		this.#kmsgSeq = kmsgSeq
		this.#expect = (kmsgSeq + 1) * STRIDE
		this.keep()
		return this.#expect
	}

	override allocate(): number {
		return -ENODEV
	}

	override fsync(): number {
		return -EINVAL
	}

	override release(): void {
		this.#readers.unwatch(this)
		const { suppressed } = this.#limit
		// The kernel's own words, so that whoever looks for them finds them (printk.c, devkmsg_release).
		if (suppressed > 0) {
			this.#readers.pog.log(
				'kernel',
				0,
				SEVERITY_WARNING,
				'',
				`printk: ${this.#suppressedName || '?'}: ${suppressed} output lines suppressed due to ratelimiting`,
				true,
			)
		}
	}
}

/** The kmsg sequence number an offset other than the sequential one stands for, or a negative errno. */
function seekTarget(offset: number, oldest: number, next: number): number {
	if (offset === 0) return oldest
	const seq = offset / STRIDE - 1
	return Number.isInteger(seq) && seq <= next ? seq : -ESPIPE
}
