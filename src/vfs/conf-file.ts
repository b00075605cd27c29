/**
 * `/etc/syslog.conf` of one POG: a draft that every open edits, obeyed when an open that wrote is closed.
 *
 * close(2) waits for the daemon's answer, so the command after `echo ... > /etc/syslog.conf` already logs by the new
 * rules.
 */
import { FOPEN_DIRECT_IO } from '../fuse/flags.ts'
import type { ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import { EFBIG } from '../lib/errno.ts'
import type { Pog } from '../pog/pog.ts'
import { OpenFile } from './open-file.ts'

/** The text all opens see; ahead of the one in force while somebody writes. */
export class ConfDraft {
	readonly #pog: Pog
	/** The beginning of `#room`, or what was put in place of it. */
	#edited: Buffer | null = null
	#room: Buffer = Buffer.alloc(0)
	#inForce = { text: '', bytes: Buffer.alloc(0) }
	mtimeUs: number

	constructor(pog: Pog) {
		this.#pog = pog
		this.mtimeUs = pog.clock.realtimeUs(pog.clock.monotonicUs())
	}

	get bytes(): Buffer {
		if (this.#edited !== null) return this.#edited
		const { text } = this.#pog.configured
		if (this.#inForce.text !== text) this.#inForce = { text, bytes: Buffer.from(text, 'latin1') }
		return this.#inForce.bytes
	}

	get sizeBytes(): number {
		return this.#edited?.length ?? this.#pog.configured.text.length
	}

	/** 0, or -EFBIG. A gap is filled with NUL, as in any file. */
	write(offset: number, source: Uint8Array, start: number, end: number): number {
		const size = Math.max(this.sizeBytes, offset + end - start)
		const answer = this.truncate(size)
		if (answer === 0) this.#edited?.set(source.subarray(start, end), offset)
		return answer
	}

	/** 0, or -EFBIG. */
	truncate(sizeBytes: number): number {
		if (sizeBytes > this.#pog.limits.confBytes) return -EFBIG
		const { bytes } = this
		if (this.#edited === null || sizeBytes > this.#room.length) {
			// Twice what is needed: a text that grows by single bytes is copied a few times, not once a byte.
			this.#room = Buffer.alloc(Math.min(2 * sizeBytes, this.#pog.limits.confBytes))
			bytes.copy(this.#room, 0, 0, sizeBytes)
		} else if (sizeBytes > bytes.length) this.#room.fill(0, bytes.length, sizeBytes)
		this.#edit(this.#room.subarray(0, sizeBytes))
		return 0
	}

	#edit(bytes: Buffer): void {
		this.#edited = bytes
		this.mtimeUs = this.#pog.clock.realtimeUs(this.#pog.clock.monotonicUs())
	}

	/** Puts what was written in force. */
	commit(): void {
		if (this.#edited === null) return
		const text = this.#edited.toString('latin1')
		this.#edited = null
		this.#room = Buffer.alloc(0)
		if (text !== this.#pog.configured.text || this.#pog.configured.state !== 'own') this.#pog.configured.set(text)
	}

	/** A whole text at once: a file was renamed onto this one. */
	replace(bytes: Uint8Array): void {
		this.#edit(Buffer.from(bytes))
		this.commit()
	}
}

export class ConfFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO
	readonly #draft: ConfDraft
	#wrote = false
	#truncated = false

	/** `truncated`: the open asked for an empty file. */
	constructor(draft: ConfDraft, truncated: boolean) {
		super()
		this.#draft = draft
		if (truncated) this.#truncated = draft.truncate(0) === 0
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		const { bytes } = this.#draft
		const end = Math.min(bytes.length, request.offset + request.sizeBytes)
		if (request.offset < end) reply.addBytes(bytes, request.offset, end)
		return 0
	}

	override write(request: WriteRequest): number {
		const { memory, start, sizeBytes, offset } = request
		const answer = this.#draft.write(offset, memory.bytes, start, start + sizeBytes)
		if (answer < 0) return answer
		this.#wrote = true
		return sizeBytes
	}

	override truncate(sizeBytes: number): number {
		this.#truncated = true
		return this.#draft.truncate(sizeBytes)
	}

	/**
	 * A shell that redirects opens with O_TRUNC and closes a duplicate before anything is written: that close must not put
	 * an empty configuration in force.
	 */
	override flush(): number {
		if (this.#wrote) this.#draft.commit()
		this.#truncated &&= !this.#wrote
		this.#wrote = false
		return 0
	}

	/** `: > syslog.conf` means it. */
	override release(): void {
		if (this.#wrote || this.#truncated) this.#draft.commit()
	}
}
