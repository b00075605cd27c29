/**
 * Runs a regular expression over a text: all ways at once (Thompson's simulation), so that the time is bounded by
 * characters times nodes whatever pattern and text are. Sets of nodes met before are remembered with what follows them
 * (a DFA built as it is needed), which makes an ordinary match one look-up a character.
 */
import { contains } from './character-set.ts'
import type { Automaton, Node } from './posix-regex.ts'

/** Sets remembered for one pattern; when there are more they are all forgotten, and memory stays bounded. */
const REMEMBERED_SETS = 64

interface NodeSet {
	/** `char` and `end` nodes, closed under the empty moves. */
	readonly nodes: readonly number[]
	readonly matched: boolean
	readonly matchedAtEnd: boolean
	readonly next: (NodeSet | undefined)[]
}

export class Matcher {
	readonly #nodes: readonly Node[]
	readonly #entry: number
	readonly #start: NodeSet
	#sets = new Map<string, NodeSet>()

	constructor(automaton: Automaton) {
		this.#nodes = automaton.nodes
		this.#entry = automaton.start
		this.#start = this.#toSet([this.#entry], true)
	}

	/** Whether the pattern is found anywhere in the text. */
	test(text: string): boolean {
		let set = this.#start
		for (let i = 0; i < text.length; i++) {
			if (set.matched) return true
			const code = text.charCodeAt(i)
			const known = code < 128 ? set.next[code] : undefined
			if (known !== undefined) {
				set = known
				continue
			}
			const following = this.#step(set, code)
			if (code < 128) set.next[code] = following
			set = following
		}
		return set.matched || set.matchedAtEnd
	}

	#step(set: NodeSet, code: number): NodeSet {
		// The search may begin at every character: the entry is always among the ways.
		const targets = [this.#entry]
		for (const index of set.nodes) {
			const node = this.#nodes[index] as Node
			if (node.kind === 'char' && contains(node.set, code)) targets.push(node.next)
		}
		return this.#toSet(targets, false)
	}

	#toSet(entries: readonly number[], atBegin: boolean): NodeSet {
		const { reached, matched } = this.#close(entries, atBegin, false)
		const nodes = reached.filter(index => this.#nodes[index]?.kind === 'char').sort((a, b) => a - b)
		const matchedAtEnd = matched || this.#close(entries, atBegin, true).matched
		const key = `${matched ? 'm' : ''}${matchedAtEnd ? 'e' : ''}${nodes.join()}`
		const known = this.#sets.get(key)
		if (known !== undefined) return known
		if (this.#sets.size >= REMEMBERED_SETS) this.#forget()
		const set: NodeSet = { nodes, matched, matchedAtEnd, next: [] }
		this.#sets.set(key, set)
		return set
	}

	/** Everything reached without a character. */
	#close(entries: readonly number[], atBegin: boolean, atEnd: boolean): { reached: number[]; matched: boolean } {
		const seen = new Set<number>()
		const open = [...entries]
		let matched = false
		while (open.length > 0) {
			const index = open.pop() as number
			if (seen.has(index)) continue
			seen.add(index)
			const node = this.#nodes[index] as Node
			if (node.kind === 'match') matched = true
			else if (node.kind === 'split') open.push(node.next, node.other)
			else if ((node.kind === 'begin' && atBegin) || (node.kind === 'end' && atEnd)) open.push(node.next)
		}
		return { reached: [...seen], matched }
	}

	#forget(): void {
		// Sets in hand keep their links; cutting those of the start lets all others go.
		this.#sets = new Map()
		this.#start.next.length = 0
	}
}
