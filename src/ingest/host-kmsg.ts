/**
 * The host's /dev/kmsg, from now on, for the kernel's own messages. Source: Documentation/ABI/testing/dev-kmsg (v6.12).
 *
 * Invariant: only what the kernel itself said is given (facility 0: user space cannot write that), each record once.
 */
import { EAGAIN, EINVAL, EPIPE } from '../lib/errno.ts'
import { O_CLOEXEC, O_NONBLOCK, O_RDONLY, openPath, read, seekEnd } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'

const RECORD_BYTES = 8192

export class HostKmsg {
	/** Negative errno when the host does not let us read it. */
	readonly fd: number
	readonly #memory = allocate(RECORD_BYTES)
	readonly #onKernel: (severity: number, text: string) => void

	constructor(onKernel: (severity: number, text: string) => void, path = '/dev/kmsg') {
		this.#onKernel = onKernel
		this.fd = openPath(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
		if (this.fd >= 0) seekEnd(this.fd)
	}

	/** Reads up to `units` records: how many, 0 for none, negative when there will be none again. */
	receive(units: number): number {
		for (let taken = 0; taken < units; taken++) {
			const bytes = read(this.fd, this.#memory.address, RECORD_BYTES)
			// EPIPE: some were overwritten before we came. EINVAL: one was too long, and is skipped.
			if (bytes === -EPIPE || bytes === -EINVAL) continue
			if (bytes === -EAGAIN) return taken
			if (bytes <= 0) return taken > 0 ? taken : -1
			const record = parseHostRecord(Buffer.from(this.#memory.buffer, 0, bytes).toString('latin1'))
			if (record !== undefined) this.#onKernel(record.severity, record.text)
		}
		return units
	}
}

/** Severity and text of a record that the kernel made (latin1, a character a byte); undefined for any other. */
export function parseHostRecord(record: string): { severity: number; text: string } | undefined {
	const match = /^(\d+),\d+,\d+,[^;\n]*;([^\n]*)/.exec(record)
	const priority = Number(match?.[1] ?? -1)
	if (match === null || priority >> 3 !== 0) return undefined
	const text = (match[2] ?? '').replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
		String.fromCharCode(Number.parseInt(hex, 16)),
	)
	return { severity: priority & 7, text }
}
