/**
 * Looks at a POG once a tick, in its shard, for what the host is told as events: another configuration, another ring, drops.
 *
 * Invariant: whatever a container does and how often, it causes at most one event of a kind a tick, and fewer and fewer (up to one
 * in `MAX_INTERVAL_TICKS`) while it goes on. Nothing is allocated when there is nothing to tell.
 */
import type { EventFields } from '../control/events.ts'
import { DROP_REASONS, type DropReason } from '../pog/info.ts'
import type { Pog } from '../pog/pog.ts'

const MAX_INTERVAL_TICKS = 64
const REASONS = Object.keys(DROP_REASONS) as DropReason[]
/** What every log does once it is full, or is configured to do: told when it begins, and never again. */
const ONCE: ReadonlySet<DropReason> = new Set(['overwritten', 'unrouted'])

export interface Noticed {
	readonly kind: 'configured' | 'resized' | 'drops'
	readonly fields: EventFields
}

export class PogObserver {
	readonly #pog: Pog
	readonly #paces = { configured: new Pace(), resized: new Pace(), drops: new Pace() }
	#generation: number
	#ringBytes: number
	/** Drops that were told, by reason. */
	readonly #told = new Float64Array(REASONS.length)

	constructor(pog: Pog) {
		this.#pog = pog
		this.#generation = pog.configured.generation
		this.#ringBytes = pog.ring.textBytes
	}

	/** To be called once a tick. `last`: what there is, whatever its pace, because no other look follows. */
	look(tell: (noticed: Noticed) => void, last = false): void {
		const { configured, ring } = this.#pog
		if (this.#paces.configured.due(configured.generation !== this.#generation, last)) {
			this.#generation = configured.generation
			const { state, rules, diagnostics } = configured
			const errors = diagnostics.filter(({ level }) => level === 'error').length
			tell({ kind: 'configured', fields: { state, rules, errors, warnings: diagnostics.length - errors } })
		}
		if (this.#paces.resized.due(ring.textBytes !== this.#ringBytes, last)) {
			this.#ringBytes = ring.textBytes
			tell({ kind: 'resized', fields: { ringBytes: ring.textBytes } })
		}
		if (this.#paces.drops.due(this.#anyDrops(), last)) tell({ kind: 'drops', fields: this.#takeDrops() })
	}

	#anyDrops(): boolean {
		for (let i = 0; i < REASONS.length; i++) if (this.#untold(i) > 0) return true
		return false
	}

	#untold(i: number): number {
		const reason = REASONS[i] ?? 'lost'
		const told = this.#told[i] ?? 0
		if (told > 0 && ONCE.has(reason)) return 0
		const { ring, ledger } = this.#pog
		return (reason === 'overwritten' ? ring.tailSeq : ledger.dropped(reason)) - told
	}

	#takeDrops(): EventFields {
		const fields: Record<string, number> = {}
		for (const [i, reason] of REASONS.entries()) {
			const records = this.#untold(i)
			if (records <= 0) continue
			fields[reason] = records
			this.#told[i] = (this.#told[i] ?? 0) + records
		}
		return fields
	}
}

/** Slower while something goes on, at once after a pause. */
class Pace {
	#wait = 0
	#interval = 1

	due(changed: boolean, last: boolean): boolean {
		if (this.#wait > 0 && !last) {
			this.#wait--
			return false
		}
		if (changed) this.#wait = this.#interval - 1
		this.#interval = changed ? Math.min(2 * this.#interval, MAX_INTERVAL_TICKS) : 1
		return changed
	}
}
