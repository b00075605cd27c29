/**
 * Where /var/log of a POG answers otherwise than a tmpfs of the same machine: by probe, and by the place in its result.
 *
 * Source of truth: fixtures/programs/posix-probe, run on both. A difference that is not here fails the test, and so does one that is
 * here and no longer differs. The container's own files come in two kinds: `passthrough`, where the kernel reads and writes
 * them by itself, and `served`, where it asks the service.
 */

export type Kind = 'passthrough' | 'served' | 'view'

export interface Difference {
	/** What a POG answers instead. */
	readonly pog: unknown
	readonly why: string
	/** Only there; everywhere when left out. */
	readonly kind?: Kind
	/** A tmpfs answers so as well on kernels that lack what newer ones have. */
	readonly optional?: true
}

const UNNAMED = 'FUSE_TMPFILE is refused: a file without a name would escape what is listed and counted'
const NO_XATTR =
	'No extended attributes: a tmpfs keeps them in memory of the kernel, beyond the quota that a container has'
const FAR = 'The service takes no offset beyond 2^53'
const EPOLL = 'Linux lets a FUSE file be watched by epoll(7): it is always ready'
const SETGID =
	'Linux clears the set-group-ID bit of a FUSE file for a writer only where the group may execute it (fuse_do_setattr)'
const MICROSECONDS = 'Times are kept in microseconds'
const DEVICES = 'Nobody in a container makes a device through a log directory'
const LONG_PATH = 'A file is found by its path below /var/log, which Linux takes up to 4095 bytes'
const BACKING_FLAGS =
	'Linux opens the backing file with the flags of the open(2): an O_APPEND that is taken back later stays in force'
const ONE_NAME = 'A second name for a view would be a second owner of its records'
const AT_ITS_END = 'What is written to a view is a record: it comes at the end, wherever the offset is'
const RECORDS = 'The length of a view is that of its records: it can be emptied, and no more'
const UNCACHED = 'The pages of a view are not cached: a shared mapping would go on showing what it first saw'

/** `probe`, or `probe place`: a place is `/key` of an object and `[index]` of an array. */
const TABLE: Readonly<Record<string, Difference>> = {
	'open.tmpfile': { pog: 'ENOTSUP', why: UNNAMED },
	'open.append [6]': { pog: '0123456789ABPWz', why: BACKING_FLAGS, kind: 'passthrough' },
	'directory.nesting': { pog: 'ENAMETOOLONG', why: LONG_PATH },
	'truncate.sizes /4611686018427387904': { pog: ['EFBIG', 10, '0123456789'], why: FAR },
	...places('fallocate.', ['default', 'keep-size', 'zero', 'zero-keep'], ' /0 4611686018427387904[0]', {
		pog: 'EFBIG',
		why: FAR,
	}),
	'fallocate.punch /0 4611686018427387904': { pog: ['EFBIG', 20_000, 20_000], why: FAR },
	...places('write.far /', ['4611686018427387904', '9007199254740982', '9007199254740992'], '', {
		pog: 'EFBIG',
		why: FAR,
		kind: 'served',
	}),
	'xattr.user.test': { pog: refusals('EPERM'), why: NO_XATTR, optional: true },
	...places('xattr.', ['trusted.test', 'security.test'], '', { pog: refusals(), why: NO_XATTR, optional: true }),
	...places('xattr.system.posix_acl_access ', ['[5]', '[8]', '[9]'], '', {
		pog: 'ENOTSUP',
		why: NO_XATTR,
		optional: true,
	}),
	'xattr.nonsense [5]': { pog: 'ENOTSUP', why: NO_XATTR, optional: true },
	'poll-and-select [2]': { pog: null, why: EPOLL },
	...places('setid.writing-clears-it /0o2745', ['[0]', '[1]', '[2]'], '', { pog: '0o2767', why: SETGID }),
	...places('setid.writing-clears-it /0o6666', ['[0]', '[1]', '[2]'], '', { pog: '0o2666', why: SETGID }),
	'times.utime /ns': { pog: [1_123_456_000, 1_700_000_000_987_654_000], why: MICROSECONDS },
	'times.utime /before 1970[1]': { pog: -1000, why: MICROSECONDS },
	...places('mknod.devices ', ['[0]', '[1]'], '', { pog: 'EPERM', why: DEVICES }),
	'view.mmap /shared': { pog: 'ENODEV', why: UNCACHED },
	'view.link [0]': { pog: 'EPERM', why: ONE_NAME },
	'view.write-in-the-middle': { pog: 'first line\nFIRST', why: AT_ITS_END },
	'view.truncate-to-another-length': { pog: ['EINVAL', 'EINVAL', 16], why: RECORDS },
	'view.poll [1]': { pog: null, why: EPOLL },
	'view.xattr': { pog: ['ENOTSUP', 'ENOTSUP'], why: NO_XATTR, optional: true },
}

