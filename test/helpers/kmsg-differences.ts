/**
 * Where a POG's /dev/kmsg and /proc/kmsg, regular files served over FUSE, answer otherwise than the kernel's: by probe name.
 *
 * Source of truth: what Linux answers for a regular FUSE file before the daemon is asked (v6.12 fs/fuse/file.c, fs/read_write.c).
 * A difference that is not here fails the test, and so does one that is here and no longer differs.
 */

import { TRANSPORT } from './transport.ts'

export interface Difference {
	/** What a POG answers instead; a function where the value is not always the same. */
	readonly pog: unknown
	readonly why: string
}

const LSEEK =
	'Linux moves the offset of a regular file itself and returns it: the daemon is asked about DATA and HOLE only'
const ZERO = 'Linux answers a transfer of no bytes on a regular file itself'
const PRIVATE = 'Linux maps a direct-I/O file privately by reading it'
const SIZED =
	'A file of no size would be empty to sendfile(2), which busybox cat tries first: Linux would not ask the daemon'
const LOCK = 'Linux serialises reads and writes of one open description of a regular file'
const FINISHED =
	'A record is visible at once, also without a final newline: the kernel holds it back until the next one'

const unconsumed = (result: number | string): unknown => ({ result, next: { flags: '-', pri: 14, text: '@ 1' } })
/** Of a file of 8192 bytes, before and after a read. */
const isSizeLeft = (value: unknown): boolean => Array.isArray(value) && value[0] === 0 && Number(value[1]) > 0
const anOffset = (value: unknown): boolean => typeof value === 'number' && value >= 0

const KERNEL: Readonly<Record<string, Difference>> = {
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
	'dev.stat.size': { pog: 8192, why: SIZED },
	'proc.stat': { pog: { mode: '0o100400', owner: [0, 0], size: 8192 }, why: SIZED },
	'proc.fionread': { pog: isSizeLeft, why: SIZED },
	'dev.fionread.rdonly': { pog: 0, why: 'Linux answers FIONREAD of a regular file itself' },
	'dev.fionread.rdwr': { pog: 0, why: 'Linux answers FIONREAD of a regular file itself' },
	'dev.fionread.wronly': { pog: 0, why: 'Linux answers FIONREAD of a regular file itself' },
	'dev.mmap-private.rdonly': { pog: 'mapped', why: PRIVATE },
	'dev.mmap-private.rdwr': { pog: 'mapped', why: PRIVATE },
	'dev.read-and-write-of-one-description': { pog: { read: 1, together: false }, why: LOCK },
	'proc.read.null-0': { pog: 0, why: ZERO },
}

const NOTHING_YET = 'fuse-native: a read that would wait answers EAGAIN'
const ALWAYS_READY = 'fuse-native: Linux takes a file that cannot be polled for one that is always ready'
const NO_LSEEK = 'fuse-native: libfuse 2 has no lseek: Linux takes the file for one without holes'
const NO_FALLOCATE = 'fuse-native has no fallocate'
const NO_SPLICE = 'fuse-native does not tell splice(2) and sendfile(2), which the device lacks, from read(2)'
const ready = (...bits: string[]): string[] => ['IN', 'OUT', 'RDNORM', 'WRNORM', ...bits]
const twice = [ready(), ready()]
const polls = (pog: unknown, ...names: readonly string[]): [string, Difference][] =>
	names.map(name => [name, { pog, why: ALWAYS_READY }])

/** What fuse-native answers in place of the above; null where it answers as the kernel does. */
const FUSE_NATIVE: Readonly<Record<string, Difference | null>> = {
	'dev.read.sigalrm-interrupts': { pog: 'EAGAIN', why: NOTHING_YET },
	'dev.read.sigalrm-restarts': { pog: 'EAGAIN', why: NOTHING_YET },
	'dev.read.blocked-reader-dies': { pog: 0, why: NOTHING_YET },
	'proc.read.sigalrm-interrupts': { pog: 'EAGAIN', why: NOTHING_YET },
	'proc.read.woken-by-a-writer': { pog: 'EAGAIN', why: NOTHING_YET },
	'proc.read.blocked-reader-dies': { pog: 0, why: NOTHING_YET },
	'dev.lseek.data-0.returns': null,
	'dev.lseek.data-5.returns': { pog: 5, why: NO_LSEEK },
	'dev.lseek.hole-0.returns': { pog: anOffset, why: NO_LSEEK },
	'dev.lseek.hole-0.then-reads': { pog: '@ after', why: NO_LSEEK },
	'dev.lseek.hole-5.returns': { pog: anOffset, why: NO_LSEEK },
	'dev.splice': { pog: 'bytes', why: NO_SPLICE },
	'dev.sendfile': { pog: 'bytes', why: NO_SPLICE },
	'dev.fallocate.rdwr': { pog: 'ENOTSUP', why: NO_FALLOCATE },
	'dev.fallocate.wronly': { pog: 'ENOTSUP', why: NO_FALLOCATE },
	// The writer does not wait for the reader, who does not wait either.
	'dev.read-and-write-of-one-description': null,
	...Object.fromEntries([
		...polls(
			ready(),
			...['at-end', 'with-a-record', 'after-reading-it', 'wronly', 'rdwr-fresh', 'wakes'].map(
				name => `dev.poll.${name}`,
			),
			...['empty', 'unread', 'wakes', 'partial'].map(name => `proc.poll.${name}`),
		),
		...polls(['OUT'], 'dev.poll.out-only'),
		...polls(twice, 'dev.overwritten.poll', 'proc.poll.drained-by-another'),
		...polls([1, 1, 0], 'dev.select.at-end', 'dev.select.with-a-record'),
		...polls([[1], [1], [1], [1]], 'dev.epoll.level'),
		...polls([[5], [[], [], [], []], 2], 'dev.epoll.edge'),
		...polls([1], 'dev.overwritten.epoll'),
		...polls([1, [['IN']], 1], 'proc.epoll.level'),
		...polls([1, [], 0], 'proc.epoll.edge'),
	]),
}

/** The differences of the transport that the suites run on. */
export const DIFFERENCES: Readonly<Record<string, Difference>> =
	TRANSPORT === 'kernel' ? KERNEL : merged({ ...KERNEL, ...FUSE_NATIVE })

function merged(table: Readonly<Record<string, Difference | null>>): Record<string, Difference> {
	return Object.fromEntries(Object.entries(table).filter((row): row is [string, Difference] => row[1] !== null))
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
