/**
 * The POG table: which log belongs to whom, and how far it has come. Ids count up from 1 and are never used again; 0 is
 * the host.
 */
import { hostSyslog } from '../attach/host-syslog.ts'
import { identify, type ProcessIdentity } from '../attach/process.ts'
import type { HostSyslog, PogInfo, PogStatus } from '../pog/info.ts'
import type { PogFigures } from '../pog/describe.ts'
import type { AttachPart, PogSpec } from '../control/service.ts'
import { HOST_NAME } from './host-log.ts'
import type { Store } from './store.ts'

export interface TableEntry {
	readonly id: number
	name: string
	readonly containerId: string
	spec: PogSpec
	readonly ringBytes: number
	readonly quotaBytes: number
	status: PogStatus
	store: Store
	/** The container's first process. */
	process?: ProcessIdentity
	/** What of it a runtime, or `pogctl run`, has put into the container. */
	parts?: readonly AttachPart[]
	/** It stays when its container's first process ends: `pogctl run --keep`. */
	keep?: boolean
	/** What is retained of an earlier life of the container whose POG has this name now. */
	previousOf?: string
	/** Its container does not pay for the ring yet. */
	chargeDue?: boolean
	/** Of an exited one: when it is removed, in ms of the wall clock. */
	removeAtMs?: number
	/** The running container it was mounted in by `attach`. */
	attached?: { readonly pid: number; readonly parts: ReadonlySet<AttachPart> }
}

/** Fewer characters of a container's id say nothing. */
export const MIN_PREFIX = 4

export class PogTable {
	readonly #byName = new Map<string, TableEntry>()
	readonly #byId = new Map<number, TableEntry>()
	/** Names between their check and their entry. */
	readonly #coming = new Set<string>()
	#lastId = 0

	get size(): number {
		return this.#byName.size
	}

	get entries(): Iterable<TableEntry> {
		return this.#byName.values()
	}

	/** The last id that was given. */
	get lastId(): number {
		return this.#lastId
	}

	/** Goes on after an engine that gave ids up to this one. */
	countFrom(lastId: number): void {
		this.#lastId = Math.max(this.#lastId, lastId)
	}

	isTaken(name: string): boolean {
		return name === HOST_NAME || this.#byName.has(name) || this.#coming.has(name)
	}

	/** An id that nobody has had. */
	newId(): number {
		return ++this.#lastId
	}

	/** Keeps a name from being taken by others. Whether it was free. */
	reserve(name: string): boolean {
		if (this.isTaken(name)) return false
		this.#coming.add(name)
		return true
	}

	/** Gives a reserved name back. */
	release(name: string): void {
		this.#coming.delete(name)
	}

	add(entry: TableEntry): TableEntry {
		this.#coming.delete(entry.name)
		this.#byName.set(entry.name, entry)
		this.#byId.set(entry.id, entry)
		return entry
	}

	/** By name, by id in digits, or by the container's id or an unmistakable beginning of it. */
	find(name: string): TableEntry | undefined {
		return (
			this.#byName.get(name) ??
			(/^\d{1,9}$/.test(name) ? this.#byId.get(Number(name)) : undefined) ??
			this.#byPrefix(name)
		)
	}

	#byPrefix(prefix: string): TableEntry | undefined {
		if (prefix.length < MIN_PREFIX) return undefined
		const found = this.#ofNow.filter(entry => entry.containerId.startsWith(prefix))
		return found.length === 1 ? found[0] : undefined
	}

	/** The POG of a container, by its whole id; of its life now. */
	findContainer(containerId: string): TableEntry | undefined {
		return this.#ofNow.find(entry => entry.containerId === containerId)
	}

	get #ofNow(): TableEntry[] {
		return [...this.#byName.values()].filter(entry => entry.previousOf === undefined)
	}

	/** What is retained of earlier lives of the POG of this name, the newest last. */
	earlierLives(name: string): TableEntry[] {
		const lives = [...this.#byName.values()].filter(entry => entry.previousOf === name)
		return lives.sort((a, b) => a.id - b.id)
	}

	/** The last life before the one that this word, as for `find`, means; it may be all that is left. */
	findPrevious(word: string): TableEntry | undefined {
		return this.earlierLives(this.find(word)?.name ?? word).at(-1)
	}

	byId(id: number): TableEntry | undefined {
		return this.#byId.get(id)
	}

	remove(entry: TableEntry): void {
		this.#byName.delete(entry.name)
		this.#byId.delete(entry.id)
	}

	/** The whole row: the figures of the shard and what the table knows. */
	info(entry: TableEntry, figures: PogFigures): PogInfo {
		const { containerId, status, store, previousOf } = entry
		const exposed = hostSyslogOfEntry(entry)
		const seen = exposed === undefined ? {} : { hostSyslog: exposed }
		const earlier = previousOf === undefined ? {} : { previousOf }
		return { ...figures, containerId, status, ...earlier, ...seen, paths: store.paths }
	}
}

/** How the container of a POG that has its kernel log from us reaches the host's all the same, as things are now. */
function hostSyslogOfEntry({ status, process, parts, attached }: TableEntry): HostSyslog | undefined {
	const kmsg = attached?.parts.has('kmsg') ?? parts?.includes('kmsg') ?? false
	return status === 'running' && process !== undefined && kmsg ? hostSyslog(process.pid) : undefined
}

/** The container's first process is known; one that is gone already is none. */
export function setProcess(entry: TableEntry, pid: number): void {
	const found = identify(pid)
	if (found === undefined) delete entry.process
	else entry.process = found
}
