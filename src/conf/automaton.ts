/**
 * Runs a regular expression over a text: all ways at once (Thompson's simulation), so that the time is bounded by
 * characters times nodes whatever pattern and text are.
 *
 * Sets of nodes met before are remembered with what follows them (a DFA built as it is needed), which makes an ordinary
 * match one look-up a character. A pattern that meets too many sets is simulated node by node from then on, and so is the rest
 * of a text that met some new ones: a set costs far more to remember than to pass. The nodes are kept as arrays of small
 * numbers, because a hostile pattern visits each of them at each character: some 2 ns a visit.
 */
import { contains } from './character-set.ts'
import type { Automaton, Node } from './posix-regex.ts'

/** Sets remembered for one pattern: at most about 1 KB each. */
const REMEMBERED_SETS = 64
/** New ones in one text. */
const REMEMBERED_AT_ONCE = 4

const KIND = { char: 0, split: 1, begin: 2, end: 3, match: 4 } as const
const ASCII = 128

interface NodeSet {
	/** `char` nodes, closed under the moves without a character. */
	readonly nodes: Int32Array
	readonly matched: boolean
	/** Matched if the text ends here. */
	readonly matchedAtEnd: boolean
	/** By character code below 128. */
	readonly next: (NodeSet | undefined)[]
}

export class Matcher {
	readonly #nodes: readonly Node[]
	readonly #entry: number
	/** By node: its kind, and where it leads. */
	readonly #kinds: Uint8Array
	readonly #next: Int32Array
	readonly #other: Int32Array
	/** By node and character code below 128: 1 when a `char` node takes it. */
	readonly #takes: Uint8Array
	readonly #sets = new Map<string, NodeSet>()
	readonly #start: NodeSet
	/** The closure being built: `#reached[0..#count)`; a node is in it when its mark is the current generation. */
	#reached: Int32Array
	/** What the simulation goes on from, in turns with `#reached`. */
	#current: Int32Array
	readonly #marks: Uint32Array
	readonly #open: Int32Array
	#generation = 0
	#count = 0

	constructor(automaton: Automaton) {
		const { nodes } = automaton
		const count = nodes.length
		this.#nodes = nodes
		this.#entry = automaton.start
		this.#kinds = Uint8Array.from(nodes, ({ kind }) => KIND[kind])
		this.#next = Int32Array.from(nodes, node => (node.kind === 'match' ? 0 : node.next))
		this.#other = Int32Array.from(nodes, node => (node.kind === 'split' ? node.other : 0))
		this.#takes = new Uint8Array(count * ASCII)
		for (const [i, node] of nodes.entries()) if (node.kind === 'char') this.#takes.set(node.set.ascii, i * ASCII)
		this.#reached = new Int32Array(count)
		this.#current = new Int32Array(count)
		this.#marks = new Uint32Array(count)
		// Each node met opens at most two.
		this.#open = new Int32Array(2 * count + 2)
		const ends = this.#endsFrom([this.#entry], true)
		this.#begin()
		this.#start = this.#remember(this.#add(this.#entry, true, false), ends)
	}

	/** Whether the pattern is found anywhere in the text. */
	test(text: string): boolean {
		let set = this.#start
		const most = Math.min(REMEMBERED_SETS, this.#sets.size + REMEMBERED_AT_ONCE)
		for (let i = 0; i < text.length; i++) {
			if (set.matched) return true
			const code = text.charCodeAt(i)
			let following = code < ASCII ? set.next[code] : undefined
			if (following === undefined) {
				if (this.#sets.size >= most) return this.#simulate(set.nodes, text, i)
				following = this.#follow(set, code)
				if (code < ASCII) set.next[code] = following
			}
			set = following
		}
		return set.matched || set.matchedAtEnd
	}

	/** Node by node, from a set that is not matched yet. */
	#simulate(nodes: Int32Array, text: string, from: number): boolean {
		this.#current.set(nodes)
		let count = nodes.length
		const last = text.length - 1
		for (let i = from; i <= last; i++) {
			const code = text.charCodeAt(i)
			if (this.#step(this.#current, count, code)) return true
			if (i === last) return this.#endsFrom(this.#targets(this.#current, count, code), false)
			const spent = this.#current
			this.#current = this.#reached
			this.#reached = spent
			count = this.#count
		}
		return false
	}

	#follow({ nodes }: NodeSet, code: number): NodeSet {
		const ends = this.#endsFrom(this.#targets(nodes, nodes.length, code), false)
		return this.#remember(this.#step(nodes, nodes.length, code), ends)
	}

	#takesCode(index: number, code: number): boolean {
		if (code < ASCII) return this.#takes[index * ASCII + code] === 1
		const node = this.#nodes[index] as Node
		return node.kind === 'char' && contains(node.set, code)
	}

