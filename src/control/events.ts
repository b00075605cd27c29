/**
 * What happens to POGs, as the host is told (`pogctl events`, GET /v1/events): one table of kinds.
 *
 * Invariant: what a container can cause is bounded by time, not by how often it does it (see `engine/pog-observer.ts`).
 */

/** Every kind of event. */
export const EVENT_KINDS = {
	created: 'a POG is there',
	started: 'the first process of its container is known',
	attached: 'mounted in a running container',
	detached: 'taken out of it again',
	configured: 'another configuration is in force, or was refused',
	resized: 'the ring has another size',
	drops: 'records did not stay: how many more of each reason',
	exited: 'its container is gone',
	renamed: 'its container starts again: what is retained has a name of its own',
	removed: 'the POG is gone, with its records',
	missed: 'events that were forgotten before this reader came to them',
} as const
export type EventKind = keyof typeof EVENT_KINDS

export type EventFields = Readonly<Record<string, string | number>>

export interface PogEvent {
	/** Counts up from 0 since the service started. */
	seq: number
	/** Microseconds of CLOCK_REALTIME. */
	realtimeUs: number
	event: EventKind
	pog: string
	id: number
	containerId: string
	/** What there is to say about it: `pid`, `state`, `overwritten`, ... */
	fields: EventFields
}

export interface EventFilter {
	/** Only the last N that match, before following. */
	last?: number
	sinceRealtimeUs?: number
	/** Names, ids, or beginnings of container ids. */
	pogs?: readonly string[]
	follow?: boolean
}
