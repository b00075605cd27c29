/**
 * The body of a request, within a bound.
 *
 * Invariant: at most `maxBytes` are held; a longer body is read on for a while and thrown away, because a client that is still
 * writing when the connection closes sees EPIPE instead of the answer.
 */
import type { IncomingMessage } from 'node:http'

/** How much of a refused body is still read, in multiples of the bound. */
const DRAIN_FACTOR = 16

/** The bytes of the body; null when there are more than `maxBytes`, or the client went away in between. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
	return new Promise(resolve => {
		const chunks: Buffer[] = []
		let sizeBytes = 0
		request.on('data', (chunk: Buffer) => {
			sizeBytes += chunk.length
			if (sizeBytes <= maxBytes) {
				chunks.push(chunk)
			} else if (sizeBytes <= maxBytes * DRAIN_FACTOR) {
				chunks.length = 0
				resolve(null)
			} else {
				request.destroy()
			}
		})
		request.on('end', () => resolve(sizeBytes > maxBytes ? null : Buffer.concat(chunks)))
		request.on('error', () => resolve(null))
		request.on('close', () => resolve(null))
	})
}
