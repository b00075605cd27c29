/**
 * What a POG keeps for a later engine beside its ring: files in the POG's directory that no container sees.
 *
 *     cells      more cells than the ring's header page has, mapped       (ring/cells.ts)
 *     state      what seldom changes, as JSON, replaced by a rename       (pog/saved.ts)
 *     conf-N     the texts of a configuration that `state` names
 *     draft      a configuration that is being edited
 *
 * Not in the container's tmpfs: a container that has used up its quota must not keep its log from being kept. Invariant: `state`
 * names only what is whole.
 */
import {
	closeSync,
	ftruncateSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	unlinkSync,
	writeFileSync,
	writeSync,
} from 'node:fs'
import type { Negotiated } from '../fuse/negotiate.ts'
import { NO_JOURNAL, type RequestJournal } from '../fuse/request-journal.ts'
import type { Memory } from '../lib/memory.ts'
import type { Keep, SavedPog } from '../pog/saved.ts'
import { allocateFile } from '../sys/files.ts'
import { allocate, mapFile, unmap } from '../sys/memory.ts'
import type { DraftStore } from '../vfs/conf-file.ts'

const MODE = 0o600

/** Names of files beside `state`, in place of the texts. */
interface TextNames {
	text: string
	inForce: string
}

export class KeptState implements Keep, DraftStore {
	readonly #directory: string
	readonly #mapped: Memory[] = []
	/** Texts that were written, by their files' names. */
	readonly #texts = new Map<string, string>()
	#nextText = 0

	constructor(directory: string) {
		this.#directory = directory
	}

	/** What an earlier engine wrote down; undefined when there is nothing that can be read. */
	load(): SavedPog | undefined {
		try {
			const saved = JSON.parse(readFileSync(this.#path('state'), 'utf8')) as SavedPog
			const { text, inForce } = saved.conf satisfies TextNames
			saved.conf.text = this.#loadText(text)
			saved.conf.inForce = this.#loadText(inForce)
			return saved
		} catch {
			return undefined
		}
	}

	#loadText(name: string): string {
		const text = readFileSync(this.#path(name), 'latin1')
		this.#texts.set(name, text)
		this.#nextText = Math.max(this.#nextText, Number(name.replace('conf-', '')) + 1)
		return text
	}

	save(saved: SavedPog): boolean {
		try {
			const text = this.#nameOf(saved.conf.text)
			const inForce = this.#nameOf(saved.conf.inForce)
			writeFileSync(this.#path('state.new'), JSON.stringify({ ...saved, conf: { ...saved.conf, text, inForce } }), {
				mode: MODE,
			})
			renameSync(this.#path('state.new'), this.#path('state'))
			for (const name of this.#texts.keys()) if (name !== text && name !== inForce) this.#forgetText(name)
			return true
		} catch {
			return false
		}
	}

	/** The file that has this text. */
	#nameOf(text: string): string {
		for (const [name, known] of this.#texts) if (known === text) return name
		const name = `conf-${this.#nextText++}`
		writeFileSync(this.#path(name), text, { mode: MODE, encoding: 'latin1' })
		this.#texts.set(name, text)
		return name
	}

	#forgetText(name: string): void {
		this.#texts.delete(name)
		unlinkSync(this.#path(name))
	}

	/** More memory for cells; what is in the file stays. */
	readonly moreCells = (offset: number, sizeBytes: number): Memory | undefined => {
		const fd = openSync(this.#path('cells'), 'a+', MODE)
		try {
			// A page that is not there would be a SIGBUS later.
			if (allocateFile(fd, offset + sizeBytes) < 0) return undefined
			const memory = mapFile(fd, sizeBytes, offset, true)
			if (typeof memory === 'number') return undefined
			this.#mapped.push(memory)
			return memory
		} finally {
			closeSync(fd)
		}
	}

	read(): Buffer | null {
		try {
			return readFileSync(this.#path('draft'))
		} catch {
			return null
		}
	}

	write(offset: number, bytes: Uint8Array): void {
		this.#draft(fd => {
			for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, offset + at)
		})
	}

	truncate(sizeBytes: number): void {
		this.#draft(fd => ftruncateSync(fd, sizeBytes))
	}

	/** What cannot be kept is lost only with the engine. */
	#draft(change: (fd: number) => void): void {
		try {
			const fd = openSync(this.#path('draft'), 'a', MODE)
			closeSync(fd)
			const edited = openSync(this.#path('draft'), 'r+')
			try {
				change(edited)
			} finally {
				closeSync(edited)
			}
		} catch {}
	}

	remove(): void {
		this.#unlink('draft')
	}

	/** Unmaps the cells. The files go with the POG's directory. */
	close(): void {
		for (const memory of this.#mapped.splice(0)) unmap(memory)
	}

	/** Removes every file. */
	clear(): void {
		for (const name of ['cells', 'state', 'state.new', 'draft', ...this.#textFiles()]) this.#unlink(name)
	}

	#textFiles(): string[] {
		try {
			return readdirSync(this.#directory).filter(name => /^conf-\d+$/.test(name))
		} catch {
			return []
		}
	}

	#unlink(name: string): void {
		try {
			unlinkSync(this.#path(name))
		} catch {
			// It never was.
		}
	}

	#path(name: string): string {
		return `${this.#directory}/${name}`
	}
}

/** Memory for what was received and not looked at, in a file where one is named; anonymous when it cannot be there. */
export function stagingMemory(path: string | null, sizeBytes: number): Memory {
	if (path === null) return allocate(sizeBytes)
	const fd = openSync(path, 'a+', MODE)
	try {
		const allocated = allocateFile(fd, sizeBytes)
		const memory = allocated < 0 ? allocated : mapFile(fd, sizeBytes, 0, true)
		return typeof memory === 'number' ? allocate(sizeBytes) : memory
	} finally {
		closeSync(fd)
	}
}

/** The journal of a connection of which nothing is kept but its handshake. */
export function keptHandshake(directory: string): RequestJournal {
	const path = `${directory}/negotiated`
	let negotiated: Negotiated | undefined
	try {
		negotiated = JSON.parse(readFileSync(path, 'utf8')) as Negotiated
	} catch {
		// There was none before.
	}
	return {
		...NO_JOURNAL,
		negotiated,
		keepNegotiated: settled => writeFileSync(path, JSON.stringify(settled), { mode: MODE }),
	}
}
