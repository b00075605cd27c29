/** What an engine that stands by does for practice: it gets as far as answers, and leaves nothing. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import test from 'ava'
import { rehearse } from '../../src/engine/rehearsal.ts'

function descriptors(): number {
	return readdirSync('/proc/self/fd').length
}

const ours = (): string[] => readdirSync('/dev/shm').filter(name => name.startsWith(`pogs-rehearsal-${process.pid}-`))

test('a rehearsal serves, takes over from itself, and leaves neither files nor descriptors', t => {
	// What one left that was killed in the middle goes too: there is no process of that number.
	const stale = '/dev/shm/pogs-rehearsal-4194305-x'
	mkdirSync(stale)
	rehearse()
	t.false(existsSync(stale))
	const before = descriptors()
	// INIT and six requests; a notice to the kernel, six that are sent again, and six.
	t.is(rehearse(), 20)
	t.is(descriptors(), before)
	t.deepEqual(ours(), [])
})
