/**
 * Lines out of a byte stream that may be cut anywhere, inside a character too.
 *
 * Invariant: for any cutting of the same bytes the same lines come out, without their newline; memory is bounded by the
 * longest line allowed.
 */

export class LineSplitter {
	readonly #maxLineBytes: number
	#held: Uint8Array[] = []
	#heldBytes = 0
	/** True when a line was longer than allowed: it and what follows are dropped. */
	overflowed = false

	constructor(maxLineBytes = 1 << 20) {
		this.#maxLineBytes = maxLineBytes
	}

	/** The lines that this chunk completes, in order. */
	push(chunk: Uint8Array): string[] {
		const lines: string[] = []
		let start = 0
		while (!this.overflowed) {
			const newline = chunk.indexOf(0x0a, start)
			const end = newline === -1 ? chunk.length : newline
			if (this.#heldBytes + end - start > this.#maxLineBytes) {
				this.overflowed = true
				this.#held = []
				break
			}
			if (newline === -1) {
				// The chunk may be a reused buffer: keep a copy (`slice` of a Buffer makes none).
				if (end > start) this.#held.push(new Uint8Array(chunk.subarray(start)))
				this.#heldBytes += end - start
				break
			}
			lines.push(this.#take(chunk.subarray(start, end)))
			start = newline + 1
		}
		return lines
	}

	/** What follows the last newline; empty when nothing does. */
	rest(): string {
		return this.overflowed ? '' : this.#take(new Uint8Array(0))
	}

	#take(last: Uint8Array): string {
		const bytes = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last])
		this.#held = []
		this.#heldBytes = 0
		return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
	}
}
