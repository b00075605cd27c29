/**
 * A syslog.conf, of sysklogd's dialect with the lines that Debian ships for rsyslog, to a Configuration. Source:
 * syslog.conf(5) of sysklogd 2.7.
 *
 * Invariants: any bytes in, never an exception; a line that cannot be used is skipped and told with its place, and the rest
 * goes on; nothing that is skipped may widen a discard, so that a fault never makes records disappear.
 */
import type { Diagnostic } from '../lib/diagnostic.ts'
import { finish, type Steps } from '../lib/steps.ts'
import { type ActionRead, parseAction } from './action.ts'
import { type Block, type BlockKind, parseBlock } from './blocks.ts'
import { type Configuration, DEFAULT_LIMITS, type Filter, type Limits, type Place, type Rule } from './configuration.ts'
import { Files } from './files.ts'
import { REGEX_SUBJECT, regexCharacters } from './filter.ts'
import { type Fault, fault, isFault, quote } from './fault.ts'
import { parseStatement, type Statement, scriptDepth } from './keywords.ts'
import { type LogicalLine, latin1Of, logicalLines, utf8Of } from './lines.ts'
import { parseRegex } from './posix-regex.ts'
import { parseSelector, type Selected } from './selector.ts'

export interface ParseOptions {
	/** The name that diagnostics give. */
	readonly file: string
	/** The files that a pattern names, in order. Absent: nothing can be included. */
	readonly include?: (pattern: string) => readonly IncludedFile[] | Steps<readonly IncludedFile[]>
	readonly limits?: Partial<Limits>
}
export interface IncludedFile {
	readonly file: string
	readonly text: string | Uint8Array
}

/** Never throws; `usable` is false when nothing of the text can be put in force. */
export function parseConfiguration(text: string | Uint8Array, options: ParseOptions): Configuration {
	return finish(parseInSteps(text, options))
}

/** The same, a line or so a step. */
export function parseInSteps(text: string | Uint8Array, options: ParseOptions): Steps<Configuration> {
	return new Parser(options).parse(text)
}

/** A rule until the end of the text is known: keywords below it may still concern its file. */
interface Draft {
	readonly place: Place
	readonly selected: Selected
	readonly filters: readonly Filter[]
	readonly read: ActionRead
}

/** What holds for one file only. */
interface Scope {
	readonly file: string
	readonly included: boolean
	readonly blocks: Map<BlockKind, Filter>
	/** Kinds whose last block was refused: what is below may be more than was meant. */
	readonly refusedBlocks: Set<BlockKind>
	/** The rule that `&` continues. */
	previous: Draft | null
	/** Whether the line before was refused. */
	refused: boolean
}

class Parser {
	readonly #options: ParseOptions
	readonly #limits: Limits
	readonly #diagnostics: Diagnostic[] = []
	#unshown = 0
	#errors = 0
	readonly #drafts: Draft[] = []
	readonly #files: Files
	readonly #filters = new Set<string>()
	#regexNodesLeft: number
	#textBytesLeft: number
	#includesLeft: number
	#statementsLeft: number
	/** Where the patterns together have more states than may look at a whole text. */
	#manyStates: Place | null = null
	#linesLeft: number

	constructor(options: ParseOptions) {
		this.#options = options
		this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
		this.#files = new Files(this.#limits.files)
		this.#regexNodesLeft = this.#limits.regexNodes
		this.#textBytesLeft = this.#limits.textBytes
		this.#includesLeft = this.#limits.includes
		this.#statementsLeft = this.#limits.includes
		this.#linesLeft = this.#limits.lines
	}

	*parse(text: string | Uint8Array): Steps<Configuration> {
		const { file } = this.#options
		const readable = yield* this.#parseFile(text, file, false)
		this.#warnOfStates()
		const rules = this.#drafts.map(draft => this.#finish(draft))
		const keywords = this.#files.keywords
		const usable = readable && !this.#hopeless() && (rules.length > 0 || this.#errors === 0)
		if (readable && rules.length === 0 && !usable) {
			this.#report('error', file, 1, 1, 'No line can be used, expected at least one rule')
		}
		if (this.#unshown > 0) {
			const { line = 1, column = 1, file: last = file } = this.#diagnostics.at(-1) ?? {}
			const rest = this.#hopeless() ? ', and the rest is not read' : ''
			const message = `Too many problems: ${this.#unshown} more are not shown${rest}`
			this.#diagnostics.push({ level: 'error', file: last, line, column, message })
		}
		return { rules, keywords, diagnostics: this.#diagnostics, usable }
	}

	/** False when the text as a whole is refused. */
	*#parseFile(bytes: string | Uint8Array, file: string, included: boolean): Steps<boolean> {
		const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
		if (length > this.#textBytesLeft) {
			this.#report('error', file, 1, 1, `Text is ${length} bytes long, expected at most ${this.#textBytesLeft}`)
			return false
		}
		this.#textBytesLeft -= length
		const text = latin1Of(bytes)
		const nul = text.indexOf('\0')
		if (nul >= 0) {
			const before = text.slice(0, nul)
			const line = before.split('\n').length
			this.#report('error', file, line, nul - before.lastIndexOf('\n'), 'Text has a NUL byte, expected none')
			return false
		}
		const scope = {
			file,
			included,
			blocks: new Map(),
			refusedBlocks: new Set<BlockKind>(),
			previous: null,
			refused: false,
		}
		yield* this.#parseLines(text, scope)
		return true
	}

