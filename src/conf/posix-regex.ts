/**
 * POSIX regular expressions, basic and extended, to a nondeterministic automaton. Source: regex(7), with `\+ \? \|` of
 * GNU in basic ones and `\w \W \s \S` in both. Back references and word borders are refused: they need backtracking.
 *
 * The patterns come from containers, so no pattern may cost more than its size: nodes are counted while they are made
 * (also those of `a{255}`), and `automaton.ts` looks at each node at most once a character.
 */
import { type CharacterSet, singleSet, unionSet } from './character-set.ts'

/** `char`: one character of `set`. `split`: either way. `begin`, `end`: only there. Indexes are into `nodes`. */
export type Node =
	| { readonly kind: 'char'; readonly set: CharacterSet; next: number }
	| { readonly kind: 'split'; next: number; other: number }
	| { readonly kind: 'begin' | 'end'; next: number }
	| { readonly kind: 'match' }

export interface Automaton {
	readonly nodes: readonly Node[]
	readonly start: number
}
export interface RegexOptions {
	readonly extended: boolean
	readonly ignoreCase: boolean
	readonly nodes: number
}

/** The automaton, or what is wrong with the pattern, in words that continue "the pattern has ...". */
export function parseRegex(pattern: string, options: RegexOptions): Automaton | { readonly problem: string } {
	const tokens = new Reader(pattern, options)
	const tree = tokens.alternation(0)
	if (tokens.problem === '' && !tokens.atEnd()) tokens.problem = 'a closing parenthesis without an opening one'
	if (tokens.problem !== '') return { problem: tokens.problem }
	const builder = new Builder(options.nodes)
	const match = builder.add({ kind: 'match' })
	const start = builder.emit(tree, match)
	if (builder.exhausted) return { problem: `more than the ${options.nodes} states allowed` }
	return { nodes: builder.nodes, start }
}

type Tree =
	| { kind: 'set'; set: CharacterSet }
	| { kind: 'begin' | 'end' }
	| { kind: 'sequence'; parts: Tree[] }
	| { kind: 'alternatives'; parts: Tree[] }
	| { kind: 'repeat'; part: Tree; min: number; max: number }

const RE_DUP_MAX = 255
const DEEPEST = 32

/** Recursive descent; the first problem found stops it, since every loop looks at `problem`. */
class Reader {
	problem = ''
	#at = 0
	readonly #text: string
	readonly #extended: boolean
	readonly #ignoreCase: boolean

	constructor(text: string, options: RegexOptions) {
		this.#text = text
		this.#extended = options.extended
		this.#ignoreCase = options.ignoreCase
	}

	atEnd(): boolean {
		return this.#at >= this.#text.length
	}

