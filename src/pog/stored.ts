/**
 * A stored record read back: where in the ring's text its parts lie.
 *
 * The line is `HEAD TAG[PID]: MESSAGE\n`; the descriptor knows where the tag begins and how long tag and pid are, so
 * every other part follows. Raw lines have no parts. Invariant: every range lies within the record's own bytes, whatever
 * the descriptor says.
 */
import { PROC_KMSG_CAP_BYTES, renderProcKmsg } from '../record/proc-kmsg.ts'
import { EXTRA, extraLength, findExtra } from '../ring/extra.ts'
import { DESC, FLAG } from '../ring/layout.ts'
import type { Ring } from '../ring/ring.ts'

export class StoredRecord {
	facility = 0
	severity = 0
	origin = 0
	flags = 0
	monotonicUs = 0
	realtimeUs = 0
	pid = 0
	uid = 0
	/** Offsets into the ring's text. */
	lineStart = 0
	lineEnd = 0
	tagStart = 0
	tagEnd = 0
	procidStart = 0
	procidEnd = 0
	/** The message as it was sent; for a kmsg record with its tag. */
	textStart = 0
	textEnd = 0
	/** The message as the line shows it, without tag and newline. */
	bodyStart = 0
	bodyEnd = 0
	#extraEnd = 0

	/** Reads a retained record. `kmsg`: the text wanted is what /dev/kmsg shows. */
	read(ring: Ring, seq: number, kmsg: boolean): this {
		const { words, floats } = ring
		const at = ring.slot(seq)
		const kind = words[at + DESC.kind] ?? 0
		const shape = words[at + DESC.shape] ?? 0
		this.facility = kind & 0xff
		this.severity = (kind >>> 8) & 0xff
		this.origin = (kind >>> 16) & 0xff
		this.flags = kind >>> 24
		this.monotonicUs = floats[(at + DESC.monotonicUs) / 2] ?? 0
		this.realtimeUs = floats[(at + DESC.realtimeUs) / 2] ?? 0
		this.pid = words[at + DESC.pid] ?? 0
		this.uid = words[at + DESC.uid] ?? 0
		this.lineStart = ring.offset(ring.position(seq))
		this.lineEnd = this.lineStart + (words[at + DESC.lineBytes] ?? 0)
		this.#extraEnd = this.lineEnd + (words[at + DESC.extraBytes] ?? 0)
		const end = Math.max(this.lineStart, this.lineEnd - ((this.flags & FLAG.raw) === 0 ? 1 : 0))
		const tagBytes = (shape >>> 8) & 0xff
		const procidBytes = (shape >>> 16) & 0xff
		this.tagStart = Math.min(end, this.lineStart + (shape & 0xff))
		this.tagEnd = Math.min(end, this.tagStart + tagBytes)
		this.procidStart = Math.min(end, this.tagEnd + (procidBytes > 0 ? 1 : 0))
		this.procidEnd = Math.min(end, this.procidStart + procidBytes)
		const behindTag = procidBytes > 0 ? this.procidEnd + 3 : this.tagEnd + 2
		this.bodyStart = tagBytes === 0 ? this.tagStart : Math.min(end, behindTag)
		this.bodyEnd = end
		this.textStart = this.bodyStart
		this.textEnd = end
		if ((this.flags & FLAG.altered) !== 0) {
			const text = this.extra(ring, EXTRA.text)
			if (text >= 0) {
				this.textStart = text
				this.textEnd = Math.min(this.#extraEnd, text + extraLength(ring.text, text))
				// The bytes of a kmsg record begin with its tag, spelt as in the line.
				const tagged = (this.flags & FLAG.kmsg) !== 0 && (this.flags & FLAG.borrowedTag) === 0
				if (!kmsg && tagged) this.textStart = Math.min(this.textEnd, this.textStart + this.bodyStart - this.tagStart)
			}
		} else if (kmsg && (this.flags & FLAG.borrowedTag) === 0) this.textStart = this.tagStart
		return this
	}

	/** Offset of an extra field's bytes, or -1. */
	extra(ring: Ring, type: number): number {
		return findExtra(ring.text, this.lineEnd, this.#extraEnd, type)
	}

	/** Reads a retained record and writes it as /proc/kmsg gives it to the start of `target`, when there is one; its length. */
	asProcKmsg(target: Uint8Array | undefined, ring: Ring, seq: number): number {
		const { facility, severity, monotonicUs, textStart, textEnd } = this.read(ring, seq, true)
		const cap = PROC_KMSG_CAP_BYTES
		return renderProcKmsg(target, 0, cap, facility, severity, monotonicUs, ring.text, textStart, textEnd)
	}
}
