/**
 * Drain: groups log lines into events by a tree of fixed depth, one pass, one line at a time.
 *
 * After He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree" (ICWS 2017): lines go by their number
 * of tokens, then by their first tokens, to a list of groups; there the most similar template takes the line, or a new one is made.
 * Where a template and a line differ, the template has a wildcard. Invariant: every line belongs to exactly one group, and a group's
 * template matches all its lines.
 */

const WILDCARD = '<*>'

export interface Group {
	readonly id: number
	/** Tokens; a wildcard where the lines differ. */
	readonly template: string[]
	lines: number
}

interface Node {
	readonly children: Map<string, Node>
	readonly groups: Group[]
}

export interface DrainOptions {
	/** Tokens that lead to a leaf; the paper's depth less 2. */
	readonly leadingTokens?: number
	/** Share of a template's fixed tokens that a line must have to belong to it. */
	readonly similarity?: number
	/** Children of a node; further tokens go the wildcard's way. */
	readonly maxChildren?: number
}

const newNode = (): Node => ({ children: new Map(), groups: [] })

/** Whether a token is likely to be a parameter: it has a digit. */
const varies = (token: string): boolean => /\d/.test(token)

export class Drain {
	readonly #root = newNode()
	readonly #groups: Group[] = []
	readonly #leadingTokens: number
	readonly #similarity: number
	readonly #maxChildren: number

	constructor({ leadingTokens = 2, similarity = 0.5, maxChildren = 100 }: DrainOptions = {}) {
		this.#leadingTokens = leadingTokens
		this.#similarity = similarity
		this.#maxChildren = maxChildren
	}

	get groups(): readonly Group[] {
		return this.#groups
	}

	/** The group that a line belongs to, made when there is none. */
	add(line: string): Group {
		const tokens = line.trim().split(/\s+/)
		const leaf = this.#leaf(tokens)
		const found = this.#best(leaf.groups, tokens)
		if (found === undefined) {
			const group = {
				id: this.#groups.length,
				template: tokens.map(token => (varies(token) ? WILDCARD : token)),
				lines: 1,
			}
			this.#groups.push(group)
			leaf.groups.push(group)
			return group
		}
		for (const [at, token] of tokens.entries()) if (found.template[at] !== token) found.template[at] = WILDCARD
		found.lines++
		return found
	}

	#leaf(tokens: readonly string[]): Node {
		let node = this.#child(this.#root, String(tokens.length), Number.POSITIVE_INFINITY)
		for (const token of tokens.slice(0, this.#leadingTokens))
			node = this.#child(node, varies(token) ? WILDCARD : token, this.#maxChildren)
		return node
	}

	#child(node: Node, key: string, most: number): Node {
		const there = node.children.get(key)
		if (there !== undefined) return there
		const made = node.children.size < most ? key : WILDCARD
		const child = node.children.get(made) ?? newNode()
		node.children.set(made, child)
		return child
	}

	/** The most similar group that is similar enough; among equals the one with more wildcards, as in the paper. */
	#best(groups: readonly Group[], tokens: readonly string[]): Group | undefined {
		let best: Group | undefined
		let [bestSame, bestWild] = [-1, -1]
		for (const group of groups) {
			let [same, wild] = [0, 0]
			for (const [at, token] of tokens.entries()) {
				if (group.template[at] === WILDCARD) wild++
				else if (group.template[at] === token) same++
			}
			if (same > bestSame || (same === bestSame && wild > bestWild)) [best, bestSame, bestWild] = [group, same, wild]
		}
		return best !== undefined && bestSame >= this.#similarity * (tokens.length - bestWild) ? best : undefined
	}
}
