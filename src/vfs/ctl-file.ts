/**
 * `/run/pog/ctl`: the container's commands to its own log. One write is one command; the same open description then
 * reads the answer: `ok ...` or `error ...`. A bad command also fails the write, so that `echo clear > ctl` tells.
 */
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import type { ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import { EINVAL } from '../lib/errno.ts'
import { parseSize } from '../lib/size.ts'
import type { Steps } from '../lib/steps.ts'
import { NOBODY, type Pog, type Sender } from '../pog/pog.ts'
import type { Cell } from '../ring/cells.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { HANDLE, OpenFile } from './open-file.ts'

/** What a command needs of the service: the ring's memory is made outside this room. */
export interface PogActions {
	/** The new size in bytes, or a message; in steps. */
	resize(wishedBytes: number): Steps<{ sizeBytes: number } | { error: string }>
}

/** The answer without its `ok `, or a message for `error `. */
type Said = { ok: string } | { error: string }
type Command = (argument: string, context: { pog: Pog; actions: PogActions; sender: Sender }) => Said | Steps<Said>

/** Every command, by its first word. */
export const COMMANDS: Readonly<Record<string, { usage: string; run: Command }>> = {
	clear: {
		usage: 'clear',
		run: (argument, { pog }) => {
			if (argument !== '') return { error: `Unknown argument ${quoted(argument)}: clear takes none` }
			pog.clear()
			return { ok: 'cleared' }
		},
	},
	resize: {
		usage: 'resize SIZE',
		run: (argument, { actions }) => {
			const bytes = parseSize(argument)
			if (bytes === undefined)
				return { error: `Cannot read size ${quoted(argument)}: expected bytes, or a number with k or m` }
			return resized(actions.resize(bytes))
		},
	},
	write: {
		usage: 'write [<PRI>]TEXT',
		run: (argument, { pog, sender }) => {
			const bytes = Buffer.from(argument, 'latin1')
			pog.logDatagram(bytes, 0, bytes.length, sender)
			return { ok: 'written' }
		},
	},
	conf: {
		usage: 'conf reset',
		run: (argument, { pog }) => {
			if (argument !== 'reset') return { error: `Unknown conf command ${quoted(argument)}: expected reset` }
			return reset(pog)
		},
	},
}

/** After a configuration that is being read still. */
function* reset({ configured, policy }: Pog): Steps<Said> {
	yield* configured.prepare(policy.defaultConf)
	configured.reset()
	return { ok: 'the host default is in force' }
}

function* resized(work: ReturnType<PogActions['resize']>): Steps<Said> {
	const done = yield* work
	return 'error' in done ? done : { ok: String(done.sizeBytes) }
}

const MAX_QUOTED_BYTES = 64

/** What somebody wrote, as part of an answer: which is one line, and no longer than it is useful. */
function quoted(written: string): string {
	const text = Buffer.from(written.slice(0, MAX_QUOTED_BYTES), 'latin1').toString()
	return `"${text.replace(/\p{Cc}/gu, '?')}${written.length > MAX_QUOTED_BYTES ? '...' : ''}"`
}

/** A word of its cell: bytes of the answer that were read. */
const READ_BYTES = 2

export class CtlFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
	readonly kind = CELL_KIND.ctlFile
	readonly #pog: Pog
	readonly #actions: PogActions
	readonly #inSteps: (work: Steps<number>) => number
	#answer: Uint8Array = new Uint8Array(0)
	#readBytes = 0

	/** `inSteps`: carries out what takes long, and answers for it. */
	constructor(pog: Pog, actions: PogActions, inSteps: (work: Steps<number>) => number) {
		super()
		this.#pog = pog
		this.#actions = actions
		this.#inSteps = inSteps
	}

	/** One that an earlier engine had open. */
	static restore(pog: Pog, actions: PogActions, inSteps: (work: Steps<number>) => number, cell: Cell): CtlFile {
		const file = new CtlFile(pog, actions, inSteps)
		file.cell = cell
		file.#answer = Buffer.from(pog.answers.get(file.#handle))
		file.load()
		return file
	}

	get #handle(): number {
		return this.cell === null ? 0 : (this.cell.floats[this.cell.at + HANDLE] ?? 0)
	}

	override load(): void {
		if (this.cell !== null) this.#readBytes = this.cell.floats[this.cell.at + READ_BYTES] ?? 0
	}

	override keep(): void {
		if (this.cell !== null) this.cell.floats[this.cell.at + READ_BYTES] = this.#readBytes
	}

	/** The answer is written down with what the command changed. */
	#setAnswer(answer: string): void {
		this.#answer = Buffer.from(answer)
		this.#readBytes = 0
		this.keep()
		if (this.cell === null) return
		this.#pog.answers.set(this.#handle, answer)
	}

	override write(request: WriteRequest, sender: Sender = NOBODY): number {
		const { memory, start, sizeBytes } = request
		const line = Buffer.from(memory.bytes.subarray(start, start + sizeBytes))
			.toString('latin1')
			.replace(/\n$/, '')
		const [, word = '', argument = ''] = /^\s*(\S*)\s?([\s\S]*)$/.exec(line) ?? []
		const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined
		const done = command?.run(argument, { pog: this.#pog, actions: this.#actions, sender }) ?? {
			error: `Unknown command ${quoted(word)}: expected one of ${Object.values(COMMANDS)
				.map(c => c.usage)
				.join(', ')}`,
		}
		return 'next' in done ? this.#inSteps(this.#sayAfter(done, sizeBytes)) : this.#say(done, sizeBytes)
	}

	*#sayAfter(work: Steps<Said>, sizeBytes: number): Steps<number> {
		return this.#say(yield* work, sizeBytes)
	}

	#say(said: Said, sizeBytes: number): number {
		const failed = 'error' in said
		this.#setAnswer(failed ? `error ${said.error}\n` : `ok ${said.ok}\n`)
		return failed ? -EINVAL : sizeBytes
	}

	/** The answer to the last command, once. */
	override read(request: ReadRequest, reply: ReadReply): number {
		if (this.cell !== null) this.#pog.journal.reading(request.request, this.cell)
		const from = this.#readBytes
		this.#readBytes = Math.min(this.#answer.length, from + request.sizeBytes)
		reply.addBytes(this.#answer, from, this.#readBytes)
		this.keep()
		return 0
	}

	override release(): void {
		// Written down with the next change: nobody asks for it.
		this.#pog.answers.delete(this.#handle)
	}
}
