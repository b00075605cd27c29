/**
 * Physical lines to logical lines: a line that ends in a backslash goes on in the next one, whose leading blanks are
 * dropped. Source: syslog.conf(5) of sysklogd 2.7; a comment between the two is skipped, as its parser does.
 *
 * Text is held as one character a byte (latin1), so that an offset is a byte offset; every byte of a logical line can
 * name the physical line and column that it came from.
 */

export interface LogicalLine {
	/** Without leading and trailing blanks; one character a byte. */
	readonly text: string
	/** Physical line and column, from 1, of the byte at `offset`. */
	placeAt(offset: number): { line: number; column: number }
}

/** Bytes as text of one character a byte. */
export function latin1Of(text: string | Uint8Array): string {
	const bytes =
		typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text.buffer, text.byteOffset, text.length)
	return bytes.toString('latin1')
}

/** Characters that stand for bytes, read as UTF-8. */
export function utf8Of(latin1: string): string {
	return Buffer.from(latin1, 'latin1').toString('utf8')
}

/** Physical lines that may pass without a logical one. */
const PASSED_AT_ONCE = 64

/**
 * Logical lines that are neither empty nor comments, in order. `#!`, `#+`, `#-` and `#:` open block lines, not comments. Null now and
 * then while there are none, so that a text of comments is passed in steps too.
 */
export function* logicalLines(text: string): Generator<LogicalLine | null> {
	let pieces: Piece[] = []
	let joined = ''
	let number = 0
	for (let start = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0; start < text.length; ) {
		let end = text.indexOf('\n', start)
		if (end < 0) end = text.length
		const base = number === 0 ? 0 : start
		number++
		if (number % PASSED_AT_ONCE === 0) yield null
		let from = start
		let to = end
		while (from < to && isBlank(text.charCodeAt(from))) from++
		while (to > from && isBlank(text.charCodeAt(to - 1))) to--
		start = end + 1
		if (from === to || isComment(text, from, to)) continue
		pieces.push({ offset: joined.length, line: number, column: from - base + 1 })
		if (text.charCodeAt(to - 1) === BACKSLASH) {
			joined += text.slice(from, to - 1)
			continue
		}
		yield toLine(joined + text.slice(from, to), pieces)
		pieces = []
		joined = ''
	}
	if (pieces.length > 0 && joined.trim() !== '') yield toLine(joined.trimEnd(), pieces)
}

interface Piece {
	offset: number
	line: number
	column: number
}

const BYTE_ORDER_MARK = '\xef\xbb\xbf'
const BACKSLASH = 0x5c

function isBlank(code: number): boolean {
	return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}

function isComment(text: string, from: number, to: number): boolean {
	return text[from] === '#' && (to - from === 1 || !'!+-:'.includes(text.charAt(from + 1)))
}

function toLine(text: string, pieces: readonly Piece[]): LogicalLine {
	return {
		text,
		placeAt: offset => {
			let found = pieces[0] as Piece
			for (const piece of pieces) if (piece.offset <= offset) found = piece
			return { line: found.line, column: found.column + offset - found.offset }
		},
	}
}
