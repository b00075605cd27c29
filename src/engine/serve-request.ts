/** What the shard is asked for a row of the POG table. */
import type { PogSpec } from '../control/service.ts'
import type { Rate } from '../pog/rate-limit.ts'
import type { ServeRequest } from './messages.ts'
import type { TableEntry } from './pog-table.ts'
import type { HostPolicy } from './policy.ts'

/** What the policy gives a POG that names no limit. */
export function rateOf({ ratePerSecond, burst }: HostPolicy): Rate | undefined {
	return ratePerSecond === 0 ? undefined : { perSecond: ratePerSecond, burst: burst || 2 * ratePerSecond }
}

export function serveRequest(
	{ id, store, ringBytes, quotaBytes, process }: TableEntry,
	spec: Omit<PogSpec, 'rate'> & { rate?: Rate | undefined },
): ServeRequest {
	const { fuseFd, mountPoint, logFd, storeFd, storePath, ringPath } = store
	return {
		id,
		name: spec.name,
		hostname: spec.hostname ?? spec.name,
		owner: spec.owner ?? { uid: 0, gid: 0 },
		containerId: spec.containerId ?? '',
		conf: spec.conf === undefined ? null : Buffer.from(spec.conf, 'utf8').toString('latin1'),
		rate: spec.rate ?? null,
		fuseFd,
		mountPoint,
		logFd,
		storeFd,
		storePath,
		ringPath,
		ringBytes,
		quotaBytes,
		revive: false,
		resume: false,
		retired: false,
		pid: process?.pid ?? 0,
		syslogFds: [],
	}
}