/** Of the ten questions of a probe for attributes; the eighth is about a symbolic link, which never has any of a user's. */
function refusals(eighth = 'ENOTSUP'): string[] {
	return Array.from({ length: 10 }, (_, n) => (n === 7 ? eighth : 'ENOTSUP'))
}

function places(
	before: string,
	each: readonly string[],
	after: string,
	difference: Difference,
): Record<string, Difference> {
	return Object.fromEntries(each.map(part => [`${before}${part}${after}`, difference]))
}

/** What is wrong with a POG's answers, in words: differences that have no name, and named ones that are none. */
export function complaints(
	kind: Kind,
	oracle: ReadonlyMap<string, unknown>,
	answers: ReadonlyMap<string, unknown>,
): string[] {
	const wrong: string[] = []
	for (const name of new Set([...oracle.keys(), ...answers.keys()])) {
		const named = rowsOf(kind, name)
		let [wanted, got] = [oracle.get(name), answers.get(name)]
		for (const [key, { pog, optional }] of named) {
			const path = key.slice(name.length).trim()
			const [want, have] = [at(wanted, path), at(got, path)]
			if (same(want, have) && optional !== true) wrong.push(`${key}: named, yet both answer ${JSON.stringify(have)}`)
			else if (!same(have, pog))
				wrong.push(`${key}: named as ${JSON.stringify(pog)}, yet it is ${JSON.stringify(have)}`)
			wanted = without(wanted, path)
			got = without(got, path)
		}
		for (const [path, want, have] of leaves(wanted, got))
			wrong.push(`${name} ${path}: tmpfs ${shown(want)}, POG ${shown(have)}`)
	}
	return wrong
}

function rowsOf(kind: Kind, probe: string): [string, Difference][] {
	return Object.entries(TABLE).filter(
		([key, row]) => (key === probe || key.startsWith(`${probe} `)) && (row.kind ?? kind) === kind,
	)
}

/** Names in the table that no probe has: left over from one that is gone. */
export function unknownNames(probes: readonly string[]): string[] {
	return Object.keys(TABLE).filter(key => !probes.some(probe => key === probe || key.startsWith(`${probe} `)))
}

function shown(value: unknown): string {
	return (JSON.stringify(value) ?? 'nothing').slice(0, 200)
}

type Tree = Readonly<Record<string, unknown>>

/** Steps of a place: `/a b[2]` is `a b`, `2`. */
function steps(path: string): string[] {
	return path.split(/\/|\[(\d+)\]/).filter(step => step !== undefined && step !== '')
}

function at(value: unknown, path: string): unknown {
	return steps(path).reduce<unknown>((inner, step) => (isTree(inner) ? inner[step] : undefined), value)
}

function without(value: unknown, path: string): unknown {
	const [first, ...rest] = steps(path)
	if (first === undefined) return undefined
	if (!isTree(value)) return value
	const inner = rest.length === 0 ? undefined : without(value[first], rest.map(step => `/${step}`).join(''))
	return { ...value, [first]: inner }
}

function isTree(value: unknown): value is Tree {
	return typeof value === 'object' && value !== null
}

function same(a: unknown, b: unknown): boolean {
	return leaves(a, b).length === 0
}

/** The places where two values differ, and what each has there. */
function leaves(a: unknown, b: unknown, path = ''): [path: string, a: unknown, b: unknown][] {
	if (isTree(a) && isTree(b)) {
		return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap(key => leaves(a[key], b[key], `${path}/${key}`))
	}
	return a === b ? [] : [[path, a, b]]
}
