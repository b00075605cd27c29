/** Files of /proc, read whole. Source of truth: what Node reads, and a process that is not there. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import { readProc, readProcOrThrow } from '../../src/sys/small-file.ts'

test('a file of /proc is read whole, also one that is longer than the memory for it', t => {
	t.is(readProc('/proc/self/cgroup'), readFileSync('/proc/self/cgroup', 'latin1'))
	// 80 bytes a symbol, some megabytes in all.
	const long = readProc('/proc/kallsyms')
	t.is(long, readFileSync('/proc/kallsyms', 'latin1'))
	t.is(readProc('/proc/self/cgroup'), readFileSync('/proc/self/cgroup', 'latin1'))
})

test('bytes are characters', t => {
	const cut = process.title
	process.title = 'pögs'
	t.true(String(readProc('/proc/self/comm')).startsWith('p\u00c3\u00b6gs'))
	process.title = cut
})

test('a process that is gone is an errno, or a throw for those who want one', t => {
	t.is(readProc('/proc/999999999/stat'), -2)
	t.throws(() => readProcOrThrow('/proc/999999999/stat'), { message: 'Cannot read /proc/999999999/stat: ENOENT' })
})
