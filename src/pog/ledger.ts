/**
 * What a POG accepted, what it lost and what it denied, one counter an origin and a reason.
 *
 * The counters live in the ring's header, so that they survive the engine and any reader of the mapping sees them.
 */
import { FIELD } from '../ring/layout.ts'
import type { Ring } from '../ring/ring.ts'
import { DENIED_REASONS, type DeniedReason, DROP_REASONS, type DropReason, ORIGINS, type Origin } from './info.ts'

const REASONS = Object.keys(DROP_REASONS) as DropReason[]
const REASON_INDEX = Object.fromEntries(REASONS.map((reason, i) => [reason, i])) as Record<DropReason, number>

const DENIALS = Object.keys(DENIED_REASONS) as DeniedReason[]
const DENIAL_INDEX = Object.fromEntries(DENIALS.map((reason, i) => [reason, i])) as Record<DeniedReason, number>

/** Code of an origin in a descriptor. */
export const ORIGIN_CODE = Object.fromEntries(ORIGINS.map((origin, i) => [origin, i])) as Record<Origin, number>

export class Ledger {
	#floats: Float64Array

	constructor(ring: Ring) {
		this.#floats = ring.floats
	}

	moveTo(ring: Ring): void {
		this.#floats = ring.floats
	}

	accept(originCode: number): void {
		const at = FIELD.accepted + originCode
		this.#floats[at] = (this.#floats[at] ?? 0) + 1
	}

	drop(reason: DropReason, records = 1): void {
		const at = FIELD.drops + REASON_INDEX[reason]
		this.#floats[at] = (this.#floats[at] ?? 0) + records
	}

	deny(reason: DeniedReason): void {
		const at = FIELD.denied + DENIAL_INDEX[reason]
		this.#floats[at] = (this.#floats[at] ?? 0) + 1
	}

	dropped(reason: DropReason): number {
		return this.#floats[FIELD.drops + REASON_INDEX[reason]] ?? 0
	}

	accepted(): Record<Origin, number> {
		return Object.fromEntries(ORIGINS.map((o, i) => [o, this.#floats[FIELD.accepted + i] ?? 0])) as Record<
			Origin,
			number
		>
	}

	denied(): Record<DeniedReason, number> {
		return Object.fromEntries(DENIALS.map((r, i) => [r, this.#floats[FIELD.denied + i] ?? 0])) as Record<
			DeniedReason,
			number
		>
	}

	drops(): Record<DropReason, number> {
		return Object.fromEntries(REASONS.map((r, i) => [r, this.#floats[FIELD.drops + i] ?? 0])) as Record<
			DropReason,
			number
		>
	}
}
