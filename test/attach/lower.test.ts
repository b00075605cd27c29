/**
 * The image's /var/log as the lower layer of a POG's: what is copied, and what an image cannot make us do.
 *
 * Source of truth: stat(1) and readlink(1) of the image before and of the copy after.
 */
import { execFileSync } from 'node:child_process'
import {
	closeSync,
	linkSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { copyLowerVarLog, type LowerCopy, type LowerJob } from '../../src/attach/lower.ts'

const ROOT = process.geteuid?.() === 0
const rootOnly = ROOT ? test : test.skip

interface Places {
	readonly rootfs: string
	readonly log: string
	/** The copy. */
	readonly varlog: string
	readonly copy: (job?: Partial<LowerJob>) => LowerCopy
}

function places(t: ExecutionContext): Places {
	const top = mkdtempSync(join(tmpdir(), 'pogs-lower-'))
	t.teardown(() => rmSync(top, { recursive: true, force: true }))
	const [rootfs, store] = [join(top, 'rootfs'), join(top, 'store')]
	const log = join(rootfs, 'var/log')
	mkdirSync(log, { recursive: true })
	mkdirSync(store)
	return {
		rootfs,
		log,
		varlog: join(store, 'varlog'),
		copy: (job = {}) => {
			const fd = openSync(store, 'r')
			try {
				return copyLowerVarLog({ rootfs, store: fd, ...job })
			} finally {
				closeSync(fd)
			}
		},
	}
}

/** What find(1) says of a tree: kind, mode, times and link targets of every entry. */
function listing(directory: string): string[] {
	const format = '%P %y %m %U:%G %s %T@ %l\\n'
	const text = execFileSync('find', [directory, '-printf', format], { encoding: 'latin1' })
	// find tells tenths of nanoseconds; a copy keeps microseconds. The size of a directory is the file system's affair.
	return text
		.split('\n')
		.map(line => line.replace(/(\.\d{6})\d*/, '$1').replace(/^(.*) d (\S+ \S+) \d+ /, '$1 d $2 '))
		.sort()
}

test('a tree like those of apache2, nginx and mariadb arrives with its modes, links and times', t => {
	const { log, varlog, copy } = places(t)
	mkdirSync(join(log, 'apache2'), { mode: 0o750 })
	mkdirSync(join(log, 'private/deep/er'), { recursive: true })
	execFileSync('chmod', ['2775', join(log, 'private')])
	writeFileSync(join(log, 'dpkg.log'), 'installed\n'.repeat(20_000), { mode: 0o640 })
	writeFileSync(join(log, 'private/deep/empty'), '', { mode: 0o600 })
	mkdirSync(join(log, 'nginx'))
	symlinkSync('/dev/stdout', join(log, 'nginx/access.log'))
	symlinkSync('../../../../../etc/passwd', join(log, 'nginx/up'))
	execFileSync('mkfifo', ['-m', '620', join(log, 'pipe')])
	execFileSync('touch', ['-h', '-d', '2001-02-03 04:05:06.789012', join(log, 'nginx/access.log'), join(log, 'apache2')])
	execFileSync('touch', ['-d', '1999-12-31 23:59:59.5', join(log, 'private'), join(log, 'dpkg.log'), log])
	const before = listing(log)
	const told = copy()
	t.deepEqual(listing(varlog), before)
	t.deepEqual(listing(log), before)
	t.is(told.entries, 10)
	t.is(told.bytes, 200_000)
	t.deepEqual(told.left, [])
	t.deepEqual(readFileSync(join(varlog, 'dpkg.log')), readFileSync(join(log, 'dpkg.log')))
})

test('names are bytes', t => {
	const { log, varlog, copy } = places(t)
	const names = ['caf\xe9', 'new\nline', '\xff\xfe', ' ', '-rf', 'x'.repeat(255), 'caf\u00e9 \u{1F4DC}']
	const bytes = names.map((name, index) => Buffer.from(name, index < 6 ? 'latin1' : 'utf8'))
	for (const name of bytes) writeFileSync(Buffer.concat([Buffer.from(`${log}/`), name]), name)
	t.deepEqual(copy().left, [])
	const copied = readdirSync(varlog, { encoding: 'buffer' })
	t.deepEqual(copied.map(name => name.toString('hex')).sort(), bytes.map(name => name.toString('hex')).sort())
	for (const name of copied) t.deepEqual(readFileSync(Buffer.concat([Buffer.from(`${varlog}/`), name])), name)
})

test('holes stay holes, and two names of one file stay two names', t => {
	const { log, varlog, copy } = places(t)
	writeFileSync(join(log, 'lastlog'), 'start')
	truncateSync(join(log, 'lastlog'), 900_000)
	linkSync(join(log, 'lastlog'), join(log, 'second'))
	const told = copy({ limits: { bytes: 70_000 } })
	t.deepEqual(told.left, [])
	t.is(told.bytes, 65_536)
	const stat = lstatSync(join(varlog, 'lastlog'))
	t.is(stat.size, 900_000)
	t.true(stat.blocks * 512 <= 131_072)
	t.is(lstatSync(join(varlog, 'second')).ino, stat.ino)
})

test('bounds of bytes, entries and depth hold, and what is left out is told', t => {
	const { log, varlog, copy } = places(t)
	writeFileSync(join(log, 'long'), 'x'.repeat(5_000))
	t.deepEqual(copy({ limits: { fileBytes: 4_999 } }).left, [{ path: 'long', reason: 'it is longer than 4999 bytes' }])
	t.deepEqual(readdirSync(varlog), [])
	const second = copy({ limits: { bytes: 4_999 } })
	t.deepEqual(second.left, [{ path: 'long', reason: 'the files before it leave too little room' }])
	t.deepEqual(readdirSync(varlog), [])
	rmSync(join(log, 'long'))
	mkdirSync(join(log, 'a/b/c'), { recursive: true })
	t.deepEqual(copy({ limits: { depth: 2 } }).left, [{ path: 'a/b/c', reason: 'it is too deep' }])
})

test('too many entries and too much time end the copy', t => {
	const many = places(t)
	for (let index = 0; index < 50; index++) writeFileSync(join(many.log, `f${index}`), '')
	const told = many.copy({ limits: { entries: 20 } })
	t.is(told.entries, 20)
	t.is(readdirSync(many.varlog).length, 20)
	t.is(told.left.length, 1)
	t.is(told.left[0]?.reason, 'there are too many entries; nothing after it was copied')
	const late = places(t)
	writeFileSync(join(late.log, 'f'), '')
	t.deepEqual(late.copy({ limits: { timeMs: -1 } }).left, [
		{ path: 'f', reason: 'it took too long; nothing after it was copied' },
	])
})

for (const link of ['var', 'var/log'] as const) {
	test(`a /${link} that is a link is not followed`, t => {
		const { rootfs, varlog, copy } = places(t)
		const outside = mkdtempSync(join(tmpdir(), 'pogs-lower-outside-'))
		t.teardown(() => rmSync(outside, { recursive: true, force: true }))
		mkdirSync(join(outside, 'log'))
		writeFileSync(join(outside, 'log/secret'), 'secret')
		rmSync(join(rootfs, link), { recursive: true })
		symlinkSync(link === 'var' ? outside : join(outside, 'log'), join(rootfs, link))
		t.deepEqual(copy().left, [{ path: '', reason: "the image's /var/log cannot be opened: ELOOP" }])
		t.throws(() => readdirSync(varlog), { code: 'ENOENT' })
	})
}

test('a file that is a link to one of the host is copied as a link', t => {
	const { log, varlog, copy } = places(t)
	symlinkSync('/etc/hostname', join(log, 'messages'))
	t.deepEqual(copy().left, [])
	t.is(readlinkSync(join(varlog, 'messages')), '/etc/hostname')
})

test('an image without /var/log has no lower layer, and nothing to tell', t => {
	const { rootfs, varlog, copy } = places(t)
	rmSync(join(rootfs, 'var'), { recursive: true })
	t.deepEqual(copy().left, [])
	t.throws(() => readdirSync(varlog), { code: 'ENOENT' })
})

rootOnly('owners are those that the container sees, shifted on disk or not', t => {
	const { log, varlog, copy } = places(t)
	const map = [{ containerId: 0, hostId: 100_000, size: 1_000 }]
	const expected: Record<string, number> = {
		'0': 100_000,
		'33': 100_033,
		'100000': 100_000,
		'100102': 100_102,
		'5000': 100_000,
	}
	for (const id of Object.keys(expected)) {
		writeFileSync(join(log, id), '')
		execFileSync('chown', [`${id}:${id}`, join(log, id)])
	}
	copy({ uids: map, gids: map, owner: { uid: 100_000, gid: 100_000 } })
	for (const [id, host] of Object.entries(expected)) {
		const { uid, gid } = lstatSync(join(varlog, id))
		t.deepEqual([id, uid, gid], [id, host, host])
	}
})

rootOnly('devices and sockets are left out, and set-user-id bits survive the change of owner', t => {
	const { log, varlog, copy } = places(t)
	execFileSync('mknod', [join(log, 'mem'), 'c', '1', '1'])
	writeFileSync(join(log, 'tool'), '')
	execFileSync('chown', ['7:8', join(log, 'tool')])
	execFileSync('chmod', ['6755', join(log, 'tool')])
	t.deepEqual(copy().left, [{ path: 'mem', reason: 'it is a device or a socket' }])
	t.is(lstatSync(join(varlog, 'tool')).mode & 0o7777, 0o6755)
})
