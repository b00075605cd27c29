/**
 * The control plane: what the API asks, done with the POG table and the shard. Runs in the main thread and never
 * changes a POG itself.
 */
import type { EventFilter, PogEvent } from '../control/events.ts'
import {
	ATTACH_PARTS,
	type AttachPart,
	type AttachReport,
	type AttachRequest,
	type Failure,
	type Outcome,
	type PogService,
	type PogSpec,
	type RecordFilter,
	type ServiceInfo,
	type UpgradeReport,
} from '../control/service.ts'
import { readVersion } from '../lib/version.ts'
import type { PogInfo, RecordInfo } from '../pog/info.ts'
import { geometry } from '../ring/layout.ts'
import { attachTo, detachFrom } from './attachments.ts'
import type { Calm } from './calm.ts'
import { putAside } from './earlier-lives.ts'
import { EventJournal } from './events.ts'
import type { FdStore } from './fd-store.ts'
import { describeHost, isHost } from './host-log.ts'
import { Logs } from './logs.ts'
import type { CommandName, Commands, ServeRequest, ShardEvent } from './messages.ts'
import type { Transport } from './transports.ts'
import { PogTable, setProcess, type TableEntry } from './pog-table.ts'
import type { HostPolicy } from './policy.ts'
import type { ShardClient } from './shard-client.ts'
import { close } from '../sys/io.ts'
import { removeSavedEngine, removeSavedPog, writeSavedEngine, writeSavedPog } from './saved-pogs.ts'
import { failure, nameTaken, tooLarge, unknownPog } from './refusals.ts'
import { rateOf, serveRequest } from './serve-request.ts'
import { forgetDescriptors, prepareStore, releaseMount, releaseStore, type Store } from './store.ts'

export interface EngineState {
	readonly runDir: string
	readonly fdStore: FdStore
	readonly restarts: number
	readonly startedAtMs: number
	readonly policy: { readonly current: HostPolicy }
	readonly transport: Transport
	/** Stirred by every start and end of a container. */
	readonly calm: Calm
	/** Makes room for the version that is installed now. */
	upgrade(): Promise<Outcome<UpgradeReport>>
	/** What the kernel and the shard agreed on; filled with the first mount. */
	readonly features: Record<string, string | number | boolean>
}

export class EngineService implements PogService {
	readonly table = new PogTable()
	readonly journal = new EventJournal()
	/** Told of each POG that was mounted in a container that runs. */
	onAttached: (entry: TableEntry) => void = () => {}
	/** Between their removal and the last word of the shard about them. */
	readonly #leaving = new Map<number, TableEntry>()
	/** Names whose directories are not free yet. */
	readonly #goingAway = new Map<string, Promise<unknown>>()
	readonly #logs = new Logs(this.table)
	readonly #shard: ShardClient
	readonly #state: EngineState

	constructor(shard: ShardClient, state: EngineState) {
		this.#shard = shard
		this.#state = state
	}

	get calm(): Calm {
		return this.#state.calm
	}

	/** The engine as it stands on disk. */
	saveEngine(): void {
		const { runDir, restarts, startedAtMs } = this.#state
		writeSavedEngine(runDir, { lastId: this.table.lastId, restarts, startedAtMs })
	}

	/** What is known of a POG, for the next engine: before anybody is told. */
	save(entry: TableEntry): void {
		const {
			id,
			spec,
			ringBytes,
			quotaBytes,
			status,
			process,
			parts,
			keep,
			attached,
			previousOf,
			chargeDue,
			removeAtMs,
		} = entry
		writeSavedPog(entry.store.directory, {
			id,
			spec,
			ringBytes,
			quotaBytes,
			status,
			...(process === undefined ? {} : { process }),
			...(parts === undefined ? {} : { parts }),
			...(keep ? { keep } : {}),
			...(attached === undefined ? {} : { attached: { pid: attached.pid, parts: [...attached.parts] } }),
			...(previousOf === undefined ? {} : { previousOf }),
			...(chargeDue ? { chargeDue } : {}),
			...(removeAtMs === undefined ? {} : { removeAtMs }),
		})
	}

