/**
 * What is wrong inside one line, before it is known where the line stands. Parsers of parts return it; `parse.ts` turns
 * it into a Diagnostic.
 *
 * Quoted text is shown as it is except for what would garble a log line: control bytes and bytes that are not UTF-8.
 */
import { utf8Of } from './lines.ts'

export interface Fault {
	/** Byte offset in the logical line. */
	readonly offset: number
	/** Sentence case, no full stop; says what was expected. */
	readonly fault: string
}

/** Makes a fault. */
export function fault(offset: number, message: string): Fault {
	return { offset, fault: message }
}

/** True for a fault, whatever the other possible results are. */
export function isFault(value: object): value is Fault {
	return 'fault' in value
}

/** Text of one character a byte, quoted for a message, at most 64 characters of it. */
export function quote(latin1: string): string {
	const text = utf8Of(latin1)
	const shown = text.length > 64 ? `${text.slice(0, 61)}...` : text
	return `"${shown.replace(/[\p{Cc}\u2028\u2029]/gu, toHex)}"`
}

/** `a, b or c`. */
export function alternatives(names: readonly string[]): string {
	return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

function toHex(character: string): string {
	return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}
