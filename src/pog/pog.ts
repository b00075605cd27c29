/**
 * One private log: its ring, its views, its configuration, its ledger. The domain; knows no file descriptor.
 *
 * Invariant: everything accepted is one record in the ring with its routes decided, or a counted drop. Nothing here
 * throws for what a container sends.
 */
import type { Clock } from '../lib/clock.ts'
import type { Routes } from '../conf/routes.ts'
import { composed, composeLine, LineHead, maxLineBytes } from '../record/line.ts'
import { parseDatagram } from '../record/datagram.ts'
import { parseKmsgWrite } from '../record/kmsg-write.ts'
import { newParsed, type Parsed } from '../record/parsed.ts'
import { EXTRA, extraBytes, putExtra } from '../ring/extra.ts'
import { Cells, kindOf, type MoreCells } from '../ring/cells.ts'
import { Journal } from '../ring/journal.ts'
import { FIELD, FLAG } from '../ring/layout.ts'
import { type Descriptor, newDescriptor, type Ring } from '../ring/ring.ts'
import { Configured, type ReadIncludes } from './configured.ts'
import type { Origin } from './info.ts'
import { Ledger, ORIGIN_CODE } from './ledger.ts'
import type { Limits, PogPolicy } from './limits.ts'
import { PrintkSettings } from './printk.ts'
import { type Rate, RateLimit } from './rate-limit.ts'
import { Stamps } from './stamps.ts'
import { RecordSubject } from './subject.ts'
import { ALL_BIT } from '../ring/view-index.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { rotate } from './rotation.ts'
import { Answers, type Keep, Notebook, type SavedPog } from './saved.ts'
import { routeBit, type View } from './view.ts'
import { ViewTable } from './views.ts'
import { Rfc5424Lines } from './view-lines.ts'

/** Who sent a message, as the kernel vouches for it; pid in the container's namespace, 0 when unknown. */
export interface Sender {
	pid: number
	uid: number
	gid: number
	/** When it was sent, in microseconds of CLOCK_REALTIME; 0 or left out: now. */
	sentUs?: number
}

export const NOBODY: Sender = { pid: 0, uid: 0, gid: 0 }

export interface PogOptions {
	id: number
	name: string
	hostname: string
	owner: { uid: number; gid: number }
	/** Text of its own syslog.conf, or null for the host's default. */
	conf?: string | null
	/** How many records it may make; no limit when left out. */
	rate?: Rate | null
	limits: Limits
	policy: PogPolicy
	clock: Clock
	/** What `include` finds in the container's own tree; nothing when left out. */
	readIncludes?: ReadIncludes
	/** Memory for more cells than the ring's header page has. */
	moreCells?: MoreCells
	/** Where it writes down what a later engine needs; nowhere when left out. */
	keep?: Keep
	/** What an earlier engine wrote down: this one goes on with its ring, which was recovered. */
	saved?: SavedPog
}

const KERNEL_TAG = Buffer.from('kernel', 'latin1')
const SHOWN_TO_ALL = FLAG.all
const SHOWN_AS_KMSG = FLAG.all | FLAG.kmsg
/** Tags longer than this are text: the descriptor counts a tag's bytes in one byte. */
const MAX_TAG_BYTES = 200
const MAX_PROCID_BYTES = 200
const MAX_HOSTNAME_BYTES = 64
const SEVERITY_WARNING = 4
const FACILITY_SYSLOG = 5

export class Pog {
	readonly id: number
	readonly name: string
	readonly hostname: string
	readonly owner: { uid: number; gid: number }
	readonly limits: Limits
	readonly head: LineHead
	readonly ledger: Ledger
	readonly views: ViewTable
	readonly rfc5424: Rfc5424Lines
	readonly configured: Configured
	readonly clock: Clock
	/** Microseconds of CLOCK_REALTIME. */
	readonly createdUs: number
	policy: PogPolicy
	ring: Ring
	/** Called before somebody looks at a view's end: takes what lies in the socket of /dev/log. */
	onLook: () => void = () => {}
	/** Called after each record that /dev/kmsg shows. */
	readonly onKmsg: (() => void)[] = []
	/** What /proc/sys/kernel says about the kernel log. */
	readonly printk = new PrintkSettings()
	/** What survives the engine: open handles and the like; the request being carried out. */
	readonly cells: Cells
	readonly journal: Journal
	/** Answers of `ctl` that were not read yet, by handle. */
	readonly answers = new Answers()
	readonly #notebook: Notebook
	readonly #limit: RateLimit | null
	readonly #parsed: Parsed = newParsed()
	readonly #descriptor: Descriptor = newDescriptor()
	readonly #stamps: Stamps
	readonly #subject: RecordSubject
	#routes: Routes

