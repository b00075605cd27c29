/** What the control plane refuses, in words that name the remedy. */
import type { Failure } from '../control/service.ts'
import { formatSize } from '../lib/size.ts'
import type { TableEntry } from './pog-table.ts'
import type { HostPolicy } from './policy.ts'

export function attachedElsewhere(entry: TableEntry): string | undefined {
	if (entry.attached === undefined) return undefined
	return `"${entry.name}" is mounted in the container of process ${entry.attached.pid}: "pogctl detach" it first`
}

export function failure(status: Failure['failure']['status'], message: string): Failure {
	return { failure: { status, message } }
}

export function unknownPog(name: string): Failure {
	return failure(404, `No POG is named "${name}": "pogctl ls" lists them`)
}

export function noEarlierLife(name: string): Failure {
	return failure(404, `No earlier life of "${name}" is kept: retain and retain-count in pogs.conf say how long one is`)
}

export function nameTaken(name: string): Failure {
	return failure(409, `The name "${name}" is taken: choose another, or remove it with "pogctl rm"`)
}

export function tooLarge(ringBytes: number, policy: HostPolicy): Failure {
	return failure(
		422,
		`A ring of ${formatSize(ringBytes)} is more than this host allows (${formatSize(policy.maxRingBytes)}, max-ring in pogs.conf)`,
	)
}
