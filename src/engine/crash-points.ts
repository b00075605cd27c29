/**
 * Points at which a test may kill the engine, to see that whoever comes after it goes on as if nothing had been.
 *
 * Only for tests: POGS_TEST_CRASH=DIRECTORY, read once when a shard starts. A file of a point's name in the directory kills the
 * process when the point is reached, and is removed before; a file `poison` kills at every record whose text has its content, `poison-call` at every
 * syslog(2) call whose action is its content.
 * Invariant: without the variable nothing here is in any path; with it methods are replaced, so that they need not know.
 */
import { existsSync, readFileSync, unlinkSync } from 'node:fs'
import { Reply } from '../fuse/reply.ts'
import { Stepping } from '../fuse/stepping.ts'
import { Staging } from '../ingest/staging.ts'
import { Pog } from '../pog/pog.ts'
import { Notebook } from '../pog/saved.ts'
import { Cells } from '../ring/cells.ts'
import { Journal } from '../ring/journal.ts'
import { RingMove } from '../ring/resize.ts'
import { Ring } from '../ring/ring.ts'
import { FileCalls } from '../sys/files.ts'
import { ProcessMemory } from '../sys/process-memory.ts'
import { Notifications } from '../sys/seccomp-notify.ts'
import { DatagramBatch } from '../sys/sockets.ts'
import { CallJournal } from '../syslog2/call-journal.ts'
import { OpenFile } from '../vfs/open-file.ts'

type Method = (this: unknown, ...given: never[]) => unknown
type Point = readonly [name: string, prototype: object, method: string]

/** Each is two points: before the method (`NAME-before`) and after it (`NAME-after`). */
const POINTS: readonly Point[] = [
	['begin', Journal.prototype, 'begin'],
	['reading', Journal.prototype, 'reading'],
	['done', Journal.prototype, 'done'],
	['end', Journal.prototype, 'end'],
	['reserve', Ring.prototype, 'reserve'],
	['commit', Ring.prototype, 'commit'],
	['write-down', Notebook.prototype, 'flush'],
	['take-cell', Cells.prototype, 'take'],
	['give-cell', Cells.prototype, 'give'],
	['keep-handle', OpenFile.prototype, 'keepIn'],
	['send-struct', Reply.prototype, 'sendStruct'],
	['send-data', Reply.prototype, 'sendData'],
	['step', Stepping.prototype, 'goOn'],
	['move', RingMove.prototype, 'step'],
	['moved', RingMove.prototype, 'finish'],
	['receive', DatagramBatch.prototype, 'receive'],
	['datagram', Staging.prototype, 'begin'],
	['datagrams', Staging.prototype, 'end'],
	['rename', FileCalls.prototype, 'rename'],
	['unlink', FileCalls.prototype, 'unlink'],
	['mkdir', FileCalls.prototype, 'mkdir'],
	['link', FileCalls.prototype, 'link'],
	['symlink', FileCalls.prototype, 'symlink'],
	['open', FileCalls.prototype, 'open'],
	['chown', FileCalls.prototype, 'chown'],
]

/** Of system calls, which no request and no message gets to. */
const CALL_POINTS: readonly Point[] = [
	['call', CallJournal.prototype, 'receive'],
	['notification', Notifications.prototype, 'receive'],
	['valid', Notifications.prototype, 'isValid'],
	['deliver', ProcessMemory.prototype, 'write'],
	['journal', CallJournal.prototype, 'send'],
	['answer', Notifications.prototype, 'send'],
	['settle', CallJournal.prototype, 'settled'],
	['forget', Notifications.prototype, 'forget'],
	['take-call-cell', Cells.prototype, 'take'],
	['give-call-cell', Cells.prototype, 'give'],
]

const namesOf = (points: readonly Point[]): string[] => points.flatMap(([name]) => [`${name}-before`, `${name}-after`])

/** Names of all points, but for those of system calls. */
export const CRASH_POINTS: readonly string[] = namesOf(POINTS)
export const CALL_CRASH_POINTS: readonly string[] = namesOf(CALL_POINTS)

/** Makes every point one. */
export function installCrashPoints(directory: string): void {
	const here = (name: string): void => {
		const token = `${directory}/${name}`
		if (!existsSync(token)) return
		unlinkSync(token)
		die()
	}
	for (const [name, prototype, method] of [...POINTS, ...CALL_POINTS]) {
		replace(prototype, method, run => {
			here(`${name}-before`)
			const answer = run()
			here(`${name}-after`)
			return answer
		})
	}
	// The first argument is the action; what is refused is not asked for it.
	replace(Notifications.prototype, 'intArgument', (run, index) => {
		const action = run()
		const token = `${directory}/poison-call`
		if (index === 0 && existsSync(token) && readFileSync(token, 'latin1') === String(action)) die()
		return action
	})
	for (const method of ['logKmsg', 'logDatagram'] as const) {
		replace(Pog.prototype, method, (run, bytes, start, end) => {
			const token = `${directory}/poison`
			const text = Buffer.from(bytes as Uint8Array).toString('latin1', start as number, end as number)
			if (existsSync(token) && text.includes(readFileSync(token, 'latin1'))) die()
			return run()
		})
	}
}

/** The signal may reach another thread first: this one goes no further. */
function die(): never {
	for (;;) process.kill(process.pid, 'SIGKILL')
}

function replace(prototype: object, name: string, around: (run: () => unknown, ...given: unknown[]) => unknown): void {
	const methods = prototype as Record<string, Method>
	const original = methods[name]
	if (original === undefined) throw new Error(`Cannot crash in ${name}: there is no such method`)
	methods[name] = function (this: unknown, ...given: never[]): unknown {
		return around(() => original.apply(this, given), ...given)
	}
}
