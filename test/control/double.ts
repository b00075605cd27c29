/**
 * An in-memory PogService that does what the interface promises, for tests of the API, its client and pogctl.
 *
 * Deterministic: times and ids are fixed, so that outputs can be compared to the byte.
 */
import { EventEmitter, once } from 'node:events'
import type { EventFields, EventFilter, EventKind, PogEvent } from '../../src/control/events.ts'
import type {
	AttachReport,
	AttachRequest,
	Failure,
	Outcome,
	PogService,
	PogSpec,
	RecordFilter,
	ServiceInfo,
	UpgradeReport,
} from '../../src/control/service.ts'
import type { Diagnostic } from '../../src/lib/diagnostic.ts'
import type { PogInfo, RecordInfo } from '../../src/pog/info.ts'

export const CREATED_AT_MS = Date.UTC(2025, 10, 21, 22, 0, 0)

export function makeRecord(pog: string, seq: number, text: string, more: Partial<RecordInfo> = {}): RecordInfo {
	return {
		pog,
		seq,
		facility: 1,
		severity: 5,
		origin: 'devlog',
		realtimeUs: (CREATED_AT_MS + seq * 1000) * 1000,
		monotonicUs: seq * 1_000_000,
		tag: 'app',
		procid: '7',
		pid: 7,
		uid: 0,
		text,
		...more,
	}
}

export function makeEvent(seq: number, event: EventKind, pog: string, fields: EventFields = {}): PogEvent {
	return { seq, realtimeUs: (CREATED_AT_MS + seq * 1000) * 1000, event, pog, id: 1, containerId: '', fields }
}

export function makePog(id: number, name: string, more: Partial<PogInfo> = {}): PogInfo {
	const base = `/run/pogs/pogs/${name}`
	return {
		id,
		name,
		containerId: '',
		status: id === 0 ? 'host' : 'created',
		createdAtMs: CREATED_AT_MS,
		ring: { sizeBytes: 262_144, usedBytes: 0, records: 0, nextSeq: 0 },
		accepted: { kmsg: 0, devlog: 0, file: 0, kernel: 0, pogs: 0, control: 0 },
		drops: { overwritten: 0, truncated: 0, ratelimited: 0, refused: 0, oversized: 0, unrouted: 0, lost: 0 },
		denied: { files: 0, directories: 0, listings: 0, reads: 0, views: 0 },
		conf: { state: 'default', rules: 8, diagnostics: [] },
		views: [],
		paths: {
			varLog: `${base}/mnt/var/log`,
			procKmsg: `${base}/mnt/proc/kmsg`,
			devKmsg: `${base}/mnt/dev/kmsg`,
			devLog: `${base}/store/dev/log`,
			syslogConf: `${base}/mnt/etc/syslog.conf`,
			runPog: `${base}/mnt/run/pog`,
		},
		...more,
	}
}

const DEFAULT_CONF = '*.* /var/log/messages\n'

export class ServiceDouble implements PogService {
	readonly pogs = new Map<string, PogInfo>([['host', makePog(0, 'host')]])
	readonly stored: RecordInfo[] = []
	readonly confs = new Map<string, string>()
	/** Filters and signals that `records` was given. */
	readonly asked: { name: string | null; filter: RecordFilter; signal: AbortSignal }[] = []
	readonly happened: PogEvent[] = []
	readonly askedEvents: { filter: EventFilter; signal: AbortSignal }[] = []
	/** Thrown by the next call: a bug of the service. */
	bug: Error | null = null
	readonly #news = new EventEmitter()

	add(pog: PogInfo): void {
		this.pogs.set(pog.name, pog)
	}

	append(record: RecordInfo): void {
		this.stored.push(record)
		this.#news.emit('record')
	}

	describe(): ServiceInfo {
		this.#maybeThrow()
		return {
			version: '0.1.0',
			runDir: '/run/pogs',
			engine: { pid: 4242, startedAtMs: CREATED_AT_MS },
			restarts: 1,
			uptimeMs: 61_500,
			pogs: this.pogs.size - 1,
			features: { fuse: '7.45', passthrough: true },
		}
	}

	async list(): Promise<PogInfo[]> {
		this.#maybeThrow()
		return [...this.pogs.values()]
	}

	async show(name: string): Promise<Outcome<PogInfo>> {
		return this.#with(name, pog => ({ value: pog }))
	}

	async create(spec: PogSpec): Promise<Outcome<PogInfo>> {
		this.#maybeThrow()
		if (this.pogs.has(spec.name)) return failure(409, `Cannot create "${spec.name}": there is one already`)
		const pog = makePog(this.pogs.size, spec.name)
		if (spec.ringBytes !== undefined) pog.ring.sizeBytes = spec.ringBytes
		if (spec.containerId !== undefined) pog.containerId = spec.containerId
		if (spec.conf !== undefined) this.confs.set(spec.name, spec.conf)
		this.add(pog)
		return { value: pog }
	}

