/**
 * Puts a damaged ring right before it is used again: what is whole stays under its sequence number, the rest becomes records that
 * nobody is shown.
 *
 * A ring whose writer was killed is whole (`layout.ts`). This is for what no writer leaves behind: pages that went, bits that flipped,
 * a file cut short. Source of truth: each descriptor says where its text begins and how long it is, so neighbours confirm each
 * other. Text has no checksum: a changed byte of a message is shown as it is.
 *
 * Invariants, for any bytes: afterwards tailSeq <= seq < headSeq have descriptors of their own number, back to back in the text and
 * within it, with lengths, times and shape that every reader can rely on; a whole ring is not changed. Not on a hot path.
 */
import { DESC, DESC_WORDS, FIELD, FLAG, HEADER_BYTES, WORD } from './layout.ts'
import type { RingMemory } from './ring.ts'
import { STATE } from './state-layout.ts'

const MAX_SEVERITY = 7
const MOST_CELLS = 2 ** 16
/** Origins have so many counters in the header, and so have the reasons of drops and denials. */
const ORIGINS_MOST = FIELD.drops - FIELD.accepted
/** Behind the last of the counters. */
const COUNTERS_END = FIELD.denied + ORIGINS_MOST
/** So many of the newest records are looked at where nothing has to be repaired. */
const NEWEST = 64
const TWO_32 = 2 ** 32

/** Far more than a ring will ever count, and far enough from where numbers end that it can go on counting. */
const MOST = 2 ** 50

/** A number that counts something: whole, exact, not negative. */
function isCount(value: number | undefined): value is number {
	return value !== undefined && Number.isSafeInteger(value) && value >= 0 && value <= MOST
}

/** Whether a number of microseconds is one that a date can be made of. */
function isTime(value: number | undefined): boolean {
	return value !== undefined && Math.abs(value) <= Number.MAX_SAFE_INTEGER
}

/** Repairs in place; the header's geometry must be sound. Answers how many records were there and are not any more. */
export function salvage(memory: RingMemory): number {
	return new Salvage(memory).run()
}

/**
 * Whether an engine of ours has just left it: the header and the newest records say the same, so that there is nothing to repair. A
 * process that dies damages no record it finished; looking at all of them would take as long as there are many.
 */
export function isAsLeft(memory: RingMemory): boolean {
	return new Salvage(memory).isAsLeft()
}

class Salvage {
	readonly #words: Uint32Array
	readonly #floats: Float64Array
	readonly #textBytes: number
	readonly #descCount: number
	#headSeq = 0
	#headPosition = 0

	constructor(memory: RingMemory) {
		this.#words = new Uint32Array(memory.head.buffer)
		this.#floats = new Float64Array(memory.head.buffer)
		this.#textBytes = this.#floats[FIELD.textBytes] ?? 0
		this.#descCount = this.#floats[FIELD.descCount] ?? 0
	}