	alternation(depth: number): Tree {
		if (depth > DEEPEST) this.problem = `more than ${DEEPEST} nested groups`
		const parts = [this.#sequence(depth)]
		while (this.problem === '' && this.#take('|')) parts.push(this.#sequence(depth))
		return parts.length === 1 ? (parts[0] as Tree) : { kind: 'alternatives', parts }
	}

	#sequence(depth: number): Tree {
		const parts: Tree[] = []
		while (this.problem === '' && !this.atEnd() && !this.#sees('|') && !this.#sees(')')) {
			const atom = this.#atom(depth, parts.length === 0)
			parts.push(this.#repeated(atom))
		}
		return { kind: 'sequence', parts }
	}

	#atom(depth: number, first: boolean): Tree {
		if (this.#take('(')) {
			const inner = this.alternation(depth + 1)
			if (this.problem === '' && !this.#take(')')) this.problem = 'an opening parenthesis without a closing one'
			return inner
		}
		// In a basic expression `*` at the start is itself, and the anchors are anchors only at the ends.
		const repeats = '*+?{'.split('').find(sign => this.#sees(sign))
		if (repeats !== undefined && (this.#extended || (first && repeats !== '*'))) {
			this.problem = `nothing before "${repeats}" to repeat`
		}
		const character = this.#next()
		if (character === '^' && (this.#extended || first)) return { kind: 'begin' }
		if (character === '$' && (this.#extended || this.#atSequenceEnd())) return { kind: 'end' }
		if (character === '.') return { kind: 'set', set: { ascii: EVERY_ASCII, ranges: [[0x80, 0xffff]] } }
		if (character === '[') return { kind: 'set', set: this.#bracket() }
		if (character === '\\') return { kind: 'set', set: this.#escape() }
		return { kind: 'set', set: singleSet(character.charCodeAt(0), this.#ignoreCase) }
	}

	#repeated(atom: Tree): Tree {
		// `^*` in a basic expression is an anchor and an asterisk.
		if (!this.#extended && atom.kind === 'begin') return atom
		let tree = atom
		while (this.problem === '') {
			if (this.#take('*')) tree = { kind: 'repeat', part: tree, min: 0, max: Number.POSITIVE_INFINITY }
			else if (this.#take('+')) tree = { kind: 'repeat', part: tree, min: 1, max: Number.POSITIVE_INFINITY }
			else if (this.#take('?')) tree = { kind: 'repeat', part: tree, min: 0, max: 1 }
			else if (this.#take('{')) tree = this.#interval(tree)
			else break
		}
		return tree
	}

	#interval(part: Tree): Tree {
		const close = this.#extended ? '}' : '\\}'
		const end = this.#text.indexOf(close, this.#at)
		const [, low = '', comma, high = ''] = /^([0-9]{0,4})(,?)([0-9]{0,4})$/.exec(this.#text.slice(this.#at, end)) ?? []
		const min = low === '' ? 0 : Number(low)
		const max = comma !== ',' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high)
		const bounded = max === Number.POSITIVE_INFINITY ? min : max
		if (end < 0 || comma === undefined || (low === '' && comma === '') || bounded > RE_DUP_MAX || min > max) {
			this.problem = `a repetition other than {N}, {N,} or {N,M} with numbers up to ${RE_DUP_MAX}`
		}
		this.#at = end + close.length
		return { kind: 'repeat', part, min, max }
	}

	#escape(): CharacterSet {
		if (this.atEnd()) this.problem = 'a backslash at its end'
		const character = this.#next()
		if (/[1-9]/.test(character)) this.problem = 'a back reference, which is not supported'
		if (/[<>bB`']/.test(character)) this.problem = `"\\${character}", which is not supported`
		const known = ESCAPES[character]
		return known ?? singleSet(character.charCodeAt(0), this.#ignoreCase)
	}

	#bracket(): CharacterSet {
		const negated = this.#text[this.#at] === '^'
		if (negated) this.#at++
		const sets: CharacterSet[] = []
		for (let first = true; this.problem === ''; first = false) {
			if (this.atEnd()) this.problem = 'a "[" without "]"'
			else if (this.#text[this.#at] === ']' && !first) break
			else sets.push(this.#bracketMember())
		}
		this.#at++
		return unionSet(sets, negated, this.#ignoreCase)
	}

	#bracketMember(): CharacterSet {
		const named = /^\[:([a-z]*):\]/.exec(this.#text.slice(this.#at, this.#at + 12))
		if (named !== null) {
			this.#at += named[0].length
			const ascii = Object.hasOwn(CLASSES, named[1] ?? '') ? CLASSES[named[1] ?? ''] : undefined
			if (ascii === undefined) this.problem = `an unknown character class "${named[1]}"`
			return { ascii: ascii ?? NO_ASCII, ranges: [] }
		}
		const low = this.#bracketCharacter()
		if (this.#text[this.#at] !== '-' || this.#text[this.#at + 1] === ']' || this.#at + 1 >= this.#text.length) {
			return { ascii: NO_ASCII, ranges: [[low, low]] }
		}
		this.#at++
		const high = this.#bracketCharacter()
		if (high < low) this.problem = 'a range in brackets that ends before it starts'
		return { ascii: NO_ASCII, ranges: [[low, high]] }
	}

	/** One character, also as `[.x.]` or `[=x=]`: there are no longer collating elements here. */
	#bracketCharacter(): number {
		const collating = /^\[([.=])(.)\1\]/s.exec(this.#text.slice(this.#at, this.#at + 5))
		if (collating === null) {
			if (/^\[[.=:]/.test(this.#text.slice(this.#at, this.#at + 2)))
				this.problem = 'a collating element, which is not supported'
			return this.#next().charCodeAt(0)
		}
		this.#at += collating[0].length
		return (collating[2] ?? '').charCodeAt(0)
	}

	#next(): string {
		return this.#text[this.#at++] ?? '\0'
	}

	/** The operator as this dialect writes it: with a backslash in basic expressions, except for `*`. */
	#spelled(operator: string): string {
		return this.#extended || operator === '*' ? operator : `\\${operator}`
	}

	#sees(operator: string): boolean {
		return this.#text.startsWith(this.#spelled(operator), this.#at)
	}

	#take(operator: string): boolean {
		if (!this.#sees(operator)) return false
		this.#at += this.#spelled(operator).length
		return true
	}

	#atSequenceEnd(): boolean {
		return this.atEnd() || this.#sees('|') || this.#sees(')')
	}
}

/** Builds from the end to the start: each part knows what follows it. */
class Builder {
	readonly nodes: Node[] = []
	exhausted = false
	readonly #limit: number
	#steps = 0

	constructor(limit: number) {
		this.#limit = limit
	}

	add(node: Node): number {
		if (this.nodes.length >= this.#limit) this.exhausted = true
		else this.nodes.push(node)
		return this.nodes.length - 1
	}

	/** Nodes for `tree`, followed by node `next`: the index to enter at. */
	emit(tree: Tree, next: number): number {
		// An empty group makes no node however often it is repeated: count steps too.
		if (++this.#steps > this.#limit * 8) this.exhausted = true
		if (this.exhausted) return next
		switch (tree.kind) {
			case 'set':
				return this.add({ kind: 'char', set: tree.set, next })
			case 'begin':
			case 'end':
				return this.add({ kind: tree.kind, next })
			case 'sequence':
				return tree.parts.reduceRight((following, part) => this.emit(part, following), next)
			case 'alternatives':
				return tree.parts
					.map(part => this.emit(part, next))
					.reduceRight((other, entry) => this.add({ kind: 'split', next: entry, other }))
			case 'repeat':
				return this.#emitRepeat(tree.part, tree.min, tree.max, next)
		}
	}

	#emitRepeat(part: Tree, min: number, max: number, next: number): number {
		let entry = next
		if (max === Number.POSITIVE_INFINITY) {
			const loop: Node = { kind: 'split', next, other: next }
			entry = this.add(loop)
			loop.next = this.emit(part, entry)
		} else {
			for (let i = min; i < max && !this.exhausted; i++) {
				entry = this.add({ kind: 'split', next: this.emit(part, entry), other: next })
			}
		}
		for (let i = 0; i < min && !this.exhausted; i++) entry = this.emit(part, entry)
		return entry
	}
}

/** Tables over ASCII, one byte a character. */
function asciiTable(holds: (character: string) => boolean): Uint8Array {
	return Uint8Array.from({ length: 128 }, (_, code) => (holds(String.fromCharCode(code)) ? 1 : 0))
}
function asciiClass(pattern: RegExp): Uint8Array {
	return asciiTable(character => pattern.test(character))
}

const NO_ASCII = asciiTable(() => false)
const EVERY_ASCII = asciiTable(() => true)

/** As in the C locale. */
const CLASSES: Readonly<Record<string, Uint8Array>> = {
	alnum: asciiClass(/[A-Za-z0-9]/),
	alpha: asciiClass(/[A-Za-z]/),
	blank: asciiClass(/[ \t]/),
	cntrl: asciiClass(/\p{Cc}/u),
	digit: asciiClass(/[0-9]/),
	graph: asciiClass(/[!-~]/),
	lower: asciiClass(/[a-z]/),
	print: asciiClass(/[ -~]/),
	punct: asciiClass(/[!-/:-@[-`{-~]/),
	space: asciiClass(/[\t-\r ]/),
	upper: asciiClass(/[A-Z]/),
	xdigit: asciiClass(/[0-9A-Fa-f]/),
}

const BEYOND_ASCII: CharacterSet['ranges'] = [[0x80, 0xffff]]
const ESCAPES: Readonly<Record<string, CharacterSet>> = {
	w: { ascii: asciiClass(/\w/), ranges: [] },
	W: { ascii: asciiClass(/\W/), ranges: BEYOND_ASCII },
	s: { ascii: asciiClass(/[\t-\r ]/), ranges: [] },
	S: { ascii: asciiClass(/[^\t-\r ]/), ranges: BEYOND_ASCII },
}