	constructor(ring: Ring, options: PogOptions) {
		this.ring = ring
		this.id = options.id
		this.name = options.name
		this.hostname = hostnameOf(options.hostname)
		this.owner = options.owner
		this.limits = options.limits
		this.policy = options.policy
		this.clock = options.clock
		this.#limit = options.rate ? new RateLimit(options.rate) : null
		this.#stamps = new Stamps(options.clock)
		this.createdUs = options.saved?.createdUs ?? options.clock.realtimeUs(options.clock.monotonicUs())
		this.head = new LineHead(this.hostname)
		this.ledger = new Ledger(ring)
		this.cells = new Cells(ring, options.moreCells)
		this.journal = new Journal(ring)
		this.#notebook = new Notebook(options.keep ?? null, options.saved?.request)
		this.#subject = new RecordSubject(this.hostname)
		this.rfc5424 = new Rfc5424Lines(this.hostname)
		this.views = new ViewTable(
			ring,
			{ RFC3164: null, RFC5424: (from, seq) => this.rfc5424.size(from, seq) },
			options.limits.views,
			this.cells,
		)
		const { saved } = options
		if (saved === undefined) {
			this.views.addAll('run/pog/log')
			this.configured = new Configured(this, options.conf ?? null, null, options.readIncludes)
			this.#routes = this.configured.routes
			this.configured.tellFirst()
			this.flush()
			return
		}
		this.journal.recover(saved.request)
		this.views.restore(saved.views)
		this.#giveUnnamed(saved)
		this.printk.restore(saved.printk)
		this.answers.restore(saved.answers)
		this.configured = new Configured(this, null, saved.conf, options.readIncludes)
		this.#routes = this.configured.routes
		if (!saved.conf.own && saved.conf.text !== options.policy.defaultConf) this.configured.followDefault()
		this.flush()
	}

	/** The connection of the engine before is gone: nobody has its handles any more. */
	forgetConnection(): void {
		this.journal.forget()
		for (const cell of this.cells) if (kindOf(cell) !== CELL_KIND.viewIndex) this.cells.give(cell)
	}

