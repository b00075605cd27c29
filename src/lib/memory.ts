/**
 * A stretch of memory that both JavaScript and the kernel can see.
 *
 * The address never moves and the bytes outlive every view of them, so it may be named in a system call's iovec. Only
 * `sys/memory.ts` makes real ones; a test may make one without an address (0) where no system call is involved.
 */
export interface Memory {
	/** Address of byte 0, or 0 when the memory is plain JavaScript. */
	readonly address: number
	readonly bytes: Uint8Array
	readonly buffer: ArrayBuffer
}