	async remove(name: string): Promise<Outcome<null>> {
		return this.#with(name, () => {
			if (name === 'host') return failure(422, 'Cannot remove the host')
			this.pogs.delete(name)
			return { value: null }
		})
	}

	async clear(name: string): Promise<Outcome<null>> {
		return this.#with(name, () => ({ value: null }))
	}

	async write(
		name: string,
		record: { facility: number; severity: number; tag: string; text: string },
	): Promise<Outcome<{ seq: number }>> {
		return this.#with(name, pog => {
			const seq = pog.ring.nextSeq++
			this.append(makeRecord(name, seq, record.text, { ...record, origin: 'control', procid: '' }))
			return { value: { seq } }
		})
	}

	async resize(name: string, ringBytes: number): Promise<Outcome<PogInfo>> {
		return this.#with(name, pog => {
			pog.ring.sizeBytes = ringBytes
			return { value: pog }
		})
	}

	async readConf(
		name: string,
	): Promise<Outcome<{ text: string; state: PogInfo['conf']['state']; diagnostics: Diagnostic[] }>> {
		return this.#with(name, pog => {
			return { value: { text: this.confs.get(name) ?? DEFAULT_CONF, state: pog.conf.state, diagnostics: [] } }
		})
	}

	async writeConf(name: string, text: string): Promise<Outcome<{ diagnostics: Diagnostic[] }>> {
		return this.#with(name, () => {
			if (text.includes('\0')) {
				return failure(422, 'Cannot take the configuration: it contains NUL', [{ ...BAD_LINE, column: 3 }])
			}
			this.confs.set(name, text)
			return { value: { diagnostics: text.includes('wrn') ? [BAD_LINE] : [] } }
		})
	}

	async attach(name: string, request: AttachRequest): Promise<Outcome<AttachReport>> {
		return this.#with(name, () => ({
			value: { done: ['/dev/log'], left: request.pid === 1 ? ['/var/log: busy'] : [] },
		}))
	}

	async detach(name: string): Promise<Outcome<AttachReport>> {
		return this.#with(name, () => ({ value: { done: ['/dev/log'], left: [] } }))
	}

	async started(name: string, _pid: number, _keep: boolean): Promise<Outcome<null>> {
		return this.#with(name, () => ({ value: null }))
	}

	async upgrade(): Promise<Outcome<UpgradeReport>> {
		return { value: { from: '1', to: '2', pid: 1 } }
	}

	async resetConf(name: string): Promise<Outcome<null>> {
		return this.#with(name, () => {
			this.confs.delete(name)
			return { value: null }
		})
	}

	records(name: string | null, filter: RecordFilter, signal: AbortSignal): Outcome<AsyncIterable<RecordInfo>> {
		this.asked.push({ name, filter, signal })
		if (name !== null && !this.pogs.has(name)) return failure(404, `There is no POG "${name}"`)
		return { value: this.#follow(name, filter, signal) }
	}

	newest(): RecordInfo[] {
		this.#maybeThrow()
		return [...this.pogs.keys()].flatMap(name => this.stored.findLast(record => record.pog === name) ?? [])
	}

	happen(event: PogEvent): void {
		this.happened.push(event)
		this.#news.emit('record')
	}

	events(filter: EventFilter, signal: AbortSignal): Outcome<AsyncIterable<PogEvent>> {
		this.askedEvents.push({ filter, signal })
		return { value: this.#followEvents(filter, signal) }
	}

	async *#followEvents(filter: EventFilter, signal: AbortSignal): AsyncGenerator<PogEvent> {
		let at = filter.last === undefined ? 0 : Math.max(0, this.happened.length - filter.last)
		for (;;) {
			const event = this.happened[at]
			if (event !== undefined) {
				at++
				yield event
			} else if (filter.follow !== true || signal.aborted) return
			else await once(this.#news, 'record', { signal }).catch(() => undefined)
		}
	}

	async *#follow(name: string | null, filter: RecordFilter, signal: AbortSignal): AsyncGenerator<RecordInfo> {
		const matching = (record: RecordInfo): boolean => name === null || record.pog === name
		let at = 0
		const first = this.stored.filter(matching).slice(filter.last === undefined ? 0 : -filter.last || Infinity)
		yield* first
		at = this.stored.length
		while (filter.follow === true && !signal.aborted) {
			if (at === this.stored.length) {
				await once(this.#news, 'record', { signal }).catch(() => undefined)
				continue
			}
			const record = this.stored[at++]
			if (record !== undefined && matching(record)) yield record
		}
		this.#maybeThrow()
	}

	#with<T>(name: string, act: (pog: PogInfo) => Outcome<T>): Outcome<T> {
		this.#maybeThrow()
		const pog = this.pogs.get(name)
		return pog === undefined ? failure(404, `There is no POG "${name}"`) : act(pog)
	}

	#maybeThrow(): void {
		if (this.bug === null) return
		const { bug } = this
		this.bug = null
		throw bug
	}
}

export const BAD_LINE: Diagnostic = {
	level: 'error',
	file: 'syslog.conf',
	line: 2,
	column: 6,
	message: 'Unknown severity "wrn", expected one of emerg, alert, crit',
}

function failure(status: Failure['failure']['status'], message: string, diagnostics?: Diagnostic[]): Failure {
	return { failure: diagnostics === undefined ? { status, message } : { status, message, diagnostics } }
}
