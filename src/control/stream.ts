/**
 * NDJSON (one JSON value a line) out of an async iterable, at the pace of the reader.
 *
 * Invariant: never more than about `CHUNK_BYTES` beyond the socket's own buffer is held; lines of one turn of the event loop leave in
 * one write. A failure after the first byte can no longer be a status: it is a last line `{"error":{...}}`.
 */
import type { ServerResponse } from 'node:http'
import type { ErrorBody } from './calls.ts'

const CHUNK_BYTES = 64 * 1024

/** Sends every item, then ends the response; returns early when `signal` aborts. */
export async function sendLines(
	response: ServerResponse,
	items: AsyncIterable<unknown>,
	signal: AbortSignal,
	onBug: (error: unknown) => void,
): Promise<void> {
	let pending = ''
	let scheduled = false
	const flush = (): void => {
		scheduled = false
		if (pending !== '' && !response.destroyed) response.write(pending)
		pending = ''
	}
	// A follower gets its headers before the first record.
	response.flushHeaders()
	try {
		for await (const item of items) {
			if (signal.aborted) break
			pending += `${JSON.stringify(item)}\n`
			if (pending.length >= CHUNK_BYTES) {
				flush()
			} else if (!scheduled) {
				scheduled = true
				setImmediate(flush)
			}
			if (response.writableNeedDrain) await drained(response, signal)
		}
	} catch (error) {
		onBug(error)
		pending += `${JSON.stringify({ error: { message: 'Cannot go on: internal error' } } satisfies ErrorBody)}\n`
	}
	flush()
	response.end()
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
	return new Promise(resolve => {
		const done = (): void => {
			response.off('drain', done)
			response.off('close', done)
			signal.removeEventListener('abort', done)
			resolve()
		}
		response.on('drain', done)
		response.on('close', done)
		signal.addEventListener('abort', done)
		if (signal.aborted || response.destroyed) done()
	})
}