	isAsLeft(): boolean {
		const [head, tail, position] = [FIELD.headSeq, FIELD.tailSeq, FIELD.headPosition].map(field => this.#floats[field])
		if (!isCount(head) || !isCount(tail) || !isCount(position) || tail > head || head - tail > this.#descCount)
			return false
		let end = position
		for (let seq = head - 1; seq >= tail && seq >= head - NEWEST; seq--) {
			if (!this.#isSound(seq) || this.#end(seq) !== end) return false
			end = this.#position(seq)
		}
		return true
	}

	run(): number {
		const floats = this.#floats
		const [toldHead, toldTail] = [floats[FIELD.headSeq], floats[FIELD.tailSeq]]
		this.#findHead()
		const head = this.#headSeq
		const tailIsSound = isCount(toldTail) && toldTail <= head && head - toldTail <= this.#descCount
		const tail = tailIsSound ? toldTail : Math.max(0, head - this.#descCount)
		const whole = this.#wholeRecords(tail)
		// Older than anything that is whole: their places may be others' text. Of an unknown tail nobody knows how many they were.
		const first = whole[0] ?? head
		let lost = tailIsSound ? first - tail : 0
		if (isCount(toldHead) && toldHead > head && toldHead - head <= this.#descCount) lost += toldHead - head
		lost += this.#fillGaps(whole)
		floats[FIELD.headSeq] = head
		floats[FIELD.headPosition] = this.#headPosition
		floats[FIELD.tailSeq] = first
		this.#number(first)
		this.#boundHeader()
		return lost
	}

	#at(seq: number): number {
		return HEADER_BYTES / 4 + (seq & (this.#descCount - 1)) * DESC_WORDS
	}

	#position(seq: number): number {
		return this.#floats[(this.#at(seq) + DESC.position) / 2] ?? Number.NaN
	}

	#end(seq: number): number {
		const at = this.#at(seq)
		return this.#position(seq) + (this.#words[at + DESC.lineBytes] ?? 0) + (this.#words[at + DESC.extraBytes] ?? 0)
	}

	/** Whether a descriptor is one of this number, and says nothing impossible. */
	#isSound(seq: number): boolean {
		if (seq < 0) return false
		const [words, floats, at] = [this.#words, this.#floats, this.#at(seq)]
		const [lineBytes = 0, extraBytes = 0] = [words[at + DESC.lineBytes], words[at + DESC.extraBytes]]
		const [kind = 0, shape = 0] = [words[at + DESC.kind], words[at + DESC.shape]]
		const position = this.#position(seq)
		const bytes = lineBytes + extraBytes
		if (words[at + DESC.seqLow] !== seq >>> 0 || !isCount(position) || bytes > this.#textBytes) return false
		if (!isTime(floats[(at + DESC.monotonicUs) / 2]) || !isTime(floats[(at + DESC.realtimeUs) / 2])) return false
		if (((kind >>> 8) & 0xff) > MAX_SEVERITY || ((kind >>> 16) & 0xff) >= ORIGINS_MOST) return false
		// One that was lost at an earlier repair.
		if (kind >>> 24 === 0) return lineBytes === 0
		return bytes > 0 && (shape & 0xff) + ((shape >>> 8) & 0xff) + ((shape >>> 16) & 0xff) <= lineBytes
	}

	/**
	 * Where the ring ends: as the header tells when the newest record confirms it; else behind a record that ends where the header says;
	 * else as told, when what is before fits; else behind the newest record that follows another.
	 */
	#findHead(): void {
		const floats = this.#floats
		const [head, position, tail] = [floats[FIELD.headSeq], floats[FIELD.headPosition], floats[FIELD.tailSeq]]
		const told = isCount(head) && isCount(position)
		this.#headSeq = isCount(head) ? head : isCount(tail) ? tail : 0
		this.#headPosition = isCount(position) ? position : 0
		if (told && (head === tail || (this.#isSound(head - 1) && this.#end(head - 1) === position))) return
		let ending = -1
		let newest = -1
		for (const seq of this.#candidates(this.#headSeq)) {
			if (seq !== tail && !this.#follows(seq)) continue
			newest = Math.max(newest, seq)
			if (this.#end(seq) === position) ending = Math.max(ending, seq)
		}
		const fits = told && newest < head - 1 && head - newest <= this.#descCount && this.#end(newest) <= position
		if (ending < 0 && fits && position - this.#end(newest) <= this.#textBytes) return
		// The newest record and the header contradict each other. What ends sooner leaves every older record its text, whoever is right.
		if (told && newest === head - 1 && position >= this.#position(newest) && position < this.#end(newest)) return
		const last = ending >= 0 ? ending : newest
		if (last < 0) return
		this.#headSeq = last + 1
		this.#headPosition = this.#end(last)
	}

	/** Every sound record, by the number nearest to one that is known: a descriptor keeps the lower half. */
	*#candidates(near: number): Generator<number> {
		for (let slot = 0; slot < this.#descCount; slot++) {
			const low = this.#words[HEADER_BYTES / 4 + slot * DESC_WORDS + DESC.seqLow] ?? 0
			const seq = near + ((low - near) | 0)
			if ((low & (this.#descCount - 1)) === slot && this.#isSound(seq)) yield seq
		}
	}

	#follows(seq: number): boolean {
		return this.#isSound(seq - 1) && this.#end(seq - 1) === this.#position(seq)
	}

	/** Records from `tail` on that are sound, whose place a neighbour confirms (or none can), and whose text is still theirs. */
	#wholeRecords(tail: number): number[] {
		const [head, oldest] = [this.#headSeq, this.#headPosition - this.#textBytes]
		const linked = (seq: number): boolean =>
			seq === head - 1
				? this.#end(seq) === this.#headPosition
				: this.#isSound(seq + 1) && this.#end(seq) === this.#position(seq + 1)
		const found: number[] = []
		let before = false
		for (let seq = tail; seq < head; seq++) {
			const sound = this.#isSound(seq)
			const after = sound && linked(seq)
			const alone = (seq === tail || !this.#isSound(seq - 1)) && (seq === head - 1 || !this.#isSound(seq + 1))
			const placed = this.#position(seq) >= oldest && this.#end(seq) <= this.#headPosition
			if (sound && placed && (before || after || alone)) found.push(seq)
			before = after
		}
		return this.#inOrder(found)
	}

	/** Without those that would reach into the text of the next. */
	#inOrder(found: readonly number[]): number[] {
		const kept: number[] = []
		let limit = this.#headPosition
		let next = this.#headSeq
		for (const seq of [...found].reverse()) {
			const end = this.#end(seq)
			// The next one's own record is known to begin where it says, so a length that does not lead there is wrong.
			if (end > limit || (next === seq + 1 && end !== limit)) continue
			kept.push(seq)
			limit = this.#position(seq)
			next = seq
		}
		return kept.reverse()
	}

	/** Makes every record between whole ones a lost one: of no view, of no text, as long as the gap. How many they are now. */
	#fillGaps(whole: readonly number[]): number {
		let lost = 0
		let [seq, position] = [whole[0] ?? this.#headSeq, whole[0] === undefined ? 0 : this.#position(whole[0])]
		for (const next of [...whole, this.#headSeq]) {
			const start = next === this.#headSeq ? this.#headPosition : this.#position(next)
			for (; seq < next; seq++) {
				this.#lose(seq, position, start - position)
				position = start
				lost++
			}
			if (next === this.#headSeq) break
			position = this.#end(next)
			seq = next + 1
		}
		return lost
	}

	#lose(seq: number, position: number, bytes: number): void {
		const [words, floats, at] = [this.#words, this.#floats, this.#at(seq)]
		words.fill(0, at, at + DESC_WORDS)
		words[at + DESC.seqLow] = seq
		words[at + DESC.extraBytes] = bytes
		floats[(at + DESC.position) / 2] = position
	}

	/** The numbers of /dev/kmsg: they grow by at most one a record, and the newest tells the next. */
	#number(tail: number): void {
		const [words, floats, head] = [this.#words, this.#floats, this.#headSeq]
		const shown = (seq: number): number => (((words[this.#at(seq) + DESC.kind] ?? 0) >>> 24) & FLAG.kmsg ? 1 : 0)
		const low = (seq: number): number => words[this.#at(seq) + DESC.kmsgSeqLow] ?? 0
		let next = floats[FIELD.nextKmsgSeq]
		if (!isCount(next)) next = head > tail ? low(head - 1) + shown(head - 1) : 0
		else if (head > tail && head - 1 > tail) {
			// Two records against the header.
			const told = low(head - 1) + shown(head - 1)
			const agree = (low(head - 2) + shown(head - 2)) >>> 0 === low(head - 1)
			if (agree && told >>> 0 !== next >>> 0 && (next - told) >>> 0 > 1) next = nearest(next, told)
		}
		floats[FIELD.nextKmsgSeq] = next
		let expected = next
		for (let seq = head - 1; seq >= tail; seq--) {
			const most = expected - shown(seq)
			// What was lost behind it may have had numbers.
			const behind = (most - low(seq)) >>> 0
			const number = behind <= this.#lostAfter(seq) ? most - behind : most
			words[this.#at(seq) + DESC.kmsgSeqLow] = Math.max(0, number) % TWO_32
			expected = Math.max(0, number)
		}
	}

	/** How many records directly behind one are lost ones. */
	#lostAfter(seq: number): number {
		let count = 0
		// The newest may have been counted before it was there (`Ring.recover`).
		if (seq === this.#headSeq - 1) return 1
		while (seq + 1 + count < this.#headSeq && (this.#words[this.#at(seq + 1 + count) + DESC.kind] ?? 0) >>> 24 === 0)
			count++
		return count
	}

	/** Reading positions and counters that something can be done with. */
	#boundHeader(): void {
		const floats = this.#floats
		const bound = (field: number, most: number, otherwise: number): void => {
			const value = floats[field]
			if (!isCount(value) || value > most) floats[field] = otherwise
		}
		bound(FIELD.clearSeq, this.#headSeq, 0)
		bound(FIELD.syslogSeq, this.#headSeq, this.#headSeq)
		bound(FIELD.syslogPartial, this.#textBytes, 0)
		bound(FIELD.lastRequest, MOST, 0)
		for (let field: number = FIELD.accepted; field < COUNTERS_END; field++) bound(field, MOST, 0)
		// What the engine knew beside the records (`state-layout.ts`): numbers, and no more cells than a POG has handles for.
		for (let field: number = COUNTERS_END; field < HEADER_BYTES / 8; field++)
			if (!isTime(floats[field])) floats[field] = 0
		bound(STATE.moreCells, MOST_CELLS, 0)
		this.#words[WORD.retired] = 0
	}
}

/** The number with the low 32 bits of `told` that is nearest to `about`. */
function nearest(about: number, told: number): number {
	return Math.max(0, about - ((about - told) | 0))
}
