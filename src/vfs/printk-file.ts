/**
 * /proc/sys/kernel/printk and dmesg_restrict of one POG. Source: proc_dointvec_minmax of kernel/sysctl.c (v6.12), proc_sys_kernel(5).
 *
 * As with every sysctl file, a write is a value of its own and counts only at the file's beginning (sysctl_writes_strict);
 * truncating means nothing.
 */
import type { NodeId, ReadReply, ReadRequest, WriteRequest } from '../fuse/filesystem.ts'
import { FOPEN_DIRECT_IO, FOPEN_NOFLUSH } from '../fuse/flags.ts'
import type { PrintkSettings } from '../pog/printk.ts'
import { NODE } from './nodes.ts'
import { CELL_KIND } from '../ring/state-layout.ts'
import { OpenFile, readFrom } from './open-file.ts'

/** No value is longer. */
const MAX_WRITE_BYTES = 4096

export class PrintkFile extends OpenFile {
	readonly openFlags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH
	readonly kind = CELL_KIND.nodeFile
	readonly #settings: PrintkSettings
	readonly #node: NodeId

	constructor(settings: PrintkSettings, node: NodeId) {
		super()
		this.#settings = settings
		this.#node = node
	}

	override note(): number {
		return this.#node
	}

	/** Whether a node is one of these files. */
	static is(node: NodeId): boolean {
		return node === NODE.printk || node === NODE.dmesgRestrict
	}

	override read(request: ReadRequest, reply: ReadReply): number {
		const { printkText, dmesgRestrictText } = this.#settings
		return readFrom(Buffer.from(this.#node === NODE.printk ? printkText : dmesgRestrictText), request, reply)
	}

	override write({ memory, start, sizeBytes, offset }: WriteRequest): number {
		if (offset > 0) return sizeBytes
		const text = Buffer.from(memory.bytes.subarray(start, start + Math.min(sizeBytes, MAX_WRITE_BYTES))).toString(
			'latin1',
		)
		const settings = this.#settings
		const answer = this.#node === NODE.printk ? settings.writePrintk(text) : settings.writeDmesgRestrict(text)
		return answer < 0 ? answer : sizeBytes
	}

	override truncate(): number {
		return 0
	}
}
