/**
 * Runs a regular expression over a text: all ways at once (Thompson's simulation), so that the time is bounded by
 * characters times nodes whatever pattern and text are.
 *
 * Sets of nodes met before are remembered with what follows them (a DFA built as it is needed), which makes an ordinary
 * match one look-up a character. A pattern that meets too many sets is simulated node by node from then on.
 */
import { contains } from './character-set.ts'
import type { Automaton, Node } from './posix-regex.ts'

/** Sets remembered for one pattern: at most about 1 KB each. */
const REMEMBERED_SETS = 64

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
	readonly #sets = new Map<string, NodeSet>()
	readonly #start: NodeSet
	/** The closure being built: `#reached[0..#count)`; a node is in it when its mark is the current generation. */
	readonly #reached: Int32Array
	readonly #marks: Uint32Array
	readonly #open: Int32Array
	#generation = 0
	#count = 0

	constructor(automaton: Automaton) {
		this.#nodes = automaton.nodes
		this.#entry = automaton.start
		this.#reached = new Int32Array(automaton.nodes.length)
		this.#marks = new Uint32Array(automaton.nodes.length)
		// Each node met opens at most two.
		this.#open = new Int32Array(2 * automaton.nodes.length + 2)
		const ends = this.#endsFrom([this.#entry], true)
		this.#begin()
		this.#start = this.#remember(this.#add(this.#entry, true, false), ends)
	}

	/** Whether the pattern is found anywhere in the text. */
	test(text: string): boolean {
		let set = this.#start
		for (let i = 0; i < text.length; i++) {
			if (set.matched) return true
			const code = text.charCodeAt(i)
			let following = code < 128 ? set.next[code] : undefined
			if (following === undefined) {
				if (this.#sets.size >= REMEMBERED_SETS) return this.#simulate(set.nodes, text, i)
				following = this.#follow(set, code)
				if (code < 128) set.next[code] = following
			}
			set = following
		}
		return set.matched || set.matchedAtEnd
	}

	/** Node by node, from a set that is not matched yet. */
	#simulate(nodes: Int32Array, text: string, from: number): boolean {
		let current = nodes
		for (let i = from; i < text.length; i++) {
			const matched = this.#step(current, text.charCodeAt(i))
			if (matched) return true
			if (i + 1 === text.length) return this.#endsFrom(this.#targets(current, text.charCodeAt(i)), false)
			current = this.#reached.slice(0, this.#count)
		}
		return false
	}

	#follow(set: NodeSet, code: number): NodeSet {
		const ends = this.#endsFrom(this.#targets(set.nodes, code), false)
		return this.#remember(this.#step(set.nodes, code), ends)
	}

	/** Closes what follows `nodes` by `code` into `#reached`; true when the pattern has matched. */
	#step(nodes: Int32Array, code: number): boolean {
		this.#begin()
		// The search may begin at every character: the entry is always among the ways.
		let matched = this.#add(this.#entry, false, false)
		for (const index of nodes) {
			const node = this.#nodes[index] as Node
			if (node.kind === 'char' && contains(node.set, code) && this.#add(node.next, false, false)) matched = true
		}
		return matched
	}

	#targets(nodes: Int32Array, code: number): number[] {
		const targets = [this.#entry]
		for (const index of nodes) {
			const node = this.#nodes[index] as Node
			if (node.kind === 'char' && contains(node.set, code)) targets.push(node.next)
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
		let depth = 0
		let matched = false
		this.#open[depth++] = entry
		while (depth > 0) {
			const index = this.#open[--depth] as number
			if (this.#marks[index] === this.#generation) continue
			this.#marks[index] = this.#generation
			const node = this.#nodes[index] as Node
			if (node.kind === 'char') this.#reached[this.#count++] = index
			else if (node.kind === 'match') matched = true
			else if (node.kind === 'split') {
				this.#open[depth++] = node.other
				this.#open[depth++] = node.next
			} else if (node.kind === 'begin' ? atBegin : atEnd) this.#open[depth++] = node.next
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
