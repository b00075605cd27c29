/**
 * Writes into the memory of a process that waits for us. Source: /proc/PID/mem and /proc/PID/maps of proc(5); PROCMAP_QUERY of
 * include/uapi/linux/fs.h (v6.11); mem_rw of fs/proc/base.c, __access_remote_vm of mm/memory.c (v6.12).
 *
 * Not process_vm_writev(2): that finds the process by number at the moment of writing, when it may have ended or executed a
 * set-user-ID program since it was known to wait. A descriptor of /proc/PID/mem stands for the memory as it was at open: whoever
 * opens, asks again whether the caller still waits, and then writes, writes to the caller or to nobody. It also grows a
 * stack, as a system call's own copy does.
 *
 * It writes where the process itself may not (FOLL_FORCE), so `open` looks up what is writable, where the kernel can say.
 */
import { EFAULT } from '../lib/errno.ts'
import { close, ioctl, O_CLOEXEC, O_RDONLY, openPath, pwrite } from './io.ts'
import { allocate } from './memory.ts'

const O_WRONLY = 0o1

const PROCMAP_QUERY = 0xc0686611
const COVERING_OR_NEXT_VMA = 0x10
const VMA_WRITABLE = 0x02
/** struct procmap_query, words: size, query_flags, query_addr, vma_start, vma_end, vma_flags (each u64), ... */
const QUERY_BYTES = 104
const QUERY = { size: 0, flags: 2, address: 4, start: 6, end: 8, vmaFlags: 10 } as const
/** No buffer that is worth answering lies in more mappings than this. */
const MAX_QUERIES = 64

/** A process's memory. One object serves one process after the other. */
export class ProcessMemory {
	readonly #query = allocate(4096)
	readonly #words = new Uint32Array(this.#query.buffer)
	#mem = -1
	#maps = -1

	/** Takes hold of the memory of a thread. 0, or a negative errno. */
	open(tid: number): number {
		this.#mem = openPath(`/proc/${tid}/mem`, O_WRONLY | O_CLOEXEC)
		if (this.#mem < 0) return this.#mem
		this.#maps = openPath(`/proc/${tid}/maps`, O_RDONLY | O_CLOEXEC)
		return 0
	}

	/** How many bytes from `address` on, `sizeBytes` at most, the process could write itself, or we have to find out. */
	writable(address: number, sizeBytes: number): number {
		const words = this.#words
		const end = address + sizeBytes
		let at = address
		for (let queries = 0; this.#maps >= 0 && at < end && queries < MAX_QUERIES; queries++) {
			words.fill(0, 0, QUERY_BYTES / 4)
			words[QUERY.size] = QUERY_BYTES
			words[QUERY.flags] = COVERING_OR_NEXT_VMA
			this.#put(QUERY.address, at)
			// ENOENT: nothing is mapped behind. ENOTTY: an older kernel. Writing shows.
			if (ioctl(this.#maps, PROCMAP_QUERY, this.#query.address) < 0) break
			const start = this.#get(QUERY.start)
			if (start >= end) break
			if (((words[QUERY.vmaFlags] ?? 0) & VMA_WRITABLE) === 0) return Math.max(0, start - address)
			at = this.#get(QUERY.end)
		}
		return sizeBytes
	}

	#put(word: number, value: number): void {
		this.#words[word] = value
		this.#words[word + 1] = Math.floor(value / 2 ** 32)
	}

	#get(word: number): number {
		return (this.#words[word] ?? 0) + (this.#words[word + 1] ?? 0) * 2 ** 32
	}

	/** Writes `sizeBytes` from our memory at `from`: the bytes written, less where the memory ends, or -EFAULT for none. */
	write(address: number, from: number, sizeBytes: number): number {
		const written = pwrite(this.#mem, from, sizeBytes, address)
		return written <= 0 ? -EFAULT : written
	}

	close(): void {
		if (this.#mem >= 0) close(this.#mem)
		if (this.#maps >= 0) close(this.#maps)
		this.#mem = this.#maps = -1
	}
}
