/**
 * JSON (RFC 8259) whose errors say where.
 *
 * `JSON.parse` of Node 20 tells no position for most errors; when it has refused a text, the scanner below finds the first
 * byte that no valid text can continue with. It never recurses, so that depth costs memory, not stack.
 */

export interface Parsed {
	value: unknown
}
export interface JsonProblem {
	/** `line 3, column 7: expected a value`. */
	problem: string
}

/** Parses a text; empty text is a problem like any other. */
export function parseJson(text: string): Parsed | JsonProblem {
	try {
		return { value: JSON.parse(text) as unknown }
	} catch {
		const { offset, expected } = firstProblem(text)
		const before = text.slice(0, offset).split('\n')
		return { problem: `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: expected ${expected}` }
	}
}

const BLANK = /[ \t\r\n]*/y
const SCALAR = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const STRING_PART = /(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y

interface Problem {
	offset: number
	expected: string
}

function firstProblem(text: string): Problem {
	let offset = 0
	const take = (pattern: RegExp): number => {
		pattern.lastIndex = offset
		const taken = pattern.exec(text)?.[0].length ?? 0
		offset += taken
		return taken
	}
	/** Position after a string, or what is missing in it. */
	const string = (): string | undefined => {
		offset++
		take(STRING_PART)
		if (text[offset] === '"') {
			offset++
			return undefined
		}
		if (offset >= text.length) return 'the closing quote of a string'
		return text[offset] === '\\' ? 'a valid escape' : 'no control character in a string'
	}
	// What is open: a closing bracket each. `key` and `value`: what must come next.
	const open: string[] = []
	let next: 'value' | 'first value' | 'key' | 'first key' | 'after' = 'value'
	for (;;) {
		take(BLANK)
		const char = text[offset] ?? ''
		if (next === 'after') {
			const closing = open.at(-1)
			if (closing === undefined) return { offset, expected: 'the end' }
			if (char === closing) open.pop()
			else if (char === ',') next = closing === '}' ? 'key' : 'value'
			else return { offset, expected: `"," or "${closing}"` }
			offset++
		} else if (next === 'key' || next === 'first key') {
			if (char === '}' && next === 'first key') {
				open.pop()
				offset++
				next = 'after'
				continue
			}
			if (char !== '"') return { offset, expected: next === 'first key' ? 'a quoted key or "}"' : 'a quoted key' }
			const missing = string()
			if (missing !== undefined) return { offset, expected: missing }
			take(BLANK)
			if (text[offset] !== ':') return { offset, expected: '":"' }
			offset++
			next = 'value'
		} else if (char === ']' && next === 'first value') {
			open.pop()
			offset++
			next = 'after'
		} else if (char === '{' || char === '[') {
			open.push(char === '{' ? '}' : ']')
			next = char === '{' ? 'first key' : 'first value'
			offset++
		} else if (char === '"') {
			const missing = string()
			if (missing !== undefined) return { offset, expected: missing }
			next = 'after'
		} else {
			if (take(SCALAR) === 0) return { offset, expected: 'a value' }
			next = 'after'
		}
	}
}
