/**
 * The life of a container's POG: created when the runtime prepares the container, running when its first process is
 * known, exited when that process ends or the runtime says so, removed when its retention is over.
 *
 * A container that starts again gets a new POG, and its old one is kept as an earlier life (`earlier-lives.ts`).
 *
 * Invariant: whatever order the runtime's words and the process's end come in, the POG ends exactly once; more than
 * `retainCount` exited ones are never kept (beyond what `Calm` puts off), and none longer than `retainMs`.
 */
import type { RunningContainer } from '../attach/attach-running.ts'
import { isAlive } from '../attach/process.ts'
import type { AttachPart, Failure, Outcome, PogSpec } from '../control/service.ts'
import type { PogInfo } from '../pog/info.ts'
import { Charging } from './charging.ts'
import { MAX_LIVES } from './earlier-lives.ts'
import type { EngineService } from './pog-service.ts'
import { setProcess, type TableEntry } from './pog-table.ts'

const CHARGE_AFTER_MS = 250
/** From the preparation of a bundle to the first process of its container; the latter comes from `create` itself. */
const START_WITHIN_MS = 120_000

/** syslog.warning, from us. */
const WARNING = { facility: 5, severity: 4, tag: 'pogs' } as const

export interface Retention {
	readonly retainMs: number
	readonly retainCount: number
}

export type ContainerSpec = PogSpec & { containerId: string }

export class Lifecycle {
	readonly #service: EngineService
	readonly #retention: () => Retention
	readonly #charging: Charging
	/** Exited POGs, oldest first, with the timers that remove them. */
	readonly #exited = new Map<TableEntry, NodeJS.Timeout>()
	/** Those that ended and have everything still. */
	readonly #ended = new Set<TableEntry>()
	/** Prepared ones whose container has not started, likewise. */
	readonly #unstarted = new Map<TableEntry, NodeJS.Timeout>()

	constructor(service: EngineService, retention: () => Retention) {
		this.#service = service
		this.#charging = new Charging(service)
		this.#retention = retention
		service.onAttached = entry => this.#chargeLater(entry)
	}

	/** A container is being started just now. */
	stir(): void {
		this.#service.calm.stir()
	}

	/** What stands against a POG for a container, as far as it can be seen at once; `isComing`: its own is being made already. */
	refusal(spec: ContainerSpec, isComing: boolean): Failure | undefined {
		const { table } = this.#service
		const before = table.find(spec.name)
		const makesRoom =
			before?.name === spec.name && (before.status === 'exited' || before.containerId === spec.containerId)
		return isComing || makesRoom ? undefined : this.#service.refusal(spec)
	}

	/** A POG for a container that is about to be made. One that has its id already, from a start that failed, is replaced. */
	async prepare(spec: ContainerSpec, parts: Iterable<AttachPart>): Promise<Outcome<PogInfo>> {
		const stale = this.#service.table.findContainer(spec.containerId)
		if (stale !== undefined) await this.#makeRoom(stale)
		// What is retained of another container gives its name to one that comes.
		await this.discardExited(spec.name)
		const made = await this.#service.create(spec, [...parts])
		const entry = this.#service.table.findContainer(spec.containerId)
		if (entry !== undefined) this.#awaitStart(entry)
		return made
	}

