/**
 * Makes the container pay for its ring: the pages belong to the memory cgroup of who touches them first, so a helper
 * inside that cgroup allocates a file (`attach/charge.ts`), and the ring moves into it.
 *
 * Runs beside the container, never on its start path. Invariant: at every moment the POG has a whole ring; where the
 * container has no room for one of the size asked for, it has a smaller one and is told.
 */
import { rm, writeFile } from 'node:fs/promises'
import { chargeFile, memoryCgroupOf } from '../attach/charge.ts'
import { formatSize } from '../lib/size.ts'
import { geometry, MIN_RING_BYTES } from '../ring/layout.ts'
import type { EngineService } from './pog-service.ts'
import type { TableEntry } from './pog-table.ts'

export class Charging {
	readonly #service: EngineService
	/** One at a time for each POG: a resize in the middle of a charge is charged after it. */
	readonly #running = new Map<TableEntry, Promise<void>>()

	constructor(service: EngineService) {
		this.#service = service
	}

	/** Charges the ring of a POG to the container that this process belongs to; `ringBytes` is the size it should have. */
	charge(entry: TableEntry, pid: number, ringBytes: number): Promise<void> {
		const before = this.#running.get(entry) ?? Promise.resolve()
		const run = before.then(() => this.#charge(entry, pid, ringBytes))
		this.#running.set(entry, run)
		return run.finally(() => {
			if (this.#running.get(entry) === run) this.#running.delete(entry)
		})
	}

	async #charge(entry: TableEntry, pid: number, ringBytes: number): Promise<void> {
		const cgroup = memoryCgroupOf(pid)
		if (cgroup === undefined) return
		const path = `${entry.store.storePath}/ring.charged`
		try {
			await writeFile(path, '', { mode: 0o600 })
			const { bytes, problem } = await chargeFile({ cgroup, path, bytes: geometry(ringBytes).fileBytes })
			const textBytes = largestRing(bytes)
			if (textBytes === 0) {
				await this.#tell(entry, `the ring is not charged to the container: ${problem ?? 'it has no room'}`)
				return
			}
			const moved = await this.#service.adoptRing(entry, path, textBytes)
			if ('failure' in moved) await this.#tell(entry, moved.failure.message)
			else if (textBytes < geometry(ringBytes).textBytes) {
				await this.#tell(
					entry,
					`the ring is ${formatSize(textBytes)}: the container has no memory for ${formatSize(ringBytes)}`,
				)
			}
		} finally {
			// Moved away when it was adopted.
			await rm(path, { force: true }).catch(() => {})
		}
	}

	async #tell(entry: TableEntry, text: string): Promise<void> {
		await this.#service.write(entry.name, { facility: 5, severity: 4, tag: 'pogs', text })
	}
}

/** Text bytes of the largest ring whose file has at most so many bytes; 0 when not even the smallest fits. */
function largestRing(fileBytes: number): number {
	let textBytes = 0
	for (let wish = MIN_RING_BYTES; geometry(wish).fileBytes <= fileBytes; wish *= 2) {
		if (geometry(wish).textBytes < wish) break
		textBytes = wish
	}
	return textBytes
}