	/**
	 * Closes what follows the first `count` of `nodes` by `code` into `#reached`; true when the pattern has matched. The inner
	 * loop is that of `#add`, written out: it runs once a node and character.
	 */
	#step(nodes: Int32Array, count: number, code: number): boolean {
		this.#begin()
		// The search may begin at every character: the entry is always among the ways.
		let matched = this.#add(this.#entry, false, false)
		let reachedCount = this.#count
		const generation = this.#generation
		const marks = this.#marks
		const kinds = this.#kinds
		const next = this.#next
		const other = this.#other
		const reached = this.#reached
		const open = this.#open
		const takes = this.#takes
		for (let i = 0; i < count; i++) {
			const from = nodes[i] as number
			if (code < ASCII ? takes[from * ASCII + code] !== 1 : !this.#takesCode(from, code)) continue
			let index = next[from] as number
			for (let depth = 0; ; ) {
				if (marks[index] !== generation) {
					marks[index] = generation
					const kind = kinds[index]
					if (kind === KIND.char) reached[reachedCount++] = index
					else if (kind === KIND.split) {
						open[depth++] = other[index] as number
						index = next[index] as number
						continue
					} else if (kind === KIND.match) matched = true
				}
				if (depth === 0) break
				index = open[--depth] as number
			}
		}
		this.#count = reachedCount
		return matched
	}

	#targets(nodes: Int32Array, count: number, code: number): number[] {
		const targets = [this.#entry]
		for (let i = 0; i < count; i++) {
			const index = nodes[i] as number
			if (this.#takesCode(index, code)) targets.push(this.#next[index] as number)
		}
		return targets
	}

	/** Whether the pattern has matched at `entries` if the text ends there. */
	#endsFrom(entries: readonly number[], atBegin: boolean): boolean {
		this.#begin()
		let matched = false
		for (const entry of entries) if (this.#add(entry, atBegin, true)) matched = true
		return matched
	}

	#begin(): void {
		// A wrapped generation must not equal an old mark.
		if (++this.#generation > 0xffffffff) {
			this.#generation = 1
			this.#marks.fill(0)
		}
		this.#count = 0
	}

	/** Adds all that `entry` reaches without a character; true when `match` is among it. */
	#add(entry: number, atBegin: boolean, atEnd: boolean): boolean {
		const marks = this.#marks
		const open = this.#open
		const kinds = this.#kinds
		const generation = this.#generation
		let depth = 0
		let matched = false
		open[depth++] = entry
		while (depth > 0) {
			const index = open[--depth] as number
			if (marks[index] === generation) continue
			marks[index] = generation
			const kind = kinds[index]
			if (kind === KIND.char) this.#reached[this.#count++] = index
			else if (kind === KIND.split) {
				open[depth++] = this.#other[index] as number
				open[depth++] = this.#next[index] as number
			} else if (kind === KIND.match) matched = true
			else if (kind === KIND.begin ? atBegin : atEnd) open[depth++] = this.#next[index] as number
		}
		return matched
	}

	#remember(matched: boolean, matchedAtEnd: boolean): NodeSet {
		const nodes = this.#reached.slice(0, this.#count).sort()
		const key = `${matched ? 'm' : ''}${matchedAtEnd ? 'e' : ''}${nodes.join()}`
		const known = this.#sets.get(key)
		if (known !== undefined) return known
		const set: NodeSet = { nodes, matched, matchedAtEnd: matched || matchedAtEnd, next: [] }
		this.#sets.set(key, set)
		return set
	}
}
