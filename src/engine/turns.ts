/**
 * Whose turn it is: processor time shared fairly between POGs, whatever each turn costs.
 *
 * The idea is the kernel's own (CFS, EEVDF; kernel/sched/fair.c v6.12): everybody has a clock that runs while it is served, and
 * the one whose clock is furthest behind is next. Who comes after a pause gets the clock of those who worked meanwhile, a little
 * behind it: so it is served at once, and a pause is no savings account.
 *
 * Invariant: of two who always have work, neither gets more than one turn's length ahead of the other.
 */

/** Time used by one owner of endpoints: a POG has one for its files, its socket and its system calls together. */
export class Account {
	/** Milliseconds on a scale that all accounts of a loop share; only differences mean something. */
	usedMs = 0
}

/** How far behind the others somebody is put who comes after a pause. */
const HEAD_START_MS = 5

export class Turns {
	/** The clock of whoever was furthest behind and had a turn lately: never goes back. */
	#floorMs = 0

	/** This account has work again. */
	enter(account: Account): void {
		account.usedMs = Math.max(account.usedMs, this.#floorMs - HEAD_START_MS)
	}

	/** It had the turn, as the one furthest behind, and took so long. */
	charge(account: Account, ms: number): void {
		this.#floorMs = Math.max(this.#floorMs, account.usedMs)
		account.usedMs += ms
	}
}
