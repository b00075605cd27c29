/**
 * What a case of the benchmark is, and what it is given.
 *
 * Invariant: the server of every contestant runs on the last usable CPU; its clients run on the first (`apart`) or beside it
 * (`together`). Both are told, because a wake-up that crosses CPUs costs more than an operation on many (virtual) machines.
 */
import type { Cpu } from './process.ts'
import type { Row, Target } from './table.ts'

export type Placement = 'apart' | 'together'

export interface Place {
	readonly name: Placement
	readonly client: Cpu
}

export interface Bench {
	/** Measurements of each contestant. */
	readonly repeats: number
	readonly server: Cpu
	/** The first is the one that targets are held against; any other is told beside it. */
	readonly placements: readonly Place[]
	/** As little as shows that it works. */
	readonly quick?: boolean
	/** Progress, on standard error. */
	readonly say: (text: string) => void
}

/** The target of a row, when it is measured where targets are held. */
export const targetAt = (bench: Bench, place: Place, target: Target): { readonly target?: Target } =>
	place === bench.placements[0] ? { target } : {}

export interface Case {
	/** As named for --only. */
	readonly name: string
	readonly about: string
	readonly run: (bench: Bench) => Promise<Row[]>
}
