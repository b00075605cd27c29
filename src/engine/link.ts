/**
 * How a POG's tree reaches its container: what every transport offers the shard.
 *
 * Invariant: a shard knows a connection by this only, so a transport is chosen in one place (`shard-thread.ts` or
 * `native-shard.ts`).
 */
import type { Filesystem } from '../fuse/filesystem.ts'
import type { Fault } from '../fuse/session.ts'
import type { ServeRequest } from './messages.ts'
import type { Endpoint } from './reactor.ts'

export interface Link {
	/** What the loop has to serve; null when the transport is called by itself. */
	readonly endpoint: Endpoint | null
	/** Where the transport mounts: null when it has, or why it could not. */
	readonly mounted?: Promise<string | null>
	/** Ends serving and gives back what the transport holds. */
	close(): void
}

/** Serves `tree` for a POG by another transport than the kernel's protocol. `onGone`: somebody else has removed its mount. */
export type Connect = (request: ServeRequest, tree: Filesystem, log: (fault: Fault) => void, onGone: () => void) => Link
