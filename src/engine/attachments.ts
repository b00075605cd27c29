/**
 * Puts a POG in front of a container that runs, and takes it away again: what the API and the hooks of LXC and systemd-nspawn ask for.
 *
 * Invariant: after a failure there is no POG that there was not before.
 */
import { attachRunning, detachRunning } from '../attach/attach-running.ts'
import { hostSyslog } from '../attach/host-syslog.ts'
import { firstProcess, ownerOfProcess } from '../attach/process.ts'
import { ATTACH_PARTS, type AttachReport, type AttachRequest, type Outcome } from '../control/service.ts'
import { HOST_NAME } from './host-log.ts'
import type { EngineService } from './pog-service.ts'
import { setProcess } from './pog-table.ts'
import { attachedElsewhere, failure } from './refusals.ts'

/** Mounts a POG in a container; it is made when there is none of that name. */
export async function attachTo(
	service: EngineService,
	name: string,
	request: AttachRequest,
): Promise<Outcome<AttachReport>> {
	const owner = ownerOfProcess(request.pid)
	if (owner === undefined) return failure(404, `No process has the id ${request.pid}`)
	const fresh = service.table.find(name) === undefined && name !== HOST_NAME && name !== '0'
	const made = fresh ? await service.create({ name, owner }) : null
	if (made !== null && 'failure' in made) return made
	return service.withPog(name, async entry => {
		const attach = new Set(request.parts ?? ATTACH_PARTS)
		const problem = entry.status === 'exited' ? `The container of "${name}" is gone` : attachedElsewhere(entry)
		if (problem !== undefined) return failure(409, problem)
		const { paths, storePath } = entry.store
		// One that was made before has what its maker put there.
		const lower = fresh ? { lowerStore: storePath } : {}
		const outcome = await attachRunning({ pid: request.pid, paths, attach, ...lower })
		if ('problem' in outcome) {
			if (fresh) await service.remove(name)
			return failure(422, outcome.problem)
		}
		entry.attached = { pid: request.pid, parts: attach }
		entry.status = 'running'
		const first = firstProcess(request.pid)
		setProcess(entry, first)
		entry.chargeDue = true
		service.save(entry)
		const exposed = attach.has('kmsg') ? (hostSyslog(request.pid) ?? hostSyslog(first)) : undefined
		const seen = exposed === undefined ? {} : { hostSyslog: exposed }
		service.journal.add('attached', entry, { pid: request.pid, ...seen })
		await service.watch(entry, first)
		service.onAttached(entry)
		return { value: { done: outcome.value, left: outcome.left, ...seen } }
	})
}

/** Takes it out of the container; the POG stays. */
export function detachFrom(service: EngineService, name: string): Promise<Outcome<AttachReport>> {
	return service.withPog(name, async entry => {
		if (entry.attached === undefined) return failure(409, `"${name}" was not mounted by "pogctl attach"`)
		const { pid, parts } = entry.attached
		const outcome = await detachRunning({ pid, paths: entry.store.paths, attach: parts })
		if ('problem' in outcome) return failure(422, outcome.problem)
		delete entry.attached
		entry.status = 'created'
		service.save(entry)
		service.journal.add('detached', entry, { pid })
		return { value: { done: outcome.value, left: outcome.left } }
	})
}
