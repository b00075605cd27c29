/** How large the tmpfs of a POG is: its ring, the quota of its own files, and what the file system itself needs. */
import { geometry } from '../ring/layout.ts'

const OVERHEAD_BYTES = 256 * 1024

export function storeBytes(ringBytes: number, quotaBytes: number): number {
	return geometry(ringBytes).fileBytes + quotaBytes + OVERHEAD_BYTES
}
