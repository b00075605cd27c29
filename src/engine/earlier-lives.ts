/**
 * Earlier lives: when a container starts again, what is retained of it goes on under a name of its own, NAME.ID, as an exited POG like any
 * other; `pogctl logs NAME --previous` finds it.
 *
 * Invariant: it is retained as long as it would have been, no longer; of one name never more than MAX_LIVES, so that one that
 * crashes in a loop does not take the room of all others. Killed in the middle, an engine leaves it under the one name or the other.
 */
import { renameSync } from 'node:fs'
import type { EngineService } from './pog-service.ts'
import type { TableEntry } from './pog-table.ts'
import { earlierName } from './saved-pogs.ts'
import { adoptStore, releaseStore, storeDirectory } from './store.ts'

export const MAX_LIVES = 3

/** Gives the name of an exited POG free. False: it keeps it, or is gone altogether. */
export async function putAside(service: EngineService, runDir: string, entry: TableEntry): Promise<boolean> {
	const { name: before, spec } = entry
	const name = earlierName(before, entry.id)
	if (service.table.isTaken(name)) return false
	await service.letGo(entry)
	renameSync(storeDirectory(runDir, before), storeDirectory(runDir, name))
	const store = adoptStore(runDir, name, { fuseFd: -1, logFd: -1 })
	service.table.remove(entry)
	// Its lines keep the host name that they had.
	Object.assign(entry, { name, spec: { ...spec, name, hostname: spec.hostname ?? before }, previousOf: before })
	if (typeof store !== 'string') {
		entry.store = store
		service.save(entry)
		if ((await service.revive(entry, { resume: false, syslogFds: [] })) === undefined) {
			service.journal.add('renamed', { ...entry, name: before }, { to: name })
			return true
		}
	}
	service.journal.add('removed', entry)
	releaseStore(runDir, name)
	return false
}
