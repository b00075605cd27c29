/**
 * Copy message bytes into a line of a log file so that one record stays one line.
 *
 * Source of truth: sysklogd 2.7 syslogd.c, `parsemsg_remove_unsafe_characters`: a newline becomes a space, any other control
 * but tab becomes `^X`, DEL becomes `^?`; tab and bytes from 0x80 on stay. Invariant: no newline comes out, and doing it
 * twice is the same as doing it once. Hot path.
 */
import { BYTE_CLASS, UNSAFE } from './byte-class.ts'

/** Copy `start` to `end` and answer the position behind the copy; at most twice as many bytes come out. */
export function copySanitised(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
	let position = at
	for (let index = start; index < end; index++) {
		const byte = source[index] as number
		if (((BYTE_CLASS[byte] as number) & UNSAFE) === 0) {
			target[position++] = byte
		} else if (byte === NEWLINE) {
			target[position++] = SPACE
		} else {
			target[position++] = CARET
			target[position++] = byte ^ 0x40
		}
	}
	return position
}

/** How many bytes `copySanitised` writes. */
export function sanitisedBytes(source: Uint8Array, start: number, end: number): number {
	let count = end - start
	for (let index = start; index < end; index++) {
		const byte = source[index] as number
		if (((BYTE_CLASS[byte] as number) & UNSAFE) !== 0 && byte !== NEWLINE) count++
	}
	return count
}

/** Whether `copySanitised` would change any byte. */
export function isSafe(source: Uint8Array, start: number, end: number): boolean {
	for (let index = start; index < end; index++) {
		if (((BYTE_CLASS[source[index] as number] as number) & UNSAFE) !== 0) return false
	}
	return true
}

/** Copy bytes as they are and answer the position behind them: faster than `set` for the few bytes of a tag. */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
	let position = at
	for (let index = start; index < end; index++) target[position++] = source[index] as number
	return position
}

/** A host name as the bytes of one word: what would split a line or a field becomes `?`, an empty one `-`. */
export function hostnameBytes(hostname: string): Uint8Array {
	const bytes = new TextEncoder().encode(hostname)
	if (bytes.length === 0) return Uint8Array.of(DASH)
	return bytes.map(byte => (byte <= SPACE || byte === DEL ? QUESTION : byte))
}

const NEWLINE = 0x0a
const SPACE = 0x20
const DASH = 0x2d
const QUESTION = 0x3f
const CARET = 0x5e
const DEL = 0x7f
