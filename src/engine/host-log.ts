/**
 * The host itself in the POG table: id 0, its ring is the kernel's.
 * Source: Documentation/ABI/testing/dev-kmsg; syslog(2) action 10.
 */
import type { PogInfo, RecordInfo } from '../pog/info.ts'
import { DENIED_REASONS, DROP_REASONS, ORIGINS } from '../pog/info.ts'
import { close, O_CLOEXEC, O_NONBLOCK, O_RDONLY, openPath, read } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'
import { kernelLogBytes } from '../sys/threads.ts'

export const HOST_NAME = 'host'
const RECORD_BYTES = 8192
const EPIPE = 32

/** One open of the host's /dev/kmsg, read record by record. */
export class HostLog {
	readonly pog = HOST_NAME
	lost = 0
	/** When there was nothing more to read. */
	#emptyAtUs = 0
	#driftUs = 0
	/** Read already, to be given next. */
	#newest: RecordInfo | undefined
	readonly #fd = openPath('/dev/kmsg', O_RDONLY | O_NONBLOCK | O_CLOEXEC)
	readonly #memory = allocate(RECORD_BYTES)
	readonly #bootUs = Date.now() * 1e3 - Math.trunc(Number(process.hrtime.bigint() / 1000n))

	/** Whether the host lets us read it. */
	get readable(): boolean {
		return this.#fd >= 0
	}

	next(): RecordInfo | undefined {
		if (this.#fd < 0) return undefined
		const newest = this.#newest
		this.#newest = undefined
		if (newest !== undefined) return newest
		for (;;) {
			const bytes = read(this.#fd, this.#memory.address, RECORD_BYTES)
			if (bytes === -EPIPE) continue
			if (bytes <= 0) {
				this.#emptyAtUs = Date.now() * 1e3
				return undefined
			}
			const record = this.#parse(Buffer.from(this.#memory.buffer, 0, bytes).toString('latin1'))
			if (record !== undefined) return record
		}
	}

	/** Goes on with the newest record there is. */
	skipToLast(): void {
		let newest: RecordInfo | undefined
		for (let record = this.next(); record !== undefined; record = this.next()) newest = record
		this.#newest = newest
	}

	/**
	 * The kernel stamps its log by a clock that drifts from all others (printk: local_clock). A record that was not there at the last look
	 * is younger than that look, and none is of the future: so the error of what is followed is no more than the time between two looks.
	 */
	#realtimeOf(monotonicUs: number): number {
		const stampUs = this.#bootUs + monotonicUs
		const atUs = Math.min(Math.max(stampUs + this.#driftUs, this.#emptyAtUs), (Date.now() + 1) * 1e3)
		this.#driftUs = atUs - stampUs
		return atUs
	}

	#parse(text: string): RecordInfo | undefined {
		const [, pri = '', seq = '', us = '', message = ''] = /^(\d+),(\d+),(\d+),[^;]*;([^\n]*)/.exec(text) ?? []
		if (pri === '') return undefined
		const [, tag = '', procid = '', body = message] = /^([\w./()-]+)(?:\[(\d+)\])?: (.*)$/.exec(message) ?? []
		const fromKernel = Number(pri) >> 3 === 0
		const monotonicUs = Number(us)
		return {
			pog: HOST_NAME,
			seq: Number(seq),
			facility: Number(pri) >> 3,
			severity: Number(pri) & 7,
			origin: fromKernel ? 'kernel' : 'kmsg',
			realtimeUs: this.#realtimeOf(monotonicUs),
			monotonicUs,
			tag: fromKernel ? 'kernel' : tag,
			procid: fromKernel ? '' : procid,
			pid: 0,
			uid: 0,
			text: unescape(fromKernel ? message : body),
		}
	}

	close(): void {
		if (this.#fd >= 0) close(this.#fd)
	}
}

function unescape(text: string): string {
	const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
	return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** Whether a name or an id in digits means the host's own log. */
export function isHost(name: string): boolean {
	return name === HOST_NAME || name === '0'
}

/** The host's row of the POG table. */
export function describeHost(startedAtMs: number): PogInfo {
	const log = new HostLog()
	let records = 0
	let usedBytes = 0
	let nextSeq = 0
	for (let record = log.next(); record !== undefined; record = log.next()) {
		records++
		usedBytes += Buffer.byteLength(record.text)
		nextSeq = record.seq + 1
	}
	log.close()
	const zero = <K extends string>(keys: readonly K[]): Record<K, number> =>
		Object.fromEntries(keys.map(key => [key, 0])) as Record<K, number>
	return {
		id: 0,
		name: HOST_NAME,
		containerId: '',
		status: 'host',
		createdAtMs: startedAtMs,
		ring: { sizeBytes: kernelLogBytes(), usedBytes, records, nextSeq },
		accepted: { ...zero(ORIGINS), kernel: nextSeq },
		drops: { ...zero(Object.keys(DROP_REASONS) as (keyof typeof DROP_REASONS)[]), overwritten: nextSeq - records },
		denied: zero(Object.keys(DENIED_REASONS) as (keyof typeof DENIED_REASONS)[]),
		conf: { state: 'default', rules: 0, diagnostics: [] },
		views: [],
		paths: {
			varLog: '/var/log',
			procKmsg: '/proc/kmsg',
			devKmsg: '/dev/kmsg',
			devLog: '/dev/log',
			syslogConf: '/etc/syslog.conf',
			runPog: '',
		},
	}
}
