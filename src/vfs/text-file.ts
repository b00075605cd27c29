/**
 * Small files whose content is made when they are opened: `stats`, `status`, the in-container `pogctl`.
 */
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import type { NodeId, ReadReply, ReadRequest } from '../fuse/filesystem.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile, readFrom } from './open-file.ts'

export class TextFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
	readonly kind = CELL_KIND.nodeFile
	readonly #bytes: Uint8Array
	readonly #node: NodeId

	constructor(bytes: Uint8Array, node: NodeId) {
		super()
		this.#node = node
		this.#bytes = bytes
	}

	override note(): number {
		return this.#node
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		return readFrom(this.#bytes, request, reply)
	}
}
