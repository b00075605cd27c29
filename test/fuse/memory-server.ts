/**
 * Serves a `MemoryFilesystem` until it is unmounted, by the loop that a shard runs.
 *
 * Arguments: a directory to mount on, or `fd:N` for a connection that is mounted already, then the JSON of what an
 * earlier server negotiated on it, if one did. Prints `ready`, `negotiated JSON`, a line per fault, and `gone JSON`.
 */
import { writeSync } from 'node:fs'
import type { Negotiated } from '../../src/fuse/negotiate.ts'
import { Session } from '../../src/fuse/session.ts'
import { Workspace } from '../../src/fuse/workspace.ts'
import { errnoName } from '../../src/lib/errno.ts'
import { EPOLLIN, Epoll } from '../../src/sys/epoll.ts'
import { mountFuse } from '../../src/sys/mount.ts'
import { MemoryFilesystem } from './memory-filesystem.ts'

const SPINS = 20
const BATCH = 64

const [, , where = '', earlier] = process.argv
const fd = where.startsWith('fd:') ? Number(where.slice(3)) : mount(where)
const session = new Session(fd, new MemoryFilesystem(), {
	workspace: new Workspace(),
	log: ({ message, operation, node }) => print(`fault ${operation} ${node} ${message}`),
	...(earlier === undefined ? {} : { negotiated: JSON.parse(earlier) as Negotiated }),
})
const epoll = new Epoll()
epoll.add(fd, EPOLLIN, 0)
print('ready')
if (earlier !== undefined) session.resend()

let idle = 0
let told = earlier !== undefined
for (;;) {
	const served = session.serve(BATCH)
	if (served < 0) break
	if (!told && session.negotiated !== undefined) {
		print(`negotiated ${JSON.stringify(session.negotiated)}`)
		told = true
	}
	idle = served === 0 ? idle + 1 : 0
	if (idle > SPINS) epoll.wait(-1)
}
print(`gone ${JSON.stringify(session.counters)}`)

function mount(directory: string): number {
	const mounted = mountFuse(directory, { fsname: 'memory' })
	if (typeof mounted === 'number') throw new Error(`Cannot mount: ${errnoName(mounted)}`)
	return mounted.fd
}

function print(line: string): void {
	writeSync(1, `${line}\n`)
}