	/** Cells of indexes that were not written down any more, or not yet. */
	#giveUnnamed({ views: { views } }: SavedPog): void {
		const named = new Set(views.map(view => view.cell))
		for (const cell of this.cells)
			if (kindOf(cell) === CELL_KIND.viewIndex && !named.has(cell.index)) this.cells.give(cell)
	}

	/** Writes down what was changed, if something was. `more`: the current request is not carried out yet with that. */
	flush(more = false): void {
		this.#notebook.flush(this, more)
	}

	/** Obeys another host policy from now on. */
	setPolicy(policy: PogPolicy): void {
		const changed = policy.defaultConf !== this.policy.defaultConf
		this.policy = policy
		if (changed) this.configured.followDefault()
	}

	/** Whether a record may take far longer than another, by the configuration's filters. */
	get isCostly(): boolean {
		return this.#routes.filtered
	}

	/** Obeys the routes of a configuration from the next record on. */
	setRoutes(routes: Routes): void {
		this.#routes = routes
	}

	/** A datagram from /dev/log: `bytes` from `start` to `end`. */
	logDatagram(bytes: Uint8Array, start: number, end: number, sender: Sender): void {
		if (this.#limit !== null && !this.#admits(this.#limit)) return
		const parsed = this.#parsed
		let last = end
		if (end - start > this.limits.datagramBytes) {
			last = start + this.limits.datagramBytes
			this.ledger.drop('oversized')
		}
		parseDatagram(bytes, start, last, parsed)
		this.#append(bytes, parsed, ORIGIN_CODE.devlog, SHOWN_TO_ALL, sender)
	}

	/** A write to /dev/kmsg, or with `kernel` a message of the kernel about this container. */
	logKmsg(bytes: Uint8Array, start: number, end: number, sender: Sender): void {
		if (this.#limit !== null && !this.#admits(this.#limit)) return
		parseKmsgWrite(bytes, start, end, this.#parsed)
		this.#append(bytes, this.#parsed, ORIGIN_CODE.kmsg, SHOWN_AS_KMSG, sender)
		for (const told of this.onKmsg) told()
	}

	/** A message of one origin whose facility and severity are known. Answers its sequence number. */
	log(origin: Origin, facility: number, severity: number, tag: string, text: string, toKmsg = false): number {
		const tagBytes = Buffer.from(tag, 'utf8')
		const bytes = Buffer.concat([tagBytes, Buffer.from(text, 'utf8')])
		const parsed = newParsed()
		parsed.facility = facility
		parsed.severity = severity
		parsed.tagEnd = Math.min(tagBytes.length, MAX_TAG_BYTES)
		parsed.msgStart = tagBytes.length
		parsed.bodyStart = tagBytes.length
		parsed.msgEnd = bytes.length
		const seq = this.#append(bytes, parsed, ORIGIN_CODE[origin], toKmsg ? SHOWN_AS_KMSG : SHOWN_TO_ALL, NOBODY)
		if (toKmsg) for (const told of this.onKmsg) told()
		return seq
	}

	/** A line of this POG's own: what its owner should know. */
	tell(severity: number, text: string): void {
		this.log('pogs', FACILITY_SYSLOG, severity, 'pogs', text)
	}

	/** `echo x >> FILE`: the bytes become part of that view alone, as they are. */
	appendRaw(view: View, bytes: Uint8Array, start: number, end: number, sender: Sender): void {
		const piece = this.ring.maxRecordBytes
		const d = this.#descriptor
		for (let at = start; at < end; at += piece) {
			if (this.#limit !== null && !this.#admits(this.#limit)) return
			const size = Math.min(piece, end - at)
			const offset = this.ring.reserve(size)
			this.ring.text.set(bytes.subarray(at, at + size), offset)
			this.#stamp(d, sender)
			d.facility = 1
			d.severity = 5
			d.origin = ORIGIN_CODE.file
			d.flags = FLAG.raw
			d.routes = routeBit(view)
			d.lineBytes = size
			d.extraBytes = 0
			d.tagOffset = 0
			d.tagBytes = 0
			d.procidBytes = 0
			this.ring.commit(d)
			this.ledger.accept(d.origin)
		}
		if ((this.views.hiddenBits & routeBit(view)) !== 0) this.views.reveal(routeBit(view))
	}

	#stamp(d: Descriptor, sender: Sender): void {
		this.#stamps.stamp(d, sender.sentUs ?? 0)
		d.pid = sender.pid
		d.uid = sender.uid
		d.gid = sender.gid
	}

	#append(bytes: Uint8Array, p: Parsed, origin: number, shown: number, sender: Sender): number {
		const d = this.#descriptor
		const ring = this.ring
		if (p.tagEnd - p.tagStart > MAX_TAG_BYTES || p.pidEnd - p.pidStart > MAX_PROCID_BYTES) tagIsText(p)
		this.#stamp(d, sender)
		this.head.update(d.realtimeUs)
		d.flags = shown
		d.facility = p.facility
		d.severity = p.severity
		d.origin = origin
		const room = ring.maxRecordBytes
		let most =
			maxLineBytes(p, this.head) +
			extraBytes(p.msgEnd - p.msgStart) +
			2 * extraBytes(0) +
			(p.sdEnd - p.sdStart) +
			(p.msgidEnd - p.msgidStart)
		if (most > room) {
			// Twice for carets, once more for the message's own bytes behind them.
			p.msgEnd = Math.min(p.msgEnd, p.msgStart + Math.floor((room - 2048) / 3))
			p.bodyStart = Math.min(p.bodyStart, p.msgEnd)
			if (p.sdEnd - p.sdStart > 1024) p.sdEnd = p.sdStart
			d.flags |= FLAG.truncated
			this.ledger.drop('truncated')
			most = room
		}
		const offset = ring.reserve(most)
		const borrowed = p.facility === 0 && p.tagStart === p.tagEnd ? KERNEL_TAG : undefined
		const end = composeLine(ring.text, offset, this.head, bytes, p, borrowed)
		let extraEnd = end
		const textStart = shown & FLAG.kmsg ? p.msgStart : p.bodyStart
		if (!isWhole(offset, end, p, textStart)) {
			d.flags |= FLAG.altered
			extraEnd = putExtra(ring.text, extraEnd, EXTRA.text, bytes, textStart, p.msgEnd)
		}
		if (borrowed !== undefined) d.flags |= FLAG.borrowedTag
		if (p.msgidEnd > p.msgidStart)
			extraEnd = putExtra(ring.text, extraEnd, EXTRA.msgid, bytes, p.msgidStart, p.msgidEnd)
		if (p.sdEnd > p.sdStart) extraEnd = putExtra(ring.text, extraEnd, EXTRA.sd, bytes, p.sdStart, p.sdEnd)
		d.lineBytes = end - offset
		d.extraBytes = extraEnd - end
		d.tagOffset = composed.tagOffset
		d.tagBytes = composed.tagBytes
		d.procidBytes = composed.pidBytes
		const routes = this.#routes
		const files = routes.mask(d.facility, d.severity, routes.filtered ? this.#subject.of(bytes, p, borrowed) : null)
		d.routes = files
		const seq = ring.commit(d)
		this.ledger.accept(origin)
		this.views.keepUp(seq)
		if (files === 0) this.ledger.drop('unrouted')
		if ((files & this.views.hiddenBits) !== 0) this.views.reveal(files)
		return seq
	}

	/** syslog(2) CLEAR, and every view emptied: what the owner's and the host's `clear` mean. */
	clear(): void {
		this.ring.floats[FIELD.clearSeq] = this.ring.headSeq
		for (const view of this.views.all) if (view.live || view.bit === ALL_BIT) this.views.clear(view)
	}

	/** Goes on in a ring of another size, which `moveRing` filled. */
	moveTo(ring: Ring): void {
		this.views.moveTo(ring)
		this.ledger.moveTo(ring)
		this.cells.moveTo(ring)
		this.journal.moveTo(ring)
		this.ring = ring
	}

	/**
	 * The line a reader gets in place of records that were overwritten before it read them: the longest form that fits into
	 * the bytes it takes the place of; undefined when none does.
	 */
	lossNote(records: number, roomBytes: number): Uint8Array | undefined {
		this.head.update(this.clock.realtimeUs(this.clock.monotonicUs()))
		const lost = `${records} ${records === 1 ? 'record' : 'records'} lost`
		const whole = Buffer.concat([this.head.bytes, Buffer.from(`pogs: ${lost}: overwritten before they were read\n`)])
		return [whole, Buffer.from(`${lost}\n`)].find(note => note.length <= roomBytes)
	}

	/** Applies what follows from time passing: rotations that became due. */
	tick(): void {
		const views = [...this.views.all]
		for (const view of views) rotate(this.views, view)
		if (this.#limit !== null && this.#limit.refused > 0) this.#tellRefused(this.#limit)
	}

	#admits(limit: RateLimit): boolean {
		if (limit.admits(this.clock.monotonicUs())) return true
		this.ledger.drop('ratelimited')
		return false
	}

	/** Once a tick, whatever the flood. */
	#tellRefused(limit: RateLimit): void {
		const { refused, rate } = limit
		limit.refused = 0
		const records = refused === 1 ? 'record' : 'records'
		this.tell(SEVERITY_WARNING, `${refused} ${records} dropped: beyond the rate limit of ${rate.perSecond} a second`)
	}

	/** A record was refused at the door: counted, and told to its owner. */
	refuse(text: string): void {
		this.ledger.drop('refused')
		this.tell(SEVERITY_WARNING, text)
	}
}

/** At most HOST_NAME_MAX bytes: a descriptor counts the bytes before the tag in one byte. */
function hostnameOf(hostname: string): string {
	const bytes = Buffer.from(hostname)
	return bytes.length <= MAX_HOSTNAME_BYTES
		? hostname
		: bytes.toString('latin1', 0, MAX_HOSTNAME_BYTES).replace(/[^!-~]/g, '?')
}

/** Gives up the tag: it becomes the beginning of the message. */
function tagIsText(p: Parsed): void {
	p.msgStart = Math.min(p.msgStart, p.tagStart)
	p.bodyStart = p.msgStart
	p.tagEnd = p.tagStart
	p.pidEnd = p.pidStart
}

/** Whether the line from `offset` to `end` holds the message's bytes unchanged where a reader will look for them. */
function isWhole(offset: number, end: number, p: Parsed, textStart: number): boolean {
	if (!composed.clean) return false
	if (textStart === p.bodyStart) return true
	// The text of a kmsg record begins with its tag; the line spells it `TAG[PID]: `, which is never shorter.
	return end - 1 - offset - composed.tagOffset === p.msgEnd - p.msgStart
}