	*#parseLines(text: string, scope: Scope): Steps<void> {
		let depth = 0
		let opened: LogicalLine | null = null
		for (const line of logicalLines(text)) {
			yield
			if (line === null) continue
			if (this.#hopeless()) return
			if (this.#linesLeft-- <= 0) {
				return this.#refuse(scope, line, fault(0, `Too many lines, expected at most ${this.#limits.lines}`))
			}
			if (depth > 0) {
				depth = scriptDepth(line.text, depth)
				continue
			}
			if (line.text.length > this.#limits.lineBytes) {
				const message = `Line is ${line.text.length} bytes long, expected at most ${this.#limits.lineBytes}`
				this.#refuse(scope, line, fault(0, message))
				continue
			}
			const statement = line.text.startsWith('#') ? null : parseStatement(line.text)
			if (statement === null) this.#parseRule(line, scope)
			else yield* this.#obey(statement, line, scope)
			if (statement?.kind !== 'script') continue
			depth = scriptDepth(line.text, 0)
			opened = line
		}
		if (depth > 0 && opened !== null)
			this.#refuse(scope, opened, fault(0, 'Statement is not closed, expected ")" or "}"'))
	}

	*#obey(statement: Statement, line: LogicalLine, scope: Scope): Steps<void> {
		const problem = 'fault' in statement ? statement.fault : undefined
		scope.previous = null
		scope.refused = false
		if (problem !== undefined) this.#refuse(scope, line, problem)
		else if (statement.kind === 'ignore' && statement.warning !== undefined) this.#warn(scope, line, statement.warning)
		else if (statement.kind === 'set') this.#files.set(statement.keyword, statement.value)
		else if (statement.kind === 'include') yield* this.#include(statement.pattern, statement.offset, line, scope)
	}

	*#include(pattern: string, offset: number, line: LogicalLine, scope: Scope): Steps<void> {
		if (scope.included) {
			return this.#refuse(scope, line, fault(offset, 'Included files cannot include others, expected rules'))
		}
		if (this.#options.include === undefined) {
			return this.#warn(scope, line, fault(offset, `Include of ${quote(pattern)} has no effect here`))
		}
		// What finds nothing costs as much.
		if (this.#statementsLeft-- <= 0) {
			return this.#refuse(scope, line, fault(offset, `Too many includes, expected at most ${this.#limits.includes}`))
		}
		const found = this.#options.include(utf8Of(pattern))
		for (const { text, file } of 'next' in found ? yield* found : found) {
			if (this.#includesLeft-- <= 0) {
				return this.#refuse(
					scope,
					line,
					fault(offset, `Too many included files, expected at most ${this.#limits.includes}`),
				)
			}
			yield* this.#parseFile(text, file, true)
		}
	}

	#parseRule(line: LogicalLine, scope: Scope): void {
		const { text } = line
		if (text.startsWith('&')) {
			if (scope.previous !== null) return this.#addRule(line, scope, scope.previous.selected, scope.previous.filters, 1)
			return this.#refuse(scope, line, fault(0, 'No usable rule above for "&" to continue'))
		}
		const block = parseBlock(text)
		if (block !== null && !isFault(block)) return this.#parseBlock(block, line, scope)
		if (block !== null) {
			const kind = text.startsWith('!') ? 'program' : text.startsWith(':') ? 'property' : 'hostname'
			return this.#refuseBlock(kind, line, scope, block)
		}
		if (text.startsWith('#')) return
		const bare = /^stop[ \t]*(?:#|$)/.test(text)
		const selected = bare ? { ...EVERYTHING, end: 0 } : parseSelector(text)
		if (isFault(selected)) return this.#refuse(scope, line, selected)
		this.#addRule(line, scope, selected, [...scope.blocks.values()], selected.end)
	}

	#parseBlock(block: Block, line: LogicalLine, scope: Scope): void {
		const { kind, filter } = block
		const { line: number } = line.placeAt(0)
		const problem = filter === null ? null : this.#admit(filter, block.valueOffset, { file: scope.file, line: number })
		if (block.end < line.text.length) {
			// A property filter of rsyslog: in place of the selector, for this line alone.
			if (problem !== null || filter === null)
				return this.#refuse(scope, line, problem ?? fault(block.end, 'Unexpected text'))
			return this.#addRule(line, scope, EVERYTHING, [...scope.blocks.values(), filter], block.end)
		}
		if (problem !== null) return this.#refuseBlock(kind, line, scope, problem)
		scope.refused = false
		scope.previous = null
		scope.refusedBlocks.delete(kind)
		if (filter === null) scope.blocks.delete(kind)
		else scope.blocks.set(kind, filter)
	}

	#refuseBlock(kind: BlockKind, line: LogicalLine, scope: Scope, problem: Fault): void {
		scope.blocks.delete(kind)
		scope.refusedBlocks.add(kind)
		this.#refuse(scope, line, problem)
	}

	/** Null when the filter is within all bounds. */
	#admit(filter: Filter, offset: number, place: Place): Fault | null {
		const key = JSON.stringify(filter)
		if (this.#filters.has(key)) return null
		if (this.#filters.size >= this.#limits.filters)
			return fault(0, `Too many filters, expected at most ${this.#limits.filters}`)
		if (filter.kind === 'property') {
			const valueBytes = Buffer.byteLength(filter.value)
			if (valueBytes > this.#limits.valueBytes) {
				return fault(offset, `Value is ${valueBytes} bytes long, expected at most ${this.#limits.valueBytes}`)
			}
			if (filter.operator === 'regex' || filter.operator === 'ereregex') {
				const extended = filter.operator === 'ereregex'
				const { value, ignoreCase } = filter
				const parsed = parseRegex(value, { extended, ignoreCase, nodes: this.#regexNodesLeft })
				if ('problem' in parsed) return fault(offset, `Pattern ${quote(latin1Of(value))} has ${parsed.problem}`)
				this.#regexNodesLeft -= parsed.nodes.length
				if (this.#regexCharacters() < REGEX_SUBJECT) this.#manyStates ??= place
			}
		}
		this.#filters.add(key)
		return null
	}

	#regexCharacters(): number {
		return regexCharacters(this.#limits.regexNodes - this.#regexNodesLeft, this.#limits.regexWork)
	}

	/** The work for a record is bounded: many patterns look at less of it. */
	#warnOfStates(): void {
		if (this.#manyStates === null) return
		const states = this.#limits.regexNodes - this.#regexNodesLeft
		const message = `Patterns have ${states} states together: each looks at the first ${this.#regexCharacters()} characters only`
		this.#report('warning', this.#manyStates.file, this.#manyStates.line, 1, message)
	}

	#addRule(line: LogicalLine, scope: Scope, selected: Selected, filters: readonly Filter[], actionAt: number): void {
		const read = parseAction(line.text, actionAt)
		if (isFault(read)) return this.#refuse(scope, line, read)
		if (read.action.kind === 'discard' && (scope.refused || scope.refusedBlocks.size > 0)) {
			return this.#refuse(
				scope,
				line,
				fault(read.offset, 'Discard is skipped: a line above that narrows it was refused'),
			)
		}
		if (this.#drafts.length >= this.#limits.rules) {
			return this.#refuse(scope, line, fault(0, `Too many rules, expected at most ${this.#limits.rules}`))
		}
		const { line: number } = line.placeAt(0)
		const draft: Draft = { place: { file: scope.file, line: number }, selected, filters, read }
		const problem = this.#files.add(read, draft.place)
		if (problem !== null && problem.level === 'error') return this.#refuse(scope, line, problem.fault)
		if (problem !== null) this.#warn(scope, line, problem.fault)
		for (const each of read.options.faults) this.#reportAt('error', scope, line, each)
		for (const each of read.options.warnings) this.#warn(scope, line, each)
		if (selected.unnamedMask === 0 && selected.masks.subarray(0, 24).every(mask => mask === 0)) {
			this.#warn(scope, line, fault(0, `Selector ${quote(line.text.slice(0, selected.end))} matches no record`))
		}
		this.#drafts.push(draft)
		scope.previous = draft
		scope.refused = false
	}

	/** Whether this is no syslog.conf at all: a container must not make others wait for a megabyte of noise. */
	#hopeless(): boolean {
		return this.#errors > 10 * this.#limits.diagnostics
	}

	#finish({ place, selected, filters, read }: Draft): Rule {
		const action = read.action.kind === 'file' ? this.#files.actionOf(read.action.path) : read.action
		return { place, masks: selected.masks, unnamedMask: selected.unnamedMask, filters, action }
	}

	#refuse(scope: Scope, line: LogicalLine, problem: Fault): void {
		scope.previous = null
		scope.refused = true
		this.#reportAt('error', scope, line, problem)
	}

	#warn(scope: Scope, line: LogicalLine, problem: Fault): void {
		this.#reportAt('warning', scope, line, problem)
	}

	#reportAt(level: Diagnostic['level'], scope: Scope, at: LogicalLine, problem: Fault): void {
		const { line, column } = at.placeAt(problem.offset)
		this.#report(level, scope.file, line, column, problem.fault)
	}

	#report(level: Diagnostic['level'], file: string, line: number, column: number, message: string): void {
		if (level === 'error') this.#errors++
		if (this.#diagnostics.length < this.#limits.diagnostics)
			this.#diagnostics.push({ level, file, line, column, message })
		else this.#unshown++
	}
}

/** What a rule without a selector selects. */
const EVERYTHING: Selected = parseEverything()

function parseEverything(): Selected {
	return { masks: new Uint8Array(25).fill(0xff), unnamedMask: 0xff, end: 0 }
}