	/** Nobody has anything of it any more; the store stays. */
	async letGo({ id, name }: TableEntry): Promise<void> {
		await this.#ask('remove', { id })
		forgetDescriptors({ fdStore: this.#state.fdStore, id })
		releaseMount(this.#state.runDir, name)
	}

	/** An exited POG makes room for another one of its name. Whether it is kept under another name. */
	putAside(entry: TableEntry): Promise<boolean> {
		return putAside(this, this.#state.runDir, entry)
	}

	/** Goes on with a POG of an earlier engine. What stands against it, or undefined. */
	async revive(
		entry: TableEntry,
		how: { resume: boolean; syslogFds: ServeRequest['syslogFds'] },
	): Promise<string | undefined> {
		const { rate, ...spec } = entry.spec
		this.table.add(entry)
		const request = serveRequest(entry, { rate: rate ?? rateOf(this.#state.policy.current), ...spec })
		const answer = await this.#shard.ask('revive', {
			...request,
			...how,
			revive: true,
			retired: entry.status === 'exited',
		})
		if ('value' in answer) return undefined
		this.table.remove(entry)
		return answer.error
	}

	describe(): ServiceInfo {
		const { runDir, restarts, startedAtMs, features } = this.#state
		return {
			version: readVersion(),
			runDir,
			engine: { pid: process.pid, startedAtMs },
			restarts,
			uptimeMs: Date.now() - startedAtMs,
			pogs: this.table.size,
			features,
		}
	}

	async list(): Promise<PogInfo[]> {
		const answer = await this.#shard.ask('list', null)
		const rows = [describeHost(this.#state.startedAtMs)]
		if ('error' in answer) return rows
		for (const figures of answer.value) {
			const entry = this.table.byId(figures.id)
			if (entry !== undefined) rows.push(this.table.info(entry, figures))
		}
		return rows.sort((a, b) => a.id - b.id)
	}

	async show(name: string): Promise<Outcome<PogInfo>> {
		if (isHost(name)) return { value: describeHost(this.#state.startedAtMs) }
		return this.withPog(name, entry => this.#figures(entry, 'show', { id: entry.id }))
	}

	/** Does something with a POG; a failure when there is none of that name. */
	async withPog<T>(name: string, run: (entry: TableEntry) => Promise<Outcome<T>>): Promise<Outcome<T>> {
		const entry = this.table.find(name)
		if (entry !== undefined) return run(entry)
		if (isHost(name)) return failure(422, "The host's own log is the kernel's: POGs only read it")
		return unknownPog(name)
	}

	/** Asks the shard; an expected failure becomes HTTP's 507 where memory or space ran out, else 422. */
	async #ask<N extends CommandName>(name: N, ask: Commands[N]['ask']): Promise<Outcome<Commands[N]['answer']>> {
		const answer = await this.#shard.ask(name, ask)
		if ('value' in answer) return answer
		return failure(/ENOSPC|ENOMEM/.test(answer.error) ? 507 : 422, answer.error)
	}

	async #figures(
		entry: TableEntry,
		...[name, ask]: ['show', Commands['show']['ask']] | ['resize', Commands['resize']['ask']]
	): Promise<Outcome<PogInfo>> {
		const answer = name === 'show' ? await this.#ask('show', ask) : await this.#ask('resize', ask)
		return 'failure' in answer ? answer : { value: this.table.info(entry, answer.value) }
	}

	/** What stands against a POG, as far as it can be seen before it is made. */
	refusal(spec: PogSpec): Failure | undefined {
		const policy = this.#state.policy.current
		const ringBytes = geometry(spec.ringBytes ?? policy.ringBytes).textBytes
		if (ringBytes > policy.maxRingBytes) return tooLarge(ringBytes, policy)
		return this.table.isTaken(spec.name) ? nameTaken(spec.name) : undefined
	}

	/** `parts`: what a runtime is about to put into the container; left out, there is none to wait for. */
	async create(spec: PogSpec, parts?: readonly AttachPart[]): Promise<Outcome<PogInfo>> {
		const policy = this.#state.policy.current
		const ringBytes = geometry(spec.ringBytes ?? policy.ringBytes).textBytes
		await this.#goingAway.get(spec.name)
		const refused = this.refusal(spec)
		if (refused !== undefined) return refused
		if (!this.table.reserve(spec.name)) return nameTaken(spec.name)
		const quotaBytes = spec.quotaBytes ?? policy.quotaBytes
		const { runDir, fdStore } = this.#state
		const prepared = this.#store(spec.name, { ringBytes, quotaBytes })
		if (typeof prepared === 'string') {
			this.table.release(spec.name)
			return failure(500, prepared)
		}
		const { id, store } = prepared
		const containerId = spec.containerId ?? ''
		const status = containerId === '' || parts !== undefined ? 'created' : 'running'
		const entry: TableEntry = { id, name: spec.name, containerId, spec, ringBytes, quotaBytes, status, store }
		if (parts !== undefined) entry.parts = parts
		this.save(entry)
		const answer = await this.#ask('serve', serveRequest(entry, { rate: rateOf(policy), ...spec }))
		if ('failure' in answer) {
			for (const fd of [store.fuseFd, store.logFd, store.storeFd]) close(fd)
			forgetDescriptors({ fdStore, id })
			releaseStore(runDir, spec.name)
			this.table.release(spec.name)
			return answer
		}
		this.table.add(entry)
		this.journal.add('created', entry, { ringBytes, state: answer.value.conf.state })
		return { value: this.table.info(entry, answer.value) }
	}

	#store(
		name: string,
		sizes: { readonly ringBytes: number; readonly quotaBytes: number },
	): { readonly id: number; readonly store: Store } | string {
		const { runDir, transport, fdStore } = this.#state
		const id = this.table.newId()
		this.saveEngine()
		const store = prepareStore(runDir, name, sizes.ringBytes, sizes.quotaBytes, transport, { fdStore, id })
		return typeof store === 'string' ? store : { id, store }
	}

	remove(name: string): Promise<Outcome<null>> {
		return this.withPog(name, async entry => {
			this.table.remove(entry)
			const going = this.#giveBack(entry)
			this.#goingAway.set(entry.name, going)
			const answer = await going
			this.#goingAway.delete(entry.name)
			return answer
		})
	}

	async #giveBack(entry: TableEntry): Promise<Outcome<null>> {
		this.#leaving.set(entry.id, entry)
		removeSavedPog(entry.store.directory)
		const answer = await this.#ask('remove', { id: entry.id })
		this.#leaving.delete(entry.id)
		forgetDescriptors({ fdStore: this.#state.fdStore, id: entry.id })
		this.journal.add('removed', entry)
		releaseStore(this.#state.runDir, entry.name)
		return answer
	}

	/** The shard noticed something about a POG. */
	noticed({ id, kind, fields }: Extract<ShardEvent, { event: 'noticed' }>): void {
		const entry = this.table.byId(id) ?? this.#leaving.get(id)
		if (entry !== undefined) this.journal.add(kind, entry, fields)
	}

	/** Moves the ring of a POG into a file that was allocated for it. */
	adoptRing(entry: TableEntry, path: string, textBytes: number): Promise<Outcome<unknown>> {
		return this.#ask('adoptRing', { id: entry.id, path, textBytes })
	}

	/** Watches the first process of a POG's container: the shard tells when it ends. */
	watch(entry: TableEntry, pid: number): Promise<Outcome<null>> {
		return this.#ask('watch', { id: entry.id, pid })
	}

	/** The container is gone; `retire` or `remove` has to follow. */
	exited(entry: TableEntry, removeAtMs: number): void {
		entry.status = 'exited'
		entry.removeAtMs = removeAtMs
		this.save(entry)
		this.journal.add('exited', entry)
	}

	/** Its mount and socket go, its records stay until `remove`. */
	async retire(entry: TableEntry): Promise<void> {
		await this.#ask('retire', { id: entry.id })
		forgetDescriptors({ fdStore: this.#state.fdStore, id: entry.id })
		releaseMount(this.#state.runDir, entry.name)
	}

	clear(name: string): Promise<Outcome<null>> {
		return this.withPog(name, ({ id }) => this.#ask('clear', { id }))
	}

	write(
		name: string,
		record: { facility: number; severity: number; tag: string; text: string },
	): Promise<Outcome<{ seq: number }>> {
		return this.withPog(name, ({ id }) => this.#ask('write', { id, ...record }))
	}

	resize(name: string, ringBytes: number): Promise<Outcome<PogInfo>> {
		const policy = this.#state.policy.current
		return this.withPog(name, async entry => {
			if (geometry(ringBytes).textBytes > policy.maxRingBytes) return tooLarge(ringBytes, policy)
			return this.#figures(entry, 'resize', { id: entry.id, ringBytes })
		})
	}

	readConf(name: string): Promise<Outcome<Commands['readConf']['answer']>> {
		return this.withPog(name, ({ id }) => this.#ask('readConf', { id }))
	}

	writeConf(name: string, text: string): Promise<Outcome<Commands['writeConf']['answer']>> {
		return this.withPog(name, ({ id }) => this.#ask('writeConf', { id, text }))
	}

	resetConf(name: string): Promise<Outcome<null>> {
		return this.withPog(name, ({ id }) => this.#ask('resetConf', { id }))
	}

	attach(name: string, request: AttachRequest): Promise<Outcome<AttachReport>> {
		return attachTo(this, name, request)
	}

	/** The first process of a container that was made with the POG in it. */
	started(name: string, pid: number, keep: boolean): Promise<Outcome<null>> {
		return this.withPog(name, async entry => {
			setProcess(entry, pid)
			entry.parts ??= ATTACH_PARTS
			entry.keep = keep
			this.save(entry)
			// Whoever started it removes the POG; if that was killed, its end is seen here.
			return keep ? { value: null } : this.watch(entry, pid)
		})
	}

	async upgrade(): Promise<Outcome<UpgradeReport>> {
		return this.#state.upgrade()
	}

	detach(name: string): Promise<Outcome<AttachReport>> {
		return detachFrom(this, name)
	}

	records(name: string | null, filter: RecordFilter, signal: AbortSignal): Outcome<AsyncIterable<RecordInfo>> {
		return this.#logs.records(name, filter, signal)
	}

	events(filter: EventFilter, signal: AbortSignal): Outcome<AsyncIterable<PogEvent>> {
		return { value: this.journal.stream(filter, signal) }
	}

	newest(): RecordInfo[] {
		return this.#logs.newest()
	}

	/** Gives back everything, at the end of the service. */
	async close(): Promise<void> {
		await this.#shard.ask('stop', null)
		for (const entry of this.table.entries) {
			this.table.remove(entry)
			releaseStore(this.#state.runDir, entry.name)
		}
		removeSavedEngine(this.#state.runDir)
	}
}
