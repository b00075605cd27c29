/**
 * Where a POG's /dev/kmsg and /proc/kmsg, regular files served over FUSE, answer otherwise than the kernel's: by probe name.
 *
 * Source of truth: what Linux answers for a regular FUSE file before the daemon is asked (v6.12 fs/fuse/file.c, fs/read_write.c).
 * A difference that is not here fails the test, and so does one that is here and no longer differs.
 */

export interface Difference {
	/** What a POG answers instead; a function where the value is not always the same. */
	readonly pog: unknown
	readonly why: string
}

const LSEEK =
	'Linux moves the offset of a regular file itself and returns it: the daemon is asked about DATA and HOLE only'
const ZERO = 'Linux answers a transfer of no bytes on a regular file itself'
const PRIVATE = 'Linux maps a direct-I/O file privately by reading it'
const PIPE = 'Linux splices any regular file'
const LOCK = 'Linux serialises reads and writes of one open description of a regular file'
const FINISHED =
	'A record is visible at once, also without a final newline: the kernel holds it back until the next one'

const unconsumed = (result: number | string): unknown => ({ result, next: { flags: '-', pri: 14, text: '@ 1' } })
const anOffset = (value: unknown): boolean => typeof value === 'number' && value >= 0

export const DIFFERENCES: Readonly<Record<string, Difference>> = {
	'dev.stat.type': {
		pog: '0o100000',
		why: 'A device node would lead to the machine own log: a POG serves a regular file',
	},
	'dev.open.direct': { pog: 'ok', why: 'Linux lets O_DIRECT open a file that is served with direct I/O' },
	'dev.read.small.0': { pog: unconsumed(0), why: ZERO },
	'dev.read.null-0': { pog: unconsumed(0), why: ZERO },
	'dev.read.bad-pointer': { pog: unconsumed('EFAULT'), why: 'Linux finds the bad pointer before it asks the daemon' },
	'dev.write.size.0': { pog: { records: [], returned: 0 }, why: ZERO },
	'dev.write.no-newline-visible-at-once': { pog: { before: 1, after: 1 }, why: FINISHED },
	'dev.lseek.set-5.returns': { pog: 5, why: LSEEK },
	'dev.lseek.set-minus.returns': { pog: 'EINVAL', why: LSEEK },
	'dev.lseek.cur-0.returns': { pog: anOffset, why: LSEEK },
	'dev.lseek.cur-5.returns': { pog: anOffset, why: LSEEK },
	'dev.lseek.cur-minus.returns': { pog: anOffset, why: LSEEK },
	'dev.lseek.end-0.returns': { pog: anOffset, why: LSEEK },
	'dev.lseek.end-5.returns': { pog: anOffset, why: LSEEK },
	'dev.lseek.end-minus.returns': { pog: anOffset, why: LSEEK },
	'dev.lseek.data-0.returns': { pog: anOffset, why: LSEEK },
	'dev.read.sigalrm-restarts': {
		pog: 'EINTR',
		why: 'A FUSE server may answer EINTR, not ERESTARTSYS: SA_RESTART has no effect',
	},
	'dev.read.pread.0': { pog: anything, why: 'The offset of a pread is a position' },
	'dev.read.pread.5': { pog: anything, why: 'The offset of a pread is a position' },
	'dev.read.pread.8192': { pog: anything, why: 'The offset of a pread is a position' },
	'dev.read.pread.1099511627776': { pog: anything, why: 'The offset of a pread is a position' },
	'dev.read.readv.10+8000': {
		pog: { flags: '-', pri: 14, text: '@ segments' },
		why: 'Linux joins the segments of a readv',
	},
	'dev.splice': { pog: 'bytes', why: PIPE },
	'dev.sendfile': { pog: 'bytes', why: PIPE },
	'dev.fionread.rdonly': { pog: 0, why: 'Linux answers FIONREAD of a regular file itself' },
	'dev.fionread.rdwr': { pog: 0, why: 'Linux answers FIONREAD of a regular file itself' },
	'dev.fionread.wronly': { pog: 0, why: 'Linux answers FIONREAD of a regular file itself' },
	'dev.mmap-private.rdonly': { pog: 'mapped', why: PRIVATE },
	'dev.mmap-private.rdwr': { pog: 'mapped', why: PRIVATE },
	'dev.read-and-write-of-one-description': { pog: { read: 1, together: false }, why: LOCK },
	'proc.read.null-0': { pog: 0, why: ZERO },
}

function anything(): boolean {
	return true
}

/** Whether a POG's answer is the accepted one. */
export function accepted(difference: Difference, answer: unknown): boolean {
	const { pog } = difference
	if (typeof pog === 'function') return (pog as (value: unknown) => boolean)(answer)
	return JSON.stringify(pog, sortKeys) === JSON.stringify(answer, sortKeys)
}

/** For JSON.stringify: objects with their keys in order, so that equal values are equal texts. */
export function sortKeys(_key: string, value: unknown): unknown {
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
	return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
