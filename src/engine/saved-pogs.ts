/**
 * The POG table on disk: what the control plane knows of each POG, for the engine that comes after this one.
 *
 *     RUN/engine.json            format, the last id given, how often an engine took over from one that died
 *     RUN/pogs/NAME/pog.json     one POG
 *
 * Both are on the host alone. Invariant: a file is written whole or not at all (rename), before what it describes is
 * answered; a file that cannot be understood counts as not there.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { ProcessIdentity } from '../attach/process.ts'
import type { AttachPart, PogSpec } from '../control/service.ts'
import type { PogStatus } from '../pog/info.ts'

/** Of both files, and of what the data plane keeps in stores: an engine takes over from one of the same format only. */
export const STATE_FORMAT = 1

export interface SavedPog {
	readonly format: typeof STATE_FORMAT
	readonly id: number
	readonly spec: PogSpec
	readonly ringBytes: number
	readonly quotaBytes: number
	readonly status: PogStatus
	/** The container's first process. */
	readonly process?: ProcessIdentity
	/** What of it a runtime, or `pogctl run`, has put into the container. */
	readonly parts?: readonly AttachPart[]
	/** It stays when the container's first process ends. */
	readonly keep?: boolean
	/** The running container that it was mounted in by `attach`. */
	readonly attached?: { readonly pid: number; readonly parts: readonly AttachPart[] }
	/** Of an earlier life: the name of the POG now. */
	readonly previousOf?: string
	/** Its container is still to pay for the ring. */
	readonly chargeDue?: boolean
	/** An exited one's: when it is removed, in ms of the wall clock. */
	readonly removeAtMs?: number
}

export interface SavedEngine {
	readonly format: typeof STATE_FORMAT
	readonly lastId: number
	readonly restarts: number
	/** When the first of the engines started, in ms of the wall clock. */
	readonly startedAtMs: number
}

const FILE_MODE = 0o600

function write(path: string, value: object): void {
	const beside = `${path}.new`
	writeFileSync(beside, JSON.stringify(value), { mode: FILE_MODE })
	renameSync(beside, path)
}

function read(path: string): Record<string, unknown> | undefined {
	try {
		const value = JSON.parse(readFileSync(path, 'utf8')) as unknown
		return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
	} catch {
		return undefined
	}
}

export function writeSavedEngine(runDir: string, engine: Omit<SavedEngine, 'format'>): void {
	write(`${runDir}/engine.json`, { format: STATE_FORMAT, ...engine })
}

/** What the engine before left; undefined when it was stopped as it should be, or there was none. */
export function readSavedEngine(runDir: string): SavedEngine | undefined {
	const saved = read(`${runDir}/engine.json`)
	if (saved?.['format'] !== STATE_FORMAT) return undefined
	const numbers = [saved['lastId'], saved['restarts'], saved['startedAtMs']]
	return numbers.every(Number.isSafeInteger) ? (saved as unknown as SavedEngine) : undefined
}

/** The format that a run directory is kept in, when it is not ours; undefined when it is, or nothing is kept. */
export function foreignFormat(runDir: string): string | undefined {
	const format = read(`${runDir}/engine.json`)?.['format']
	return format === undefined || format === STATE_FORMAT ? undefined : JSON.stringify(format)
}

/** The service ends: nobody comes after it. */
export function removeSavedEngine(runDir: string): void {
	rmSync(`${runDir}/engine.json`, { force: true })
}

export function writeSavedPog(directory: string, pog: Omit<SavedPog, 'format'>): void {
	write(`${directory}/pog.json`, { format: STATE_FORMAT, ...pog })
}

export function removeSavedPog(directory: string): void {
	for (const name of ['pog.json', 'pog.json.new']) rmSync(`${directory}/${name}`, { force: true })
}

/** Every POG's directory in a run directory, with what is known of it; undefined for one that was not whole. */
export function readSavedPogs(runDir: string): { name: string; saved: SavedPog | undefined }[] {
	let names: string[]
	try {
		names = readdirSync(`${runDir}/pogs`)
	} catch {
		return []
	}
	return names.map(name => ({ name, saved: parse(read(`${runDir}/pogs/${name}/pog.json`), name) }))
}

const MAX_NAME_LENGTH = 64

/** The name under which what is retained goes on when a container of this POG's name starts again. */
export function earlierName(name: string, id: number): string {
	const end = `.${id}`
	return `${name.slice(0, MAX_NAME_LENGTH - end.length)}${end}`
}

const STATUSES: readonly unknown[] = ['created', 'running', 'exited'] satisfies PogStatus[]

function parse(saved: Record<string, unknown> | undefined, name: string): SavedPog | undefined {
	if (saved?.['format'] !== STATE_FORMAT) return undefined
	const { spec, status, id, ringBytes, quotaBytes } = saved as Partial<SavedPog>
	const whole = [id, ringBytes, quotaBytes].every(Number.isSafeInteger) && STATUSES.includes(status)
	if (!whole || spec === undefined) return undefined
	const pog = saved as unknown as SavedPog
	if (spec.name === name) return pog
	// Its directory had its new name, and the file not yet.
	if (status !== 'exited' || earlierName(spec.name, pog.id) !== name) return undefined
	return { ...pog, spec: { ...spec, name, hostname: spec.hostname ?? spec.name }, previousOf: spec.name }
}
