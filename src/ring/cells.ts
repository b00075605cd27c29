/**
 * Cells of 64 bytes in mapped memory, one for each thing that has to survive the engine: an open handle, a view's place in the
 * ring, a system call that waits.
 *
 * The first ones are in the ring's header page, more in memory that is asked for in steps. Word 0 of a cell says what it holds, and
 * is stored last when a cell is taken and first when it is given back: a cell is whole or it is free.
 */
import type { Memory } from '../lib/memory.ts'
import type { Ring } from './ring.ts'
import { CELL_BYTES, CELL_FLOATS, CELL_KIND, FIRST_CELL, HEADER_CELLS, STATE } from './state-layout.ts'

/** Where a cell's eight numbers are: `floats[at]` to `floats[at + 7]`. */
export interface Cell {
	readonly index: number
	floats: Float64Array
	readonly at: number
}

/** More memory for cells: `sizeBytes` from byte `offset` on of where they are kept; undefined when there is no room. */
export type MoreCells = (offset: number, sizeBytes: number) => Memory | undefined

/** The first step beyond the header page; each further one doubles what there is. */
const FIRST_STEP = 64

export class Cells {
	#ring: Ring
	readonly #more: MoreCells
	readonly #free: number[] = []
	readonly #cells: Cell[] = []

	/** Finds the cells as an earlier engine left them; all are free in a new ring. */
	constructor(ring: Ring, more: MoreCells = moreOfThisProcess) {
		this.#ring = ring
		this.#more = more
		for (let i = 0; i < HEADER_CELLS; i++) this.#cells.push({ index: i, floats: ring.floats, at: cellAt(i) })
		const beside = ring.floats[STATE.moreCells] ?? 0
		for (let have = 0; have < beside; have = this.#beside) if (!this.#map(stepAfter(have))) break
		for (let i = this.#cells.length - 1; i >= 0; i--) if (this.kind(i) === CELL_KIND.free) this.#free.push(i)
	}

	get #beside(): number {
		return this.#cells.length - HEADER_CELLS
	}

	/** Takes a free cell, zeroed; `publish` says what it holds. Undefined when there is no memory for another. */
	take(): Cell | undefined {
		if (this.#free.length === 0 && !this.#grow()) return undefined
		const cell = this.#cells[this.#free.pop() ?? -1]
		cell?.floats.fill(0, cell.at, cell.at + CELL_FLOATS)
		return cell
	}

	give(cell: Cell): void {
		cell.floats[cell.at] = CELL_KIND.free
		this.#free.push(cell.index)
	}

	byIndex(index: number): Cell | undefined {
		return this.#cells[index]
	}

	/** The kind of a cell, CELL_KIND.free when there is no such cell. */
	kind(index: number): number {
		const cell = this.#cells[index]
		return cell === undefined ? CELL_KIND.free : kindOf(cell)
	}

	/** The cells that hold something. */
	*[Symbol.iterator](): Iterator<Cell> {
		for (const cell of this.#cells) if (kindOf(cell) !== CELL_KIND.free) yield cell
	}

	/** Goes on in the ring that took the old one's place; `moveRing` has copied its header page. */
	moveTo(ring: Ring): void {
		this.#ring = ring
		for (let i = 0; i < HEADER_CELLS; i++) {
			const cell = this.#cells[i]
			if (cell !== undefined) cell.floats = ring.floats
		}
	}

	#grow(): boolean {
		const before = this.#cells.length
		if (!this.#map(stepAfter(this.#beside))) return false
		this.#ring.floats[STATE.moreCells] = this.#beside
		for (let i = this.#cells.length - 1; i >= before; i--) this.#free.push(i)
		return true
	}

	#map(count: number): boolean {
		const memory = this.#more(this.#beside * CELL_BYTES, count * CELL_BYTES)
		if (memory === undefined) return false
		const floats = new Float64Array(memory.buffer)
		for (let i = 0; i < count; i++) this.#cells.push({ index: this.#cells.length, floats, at: i * CELL_FLOATS })
		return true
	}
}

/** For a POG that ends with its process. */
function moreOfThisProcess(_offset: number, sizeBytes: number): Memory {
	const bytes = new Uint8Array(new ArrayBuffer(sizeBytes))
	return { address: 0, bytes, buffer: bytes.buffer as ArrayBuffer }
}

/** Whole pages, and one mapping more each time there are twice as many. */
function stepAfter(have: number): number {
	return Math.max(FIRST_STEP, have)
}

function cellAt(index: number): number {
	return FIRST_CELL + index * CELL_FLOATS
}

/** Word 0 is the kind, and above it what the kind wants to keep with it. */
const KIND_STEP = 16

export function kindOf(cell: Cell): number {
	return (cell.floats[cell.at] ?? 0) % KIND_STEP
}

/** What `publish` was given beside the kind. */
export function noteOf(cell: Cell): number {
	return Math.floor((cell.floats[cell.at] ?? 0) / KIND_STEP)
}

/** The cell holds this from now on. `note`: a number of up to 48 bits, kept in the same word. */
export function publish(cell: Cell, kind: number, note = 0): void {
	cell.floats[cell.at] = note * KIND_STEP + kind
}
