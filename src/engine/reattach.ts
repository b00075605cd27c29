/**
 * Puts a POG whose connection was lost (its keeper was killed as well) back in front of its container: the new mount and the new
 * socket in place of the dead ones. Invariant: whatever a container does, the others are served meanwhile.
 */
import { attachRunning } from '../attach/attach-running.ts'
import { ATTACH_PARTS } from '../control/service.ts'
import type { Log } from './log.ts'
import type { EngineService } from './pog-service.ts'
import type { TableEntry } from './pog-table.ts'

/** syslog.warning, from us. */
const WARNING = { facility: 5, severity: 4, tag: 'pogs' } as const

export async function reattach(service: EngineService, entry: TableEntry, log: Log): Promise<void> {
	const { name, process, attached, store } = entry
	const pid = attached?.pid ?? process?.pid
	const parts = attached?.parts ?? new Set(entry.parts)
	if (pid === undefined || parts.size === 0) return
	const outcome = await attachRunning({ pid, paths: store.paths, attach: parts })
	if ('problem' in outcome) {
		log('error', 'a container is cut off from its log', { pog: name, why: outcome.problem })
		return
	}
	service.journal.add('attached', entry, { pid })
	log('info', 'attached again', { pog: name, pid, left: outcome.left.join('; ') })
	const lost = 'The service was gone, and this log with it: what was written meanwhile went nowhere'
	const all = parts.size === ATTACH_PARTS.length
	await service.write(name, { ...WARNING, text: all ? `${lost}; syslog(2) is not answered any more` : lost })
}
