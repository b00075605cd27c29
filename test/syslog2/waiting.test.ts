/** READs of syslog(2) that wait for a record: how many, and what becomes of those beyond. The way calls come and answers go is a double. */
import test from 'ava'
import { EINTR, ENOMEM } from '../../src/lib/errno.ts'
import { type AnswerPath, SyslogCalls, SyslogDesk } from '../../src/syslog2/syslog-calls.ts'
import { withPog } from '../helpers/pogs.ts'

const READ = 2

interface Answers extends AnswerPath {
	/** By the thread: what it was answered. */
	readonly values: Map<number, number>
	/** Threads that a signal took away. */
	readonly gone: Set<number>
}

function answers(): Answers {
	const values = new Map<number, number>()
	const gone = new Set<number>()
	return {
		number: -1,
		userNamespace: '',
		values,
		gone,
		isValid: ({ idLow }) => !gone.has(idLow),
		send: ({ idLow }, value) => {
			values.set(idLow, value)
			return 0
		},
	}
}

test('where too many READs wait, the oldest one ends with ENOMEM, which is counted; those that are gone make room first', t => {
	withPog({ limits: { pendingReads: 3 } }, ({ pog }) => {
		const desk = new SyslogDesk()
		desk.callers.isPrivileged = () => true
		const calls = new SyslogCalls(pog, desk)
		const from = answers()
		const read = (tid: number): void =>
			calls.take(from, { tid, idLow: tid, idHigh: 0, type: READ, buffer: 4096, len: 100 })
		for (const tid of [1, 2, 3]) read(tid)
		t.is(calls.waiting, 3)
		from.gone.add(2)
		read(4)
		t.is(from.values.size, 0)
		t.is(pog.ledger.denied().reads, 0)
		read(5)
		t.deepEqual([...from.values], [[1, -ENOMEM]])
		t.is(pog.ledger.denied().reads, 1)
		t.is(calls.waiting, 3)
		calls.interrupt(from)
		t.deepEqual(
			[...from.values].slice(1),
			[3, 4, 5].map(tid => [tid, -EINTR]),
		)
		t.is(calls.waiting, 0)
	})
})