	/** A runtime that was killed between its words leaves a POG that nobody will ever start or end. */
	#awaitStart(entry: TableEntry): void {
		const late = (): void => {
			this.#unstarted.delete(entry)
			if (entry.status === 'created') void this.#remove(entry)
		}
		this.#unstarted.set(entry, setTimeout(late, START_WITHIN_MS).unref())
	}

	#awaitNoMore(entry: TableEntry): void {
		clearTimeout(this.#unstarted.get(entry))
		this.#unstarted.delete(entry)
	}

	/** The container's first process is known: it runs, and its end will be seen. */
	async started(containerId: string, pid: number): Promise<Outcome<null>> {
		const begun = this.begin(containerId, pid)
		await this.watch(containerId)
		return begun
	}

	/** The container's first process is known, and written down. `watch` has to follow. */
	begin(containerId: string, pid: number): Outcome<null> {
		const entry = this.#service.table.findContainer(containerId)
		return entry === undefined ? missing(containerId) : this.#begin(entry, pid)
	}

	/** Is there a container of the POG of this name that has started and not ended? */
	isRunning(name: string): boolean {
		return this.#service.table.find(name)?.status === 'running'
	}

	/** The POG of a container. */
	async show(containerId: string): Promise<Outcome<PogInfo>> {
		const entry = this.#service.table.findContainer(containerId)
		return entry === undefined ? missing(containerId) : this.#service.show(entry.name)
	}

	/** Has a container of this id a POG? */
	knows(containerId: string): boolean {
		return this.#service.table.findContainer(containerId) !== undefined
	}

	/** A process of the container brought its listener: where nobody else tells of the start, that is how it is known. */
	async introduced(id: number, pid: number): Promise<void> {
		const entry = this.#service.table.byId(id)
		if (entry?.status !== 'created' || entry.containerId === '' || pid <= 0) return
		this.#begin(entry, pid)
		await this.watch(entry.containerId)
	}

	#begin(entry: TableEntry, pid: number): Outcome<null> {
		this.#service.calm.stir()
		this.#awaitNoMore(entry)
		entry.status = 'running'
		setProcess(entry, pid)
		entry.chargeDue = true
		this.#service.save(entry)
		this.#service.journal.add('started', entry, { pid })
		this.#chargeLater(entry)
		return { value: null }
	}

	/** Not now: the container's own start comes first, and one that ends at once never pays. */
	#chargeLater(entry: TableEntry): void {
		setTimeout(() => void this.#chargeRing(entry), CHARGE_AFTER_MS).unref()
	}

	/** Sees the end of a container that has begun; of one that has ended already, at once. */
	async watch(containerId: string): Promise<void> {
		const entry = this.#service.table.findContainer(containerId)
		if (entry?.status !== 'running') return
		const watched = entry.process && (await this.#service.watch(entry, entry.process.pid))
		if (watched === undefined || 'failure' in watched) this.#end(entry)
	}

	/** The ring has another size: the container pays for that one too. */
	async resized(id: number): Promise<void> {
		const entry = this.#service.table.byId(id)
		if (entry !== undefined) await this.#chargeRing(entry)
	}

	async #chargeRing(entry: TableEntry): Promise<void> {
		if (entry.status !== 'running') return
		const info = await this.#service.show(entry.name)
		if (entry.process === undefined || entry.status !== 'running' || 'failure' in info) return
		await this.#charging.charge(entry, entry.process.pid, info.value.ring.sizeBytes)
		if (this.#service.table.byId(entry.id) !== entry) return
		delete entry.chargeDue
		this.#service.save(entry)
	}

	/** The runtime says that the container is gone. */
	async exited(containerId: string): Promise<Outcome<null>> {
		const entry = this.#service.table.findContainer(containerId)
		if (entry === undefined) return missing(containerId)
		this.#end(entry)
		return { value: null }
	}

	/** Descriptor of the store of a container's POG; undefined when there is none. */
	storeOf(containerId: string): number | undefined {
		return this.#service.table.findContainer(containerId)?.store.storeFd
	}

	/** What is known of a container that an earlier engine was told of; undefined when there is none. */
	runningContainer(containerId: string): RunningContainer | undefined {
		const entry = this.#service.table.findContainer(containerId)
		if (entry?.process === undefined || entry.parts === undefined) return undefined
		return { pid: entry.process.pid, paths: entry.store.paths, attach: new Set(entry.parts) }
	}

	/** A line in the log of a container's POG. */
	async tell(containerId: string, text: string): Promise<void> {
		const entry = this.#service.table.findContainer(containerId)
		if (entry !== undefined) await this.#service.write(entry.name, { ...WARNING, text })
	}

	/** The container will not be made after all. */
	async discard(containerId: string): Promise<void> {
		const entry = this.#service.table.findContainer(containerId)
		if (entry !== undefined) await this.#remove(entry)
	}

	/** What is retained under that name, if it is of a container that is gone, makes room. */
	async discardExited(name: string): Promise<void> {
		const entry = this.#service.table.find(name)
		if (entry?.status === 'exited' && entry.name === name) await this.#makeRoom(entry)
	}

	/** Its container comes again, or another one of its name: what was logged is kept as an earlier life. */
	async #makeRoom(entry: TableEntry): Promise<void> {
		const { name, process } = entry
		// It ended, and we were not told yet.
		if (entry.status === 'running' && process !== undefined && !isAlive(process)) await this.#endNow(entry)
		await this.#settle(entry)
		if (entry.status !== 'exited' || this.#service.table.byId(entry.id) !== entry) return this.#remove(entry)
		if (!(await this.#service.putAside(entry))) return this.#remove(entry)
		for (const oldest of this.#service.table.earlierLives(name).slice(0, -MAX_LIVES)) await this.#remove(oldest)
	}

	/** The kernel says that the container's first process ended. */
	processEnded(id: number): void {
		const entry = this.#service.table.byId(id)
		if (entry !== undefined) this.#end(entry)
	}

	/** Goes on with a POG that an earlier engine had: what it waited for may have happened meanwhile. */
	async resume(entry: TableEntry): Promise<void> {
		const { process } = entry
		if (entry.status === 'exited') {
			const { retainMs, retainCount } = this.#retention()
			const leftMs = (entry.removeAtMs ?? 0) - Date.now()
			return this.#retain(entry, Math.min(retainMs, Math.max(0, leftMs)), retainCount)
		}
		if (process !== undefined && entry.keep !== true) {
			const watched = isAlive(process) ? await this.#service.watch(entry, process.pid) : undefined
			// Another process may have got the number between the two: then this one is gone all the same.
			if (watched === undefined || 'failure' in watched || !isAlive(process)) await this.#endNow(entry)
			else if (entry.chargeDue) this.#chargeLater(entry)
		} else if (entry.status === 'created' && entry.containerId !== '') {
			this.#awaitStart(entry)
		}
	}

	/** Known as gone at once; its mounts and what else it had are given back when it is calm. */
	#end(entry: TableEntry): void {
		if (entry.status === 'exited') return
		this.#service.calm.stir()
		this.#service.exited(entry, Date.now() + this.#retention().retainMs)
		this.#ended.add(entry)
		void this.#service.calm.come().then(() => this.#settle(entry))
	}

	#endNow(entry: TableEntry): Promise<void> {
		this.#end(entry)
		return this.#settle(entry)
	}

	/** Gives back what one has that ended, if that was put off. */
	async #settle(entry: TableEntry): Promise<void> {
		// Removed by somebody meanwhile, and its name may be another's by now.
		if (!this.#ended.delete(entry) || this.#service.table.byId(entry.id) !== entry) return
		const { retainMs, retainCount } = this.#retention()
		if (retainMs === 0 || retainCount === 0) return this.#remove(entry)
		await this.#service.retire(entry)
		await this.#retain(entry, retainMs, retainCount)
	}

	async #retain(entry: TableEntry, forMs: number, retainCount: number): Promise<void> {
		// Removed by somebody meanwhile: it must not count among those that are kept.
		if (this.#service.table.byId(entry.id) !== entry) return
		const timer = setTimeout(() => void this.#remove(entry), forMs)
		timer.unref()
		this.#exited.set(entry, timer)
		for (const oldest of this.#exited.keys()) {
			if (this.#exited.size <= retainCount) break
			await this.#remove(oldest)
		}
	}

	async #remove(entry: TableEntry): Promise<void> {
		this.#awaitNoMore(entry)
		clearTimeout(this.#exited.get(entry))
		this.#exited.delete(entry)
		this.#ended.delete(entry)
		if (this.#service.table.byId(entry.id) === entry) await this.#service.remove(String(entry.id))
	}
}

function missing(containerId: string): Failure {
	return { failure: { status: 404, message: `No POG belongs to container "${containerId}"` } }
}
