/**
 * `/run/pog/stats`, `status` and `pogctl`: what the container is told about its log, made when asked.
 */
import type { NodeId } from '../fuse/filesystem.ts'
import { formatDiagnostic } from '../lib/diagnostic.ts'
import { formatSize } from '../lib/size.ts'
import { describePog } from '../pog/describe.ts'
import { DENIED_REASONS, type DeniedReason, DROP_REASONS, type DropReason } from '../pog/info.ts'
import type { Pog } from '../pog/pog.ts'
import { NODE } from './nodes.ts'

/** What the tree serves but does not make. */
export interface Reports {
	/** The in-container `pogctl`, a shell script. */
	readonly pogctl: Uint8Array
}

/** Content of a report's node; undefined for any other node. */
export function reportBytes(node: NodeId, pog: Pog, reports: Reports): Uint8Array | undefined {
	if (node === NODE.pogctl) return reports.pogctl
	if (node === NODE.stats) return Buffer.from(stats(pog))
	if (node === NODE.status) return Buffer.from(status(pog))
	return undefined
}

/** One `key value` line a figure, for programs. */
function stats(pog: Pog): string {
	const info = describePog(pog)
	const rows: [string, number][] = [
		['ring_size_bytes', info.ring.sizeBytes],
		['ring_used_bytes', info.ring.usedBytes],
		['records', info.ring.records],
		['next_seq', info.ring.nextSeq],
	]
	for (const [origin, count] of Object.entries(info.accepted)) rows.push([`accepted_${origin}`, count])
	for (const [reason, count] of Object.entries(info.drops)) rows.push([`drops_${reason}`, count])
	for (const [reason, count] of Object.entries(info.denied)) rows.push([`denied_${reason}`, count])
	return `${rows.map(([key, value]) => `${key} ${value}`).join('\n')}\n`
}

const CONF_STATES = {
	default: "the host's default",
	own: 'of this container',
	kept: 'the last good one, because the newest text is not usable',
} as const

/** The same for people: the configuration in force, what is wrong with it, and what was lost. */
function status(pog: Pog): string {
	const info = describePog(pog)
	const lines = [
		`ring: ${formatSize(info.ring.usedBytes)} of ${formatSize(info.ring.sizeBytes)} used, ${info.ring.records} records`,
		`configuration: ${CONF_STATES[info.conf.state]}, ${info.conf.rules} rules`,
	]
	for (const diagnostic of info.conf.diagnostics) lines.push(`  ${formatDiagnostic(diagnostic)}`)
	for (const [reason, count] of Object.entries(info.drops)) {
		if (count > 0) lines.push(`${reason}: ${count} (${DROP_REASONS[reason as DropReason]})`)
	}
	for (const [reason, count] of Object.entries(info.denied)) {
		if (count > 0) lines.push(`denied, ${reason}: ${count} (${DENIED_REASONS[reason as DeniedReason]})`)
	}
	for (const view of info.views) lines.push(`/${view.path}: ${formatSize(view.sizeBytes)}, ${view.records} records`)
	return `${lines.join('\n')}\n`
}
