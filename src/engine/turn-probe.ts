/**
 * What takes a shard's thread for long in one go, by what it is, in processor time: for whoever looks for the cause of somebody's waiting.
 *
 * Only for measurements: POGS_TEST_PROBE=FILE, read once when a shard starts; the file gets a line a kind of work every second: the
 * longest, how many took longer than a millisecond, how many there were; and one of the thread's memory. Invariant: without the variable nothing here is in any
 * path; with it methods are replaced, so that they need not know.
 */
import { writeFileSync } from 'node:fs'
import { OPERATIONS } from '../fuse/opcodes.ts'
import { DevLog } from '../ingest/dev-log.ts'
import { Chores } from '../lib/chores.ts'
import { Pog } from '../pog/pog.ts'
import { Notebook } from '../pog/saved.ts'
import { threadMs } from '../sys/threads.ts'
import { KmsgReaders } from '../vfs/kmsg-readers.ts'
import type { Loop } from './reactor.ts'

const LONG_MS = 1
const EVERY_MS = 1000

interface Taken {
	longestMs: number
	long: number
	count: number
}

type Method = (this: unknown, ...given: never[]) => unknown

const WORK: readonly (readonly [name: string, prototype: object, method: string])[] = [
	['datagrams', DevLog.prototype, 'receive'],
	['a part of chores', Chores.prototype, 'serve'],
	['all chores', Chores.prototype, 'finish'],
	['waking', KmsgReaders.prototype, 'serve'],
	['tick', Pog.prototype, 'tick'],
	['writing down', Notebook.prototype, 'flush'],
]

/** Takes the time of everything from now on. */
export function installProbe(path: string, loop: Loop): void {
	const taken = new Map<string, Taken>()
	const measured = (name: string, run: () => unknown): unknown => {
		const began = threadMs()
		try {
			return run()
		} finally {
			const tookMs = threadMs() - began
			let so = taken.get(name)
			if (so === undefined) taken.set(name, (so = { longestMs: 0, long: 0, count: 0 }))
			so.longestMs = Math.max(so.longestMs, tookMs)
			so.count++
			if (tookMs > LONG_MS) so.long++
		}
	}
	const replace = (name: string, object: object, method: string): void => {
		const methods = object as Record<string, Method>
		const original = methods[method]
		if (original === undefined) throw new Error(`Cannot measure ${method}: there is no such method`)
		methods[method] = function (this: unknown, ...given: never[]): unknown {
			return measured(name, () => original.apply(this, given))
		}
	}
	for (const operation of OPERATIONS) replace(operation.name, operation, 'handle')
	for (const [name, prototype, method] of WORK) replace(name, prototype, method)
	loop.every(EVERY_MS, () => {
		const rows = [...taken].sort(([, a], [, b]) => b.longestMs - a.longestMs)
		const lines = rows.map(
			([name, { longestMs, long, count }]) =>
				`${name}: ${longestMs.toFixed(2)} ms, ${long} of ${count} longer than ${LONG_MS} ms\n`,
		)
		const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
		const memory = [heapUsed, heapTotal, external, arrayBuffers].map(bytes => (bytes / (1 << 20)).toFixed(1))
		lines.push(
			`memory of this thread: heap ${memory[0]} of ${memory[1]} MiB, external ${memory[2]}, buffers ${memory[3]}\n`,
		)
		writeFileSync(path, lines.join(''))
	})
}
