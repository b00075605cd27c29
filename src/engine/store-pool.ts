/**
 * A few stores that were made before anybody wanted them: their tmpfs, FUSE mount and socket are the greater part of making a POG,
 * and a container that starts on a busy machine waits for it.
 *
 *     RUN/pogs/.spare-ID    becomes RUN/pogs/NAME: mounts go where their directory goes
 *
 * Invariant: a spare belongs to nobody and nothing of it is seen by a container; it is used once. What a killed engine leaves of them
 * is removed by the next like every directory that holds no whole POG.
 */
import { renameSync } from 'node:fs'
import { close } from '../sys/io.ts'
import { remountTmpfs } from '../sys/mount.ts'
import type { Calm } from './calm.ts'
import type { FdStore } from './fd-store.ts'
import { forgetDescriptors, moveStore, prepareStore, releaseStore, type Store, storeDirectory } from './store.ts'
import { storeBytes } from './store-size.ts'

/** What an engine starts one after the other, or a few at once, while the last ones are being made up for. */
const SPARES = 4

/** No POG's name begins with a dot. */
const SPARE = '.spare-'

/** Whether a directory of RUN/pogs is one of these. */
export function isSpare(name: string): boolean {
	return name.startsWith(SPARE)
}

export interface Sizes {
	readonly ringBytes: number
	readonly quotaBytes: number
}

export interface Spare {
	readonly id: number
	readonly name: string
	readonly store: Store
	readonly sizes: Sizes
}

export interface StorePoolOptions {
	readonly runDir: string
	readonly fdStore: FdStore
	readonly calm: Calm
	/** What most POGs have. */
	readonly sizes: () => Sizes
	/** An id that no POG has had, written down as given. */
	readonly newId: () => number
}

export class StorePool {
	readonly #options: StorePoolOptions
	readonly #spares: Spare[] = []
	#filling = false
	#closed = false

	constructor(options: StorePoolOptions) {
		this.#options = options
	}

	/** A store for a POG of that name, with the id that its descriptors are kept under; undefined when there is none. */
	take(name: string, sizes: Sizes): { readonly id: number; readonly store: Store } | undefined {
		const spare = this.#spares.shift()
		if (spare === undefined) return undefined
		const { runDir } = this.#options
		try {
			renameSync(storeDirectory(runDir, spare.name), storeDirectory(runDir, name))
		} catch {
			// Something lies there: whoever makes a store in that place says what.
			this.#spares.push(spare)
			return undefined
		}
		const store = moveStore(runDir, name, spare.store)
		const bytes = storeBytes(sizes.ringBytes, sizes.quotaBytes)
		const fits = bytes === storeBytes(spare.sizes.ringBytes, spare.sizes.quotaBytes)
		if (fits || remountTmpfs(store.storePath, bytes) === 0) return { id: spare.id, store }
		this.#release({ ...spare, name })
		return undefined
	}

	/** Makes up for those that were taken, when it is calm. */
	fill(): void {
		if (this.#filling || this.#closed) return
		this.#filling = true
		void this.#fill().finally(() => {
			this.#filling = false
		})
	}

	async #fill(): Promise<void> {
		const { calm, runDir, fdStore, newId, sizes } = this.#options
		while (this.#spares.length < SPARES) {
			await calm.come()
			if (this.#closed) return
			const id = newId()
			const name = `${SPARE}${id}`
			const { ringBytes, quotaBytes } = sizes()
			const store = prepareStore(runDir, name, ringBytes, quotaBytes, 'kernel', { fdStore, id })
			// The next POG meets the same problem, and tells it.
			if (typeof store === 'string') return
			this.#spares.push({ id, name, store, sizes: { ringBytes, quotaBytes } })
		}
	}

	#release({ id, name, store }: Spare): void {
		for (const fd of [store.fuseFd, store.logFd, store.storeFd]) close(fd)
		forgetDescriptors({ fdStore: this.#options.fdStore, id })
		releaseStore(this.#options.runDir, name)
	}

	/** Gives all of them back; none is made any more. */
	close(): void {
		this.#closed = true
		for (const spare of this.#spares.splice(0)) this.#release(spare)
	}
}
