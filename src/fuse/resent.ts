/** The requests that the kernel sends again, taken as a whole before the first is answered. */
import { EINTR, ENOENT } from '../lib/errno.ts'
import { read } from '../sys/io.ts'
import type { RequestId } from './filesystem.ts'
import { OPERATION_BY_OPCODE } from './opcodes.ts'
import type { Request } from './request.ts'

export interface ResentRequest {
	readonly request: RequestId
	/** The whole request, as it was read. */
	readonly copy: Uint8Array
}

/**
 * Reads what is sent again and what comes with it: forgets and interrupts have no such mark. Ends with the first request that is
 * new, which is the last of those answered.
 */
export function takeResent(fd: number, request: Request): ResentRequest[] {
	const { memory } = request
	const taken: ResentRequest[] = []
	for (;;) {
		const got = read(fd, memory.address, memory.bytes.byteLength)
		if (got === -EINTR || got === -ENOENT) continue
		if (got <= 0) return taken
		if (!request.accept(got)) continue
		// These name the requests they are about, and have to come after them.
		const nameless = OPERATION_BY_OPCODE[request.opcode]?.reply === 'none'
		taken.push({ request: nameless ? Number.MAX_SAFE_INTEGER : request.id, copy: memory.bytes.slice(0, got) })
		if (!nameless && !request.resent) return taken
	}
}
