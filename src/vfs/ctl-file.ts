/**
 * `/run/pog/ctl`: the container's commands to its own log. One write is one command; the same open description then
 * reads the answer: `ok ...` or `error ...`. A bad command also fails the write, so that `echo clear > ctl` tells.
 */
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import type { ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import { EINVAL } from '../lib/errno.ts'
import { parseSize } from '../lib/size.ts'
import { NOBODY, type Pog, type Sender } from '../pog/pog.ts'
import { OpenFile } from './open-file.ts'

/** What a command needs of the service: the ring's memory is made outside this room. */
export interface PogActions {
	/** The new size in bytes, or a message. */
	resize(wishedBytes: number): { sizeBytes: number } | { error: string }
}

/** The answer without its `ok `, or a message for `error `. */
type Command = (
	argument: string,
	context: { pog: Pog; actions: PogActions; sender: Sender },
) => { ok: string } | { error: string }

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
			const done = actions.resize(bytes)
			return 'error' in done ? done : { ok: String(done.sizeBytes) }
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
			pog.configured.reset()
			return { ok: 'the host default is in force' }
		},
	},
}

const MAX_QUOTED_BYTES = 64

/** What somebody wrote, as part of an answer: which is one line, and no longer than it is useful. */
function quoted(written: string): string {
	const text = Buffer.from(written.slice(0, MAX_QUOTED_BYTES), 'latin1').toString()
	return `"${text.replace(/\p{Cc}/gu, '?')}${written.length > MAX_QUOTED_BYTES ? '...' : ''}"`
}

export class CtlFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
	readonly #pog: Pog
	readonly #actions: PogActions
	#answer: Uint8Array = new Uint8Array(0)

	constructor(pog: Pog, actions: PogActions) {
		super()
		this.#pog = pog
		this.#actions = actions
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
		const failed = 'error' in done
		this.#answer = Buffer.from(failed ? `error ${done.error}\n` : `ok ${done.ok}\n`)
		return failed ? -EINVAL : sizeBytes
	}

	/** The answer to the last command, once. */
	override read(request: ReadRequest, reply: ReadReply): number {
		const bytes = Math.min(this.#answer.length, request.sizeBytes)
		reply.addBytes(this.#answer, 0, bytes)
		this.#answer = this.#answer.subarray(bytes)
		return 0
	}
}
