/**
 * What a case of the benchmark is, and what it is given.
 *
 * Invariant: the server of every contestant runs on the last usable CPU; its clients run on the first (`apart`) or beside it
 * (`together`). Both are told, because a wake-up that crosses CPUs costs more than an operation on many (virtual) machines.
 */
import type { Cpu } from './process.ts'
import type { Row } from './table.ts'

export type Placement = 'apart' | 'together'

export interface Bench {
	/** Measurements of each contestant. */
	readonly repeats: number
	readonly server: Cpu
	readonly placements: readonly { readonly name: Placement; readonly client: Cpu }[]
	/** Progress, on standard error. */
	readonly say: (text: string) => void
}

export interface Case {
	/** As named for --only. */
	readonly name: string
	readonly about: string
	readonly run: (bench: Bench) => Promise<Row[]>
}
