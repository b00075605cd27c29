/**
 * From method and request target to a call: RFC 9112 section 3.2 (request target), RFC 9110 section 15.5 (404, 405).
 *
 * Invariant: every target has an answer, a call or an HTTP status with a message; nothing is thrown.
 */
import { CALLS } from './calls.ts'
import type { CallName } from './calls.ts'

export interface Route {
	call: CallName
	params: { name: string }
	query: Record<string, string>
}
export interface NoRoute {
	status: 400 | 404 | 405
	message: string
	/** Methods that the path has, for the Allow header. */
	allow: string[]
}

const PATTERNS = (Object.keys(CALLS) as CallName[]).map(call => ({
	call,
	method: CALLS[call].method,
	path: CALLS[call].path,
	segments: CALLS[call].path.slice(1).split('/'),
}))

/** Finds the call of a request. A query key given more than once has its values joined by a comma. */
export function findRoute(method: string, target: string): Route | NoRoute {
	// A proxy may send the absolute form.
	const relative = target.replace(/^https?:\/\/[^/?]*/i, '')
	const mark = relative.indexOf('?')
	const path = mark === -1 ? relative : relative.slice(0, mark)
	const segments = decodeSegments(path)
	if (segments === undefined) {
		return { status: 400, message: `Cannot decode the path "${shown(path)}": bad percent escape`, allow: [] }
	}
	const matching = PATTERNS.filter(pattern => matches(pattern.segments, segments))
	const found = matching.find(pattern => pattern.method === method)
	if (found !== undefined) {
		return { call: found.call, params: { name: nameIn(found.segments, segments) }, query: parseQuery(relative, mark) }
	}
	if (matching.length > 0) {
		const allow = matching.map(pattern => pattern.method)
		return { status: 405, message: `Cannot ${shown(method)} ${shown(path)}: expected ${allow.join(' or ')}`, allow }
	}
	const near = nearRoutes(method, path)
	return { status: 404, message: `No route ${shown(method)} ${shown(path)}: near are ${near.join(', ')}`, allow: [] }
}

function decodeSegments(path: string): string[] | undefined {
	try {
		return path.replace(/^\//, '').split('/').map(decodeURIComponent)
	} catch {
		return undefined
	}
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
	return (
		pattern.length === segments.length &&
		pattern.every((part, index) => (part === ':name' ? segments[index] !== '' : part === segments[index]))
	)
}

function nameIn(pattern: readonly string[], segments: readonly string[]): string {
	const at = pattern.indexOf(':name')
	return at === -1 ? '' : (segments[at] ?? '')
}

function parseQuery(target: string, mark: number): Record<string, string> {
	const values = new Map<string, string>()
	if (mark !== -1) {
		for (const [key, value] of new URLSearchParams(target.slice(mark + 1))) {
			const before = values.get(key)
			values.set(key, before === undefined ? value : `${before},${value}`)
		}
	}
	return Object.fromEntries(values)
}

/** The three routes with most in common, the same method first. */
function nearRoutes(method: string, path: string): string[] {
	const words = new Set(path.toLowerCase().split(/[^a-z0-9]+/))
	const score = (pattern: (typeof PATTERNS)[number]): number => {
		const kin = pattern.segments.filter(
			part => words.has(part) || words.has(`${part}s`) || words.has(part.slice(0, -1)),
		)
		return (
			kin.length * 10 -
			Math.abs(pattern.segments.length - path.split('/').length + 1) +
			(pattern.method === method ? 1 : 0)
		)
	}
	return PATTERNS.toSorted((one, other) => score(other) - score(one))
		.slice(0, 3)
		.map(pattern => `${pattern.method} ${pattern.path}`)
}

/** What a client sent, safe and short enough to be repeated to it. */
export function shown(text: string): string {
	const printable = text.replace(/[^\x20-\x7e]/g, '?')
	return printable.length > 100 ? `${printable.slice(0, 100)}...` : printable
}
