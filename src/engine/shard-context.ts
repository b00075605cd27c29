/** What the POGs of one shard share: made once by the shard, handed to each. */
import type { Clock } from '../lib/clock.ts'
import type { Memory } from '../lib/memory.ts'
import type { Limits, PogPolicy } from '../pog/limits.ts'
import type { Staging } from '../ingest/staging.ts'
import type { SyslogDesk } from '../syslog2/syslog-calls.ts'
import type { Backing } from '../vfs/backing.ts'
import type { FdStore } from './fd-store.ts'
import type { PogTree } from '../vfs/pog-tree.ts'
import type { Link } from './link.ts'
import type { ServeRequest } from './messages.ts'
import type { Endpoint } from './reactor.ts'

export interface ShardContext {
	readonly limits: Limits
	policy: PogPolicy
	readonly clock: Clock
	readonly calls: Backing['calls']
	readonly scratch: Memory
	readonly staging: Staging
	readonly pogctl: Uint8Array
	readonly desk: SyslogDesk
	readonly fdStore: FdStore
	/** The ring has another size, made by us: whoever should pay for it does not yet. */
	resized(id: number, textBytes: number): void
	/** This descriptor is the last one of a large file: somebody else closes it. */
	spent(fd: number): void
	/** This connection has work that the kernel does not know of. */
	nudge(endpoint: Endpoint): void
	/** `onGone`: the connection ended by itself. */
	connect(request: ServeRequest, tree: PogTree, onGone: () => void): Link
}
