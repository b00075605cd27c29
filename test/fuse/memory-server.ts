/**
 * Mounts `MemoryFilesystem` on the directory given and serves it until it is unmounted: the loop a shard runs.
 * Prints `ready`, then a line per fault, and `gone` at the end.
 */
import { writeSync } from 'node:fs'
import { Session } from '../../src/fuse/session.ts'
import { Workspace } from '../../src/fuse/workspace.ts'
import { errnoName } from '../../src/lib/errno.ts'
import { EPOLLIN, Epoll } from '../../src/sys/epoll.ts'
import { mountFuse } from '../../src/sys/mount.ts'
import { MemoryFilesystem } from './memory-filesystem.ts'

const SPINS = 20
const BATCH = 64

const mounted = mountFuse(process.argv[2] ?? '', { fsname: 'memory' })
if (typeof mounted === 'number') throw new Error(`Cannot mount: ${errnoName(mounted)}`)
const session = new Session(mounted.fd, new MemoryFilesystem(), {
	workspace: new Workspace(),
	log: ({ message, operation, node }) => writeSync(1, `fault ${operation} ${node} ${message}\n`),
})
const epoll = new Epoll()
epoll.add(mounted.fd, EPOLLIN, 0)
writeSync(1, 'ready\n')

let idle = 0
for (;;) {
	const served = session.serve(BATCH)
	if (served < 0) break
	idle = served === 0 ? idle + 1 : 0
	if (idle > SPINS) epoll.wait(-1)
}
const { counters } = session
writeSync(1, `gone ${JSON.stringify({ ...counters, features: session.features })}\n`)
