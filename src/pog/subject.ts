/**
 * What a filtered rule (`!prog`, `+host`, `:prop`) asks about a record, decoded only when it asks.
 *
 * Names and texts are byte strings (latin1): a filter compares bytes, and any bytes may come.
 */
import type { Subject } from '../conf/filter.ts'
import type { Parsed } from '../record/parsed.ts'

/** Longest part a filter looks at, in bytes: it bounds the work of a regular expression. */
const MAX_SUBJECT_BYTES = 1024

export class RecordSubject implements Subject {
	readonly hostname: string
	#bytes: Uint8Array = new Uint8Array(0)
	#parsed: Parsed | null = null
	#borrowedTag: Uint8Array | undefined

	constructor(hostname: string) {
		this.hostname = hostname
	}

	/** Points at a record; valid until the next call. */
	of(bytes: Uint8Array, parsed: Parsed, borrowedTag: Uint8Array | undefined): this {
		this.#bytes = bytes
		this.#parsed = parsed
		this.#borrowedTag = borrowedTag
		return this
	}

	get program(): string {
		const p = this.#parsed
		if (p === null) return ''
		if (this.#borrowedTag !== undefined) return Buffer.from(this.#borrowedTag).toString('latin1')
		return this.#range(p.tagStart, p.tagEnd)
	}

	get msg(): string {
		return this.#parsed === null ? '' : this.#range(this.#parsed.bodyStart, this.#parsed.msgEnd)
	}

	get msgid(): string {
		return this.#parsed === null ? '' : this.#range(this.#parsed.msgidStart, this.#parsed.msgidEnd)
	}

	get sd(): string {
		return this.#parsed === null ? '' : this.#range(this.#parsed.sdStart, this.#parsed.sdEnd)
	}

	#range(start: number, end: number): string {
		const last = Math.min(end, start + MAX_SUBJECT_BYTES)
		return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, Math.max(0, last - start)).toString('latin1')
	}
}
