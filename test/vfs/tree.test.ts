/** The rest of the tree: moves, app files, names, and what hostile callers ask. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { EBADF, EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP, EPERM, EROFS, EXDEV } from '../../src/lib/errno.ts'
import {
	CALLER,
	exists,
	newAttr,
	newEntry,
	O_CREAT,
	O_EXCL,
	O_NONBLOCK,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
	type TestTree,
	withTree,
} from '../helpers/trees.ts'

process.env['TZ'] = 'UTC'
const HEAD = 'Nov 22 10:00:00 box '

function rename(tree: TestTree, from: string, to: string, flags = 0): number {
	const [source, target] = [tree.parent(from), tree.parent(to)]
	return tree.tree.rename(source[0], source[1], target[0], target[1], flags)
}

test('every pair of a view, an app file and the configuration has its own meaning when one is moved onto the other', t => {
	withTree({ conf: '*.* /var/log/all\nmail.* /var/log/mail\n' }, tree => {
		tree.send('<13>x: one')
		// view -> new name, and onto an app file
		t.is(tree.put('/var/log/app', 'app'), 0)
		t.is(rename(tree, '/var/log/all', '/var/log/app', 1), -EEXIST)
		t.is(rename(tree, '/var/log/all', '/var/log/app'), 0)
		t.is(tree.cat('/var/log/app'), `${HEAD}x: one\n`)
		// view -> live view
		tree.send('<22>x: two')
		t.is(rename(tree, '/var/log/app', '/var/log/all'), -EXDEV)
		// app -> frozen view
		tree.put('/var/log/tmp', 'tmp')
		t.is(rename(tree, '/var/log/tmp', '/var/log/app'), 0)
		t.is(tree.cat('/var/log/app'), 'tmp')
		// app -> live view (sed -i)
		t.is(rename(tree, '/var/log/app', '/var/log/mail'), 0)
		t.is(tree.cat('/var/log/mail'), 'tmp')
		t.false(exists(`${tree.directory}/varlog/app`))
		// app -> configuration, configuration -> app
		tree.put('/run/pog/new', '*.* /var/log/other\n')
		t.is(rename(tree, '/run/pog/new', '/run/pog/syslog.conf'), 0)
		t.is(tree.pog.configured.text, '*.* /var/log/other\n')
		t.is(rename(tree, '/run/pog/syslog.conf', '/run/pog/backup~'), 0)
		t.is(tree.cat('/run/pog/backup~'), '*.* /var/log/other\n')
		t.is(tree.cat('/run/pog/syslog.conf'), '*.* /var/log/other\n')
		// and what has no meaning
		t.is(rename(tree, '/var/log/other', '/run/pog/syslog.conf'), -EXDEV)
		tree.send('<13>x: three')
		t.is(rename(tree, '/var/log/other', '/run/pog/syslog.conf'), -EXDEV)
		t.is(rename(tree, '/var/log/other', '/run/pog/other'), -EXDEV)
		t.is(rename(tree, '/var/log/other', '/var/log/mail', 2), -EINVAL)
		t.is(rename(tree, '/run/pog/log', '/run/pog/log2'), -EPERM)
		t.is(rename(tree, '/run/pog/backup~', '/run/pog/stats'), -EPERM)
		t.is(rename(tree, '/run/pog/stats', '/run/pog/stats2'), -EPERM)
		t.is(rename(tree, '/etc/syslog.conf', '/etc/syslog.conf2'), -EROFS)
		t.is(tree.tree.unlink(tree.node('/run/pog'), 'log'), -EPERM)
		t.is(tree.tree.unlink(tree.node('/run/pog'), 'syslog.conf'), 0)
		t.is(tree.pog.configured.state, 'default')
	})
})

test('app files: made, written, listed, linked, moved and removed in the backing directory', t => {
	withTree({ conf: '*.* /var/log/sub/view\n' }, tree => {
		const [log] = tree.parent('/var/log/x')
		t.is(tree.put('/var/log/a', 'hello'), 0)
		t.is(readFileSync(`${tree.directory}/varlog/a`, 'utf8'), 'hello')
		t.is(tree.cat('/var/log/a', 2), 'hello')
		t.is(tree.open('/var/log/a', O_CREAT | O_EXCL | O_WRONLY) >= 0, true)
		t.is(
			tree.tree.create(
				log,
				'a',
				0o600,
				O_CREAT | O_EXCL | O_WRONLY,
				newEntry(),
				{ handle: 0, openFlags: 0, backingId: 0 },
				CALLER,
			),
			-EEXIST,
		)
		t.is(tree.tree.mkdir(log, 'd', 0o750, newEntry(), { uid: 5, gid: 6, pid: 1 }), 0)
		t.like(statSync(`${tree.directory}/varlog/d`), { uid: 5, gid: 6 })
		t.is(tree.tree.link(tree.node('/var/log/a'), tree.node('/var/log/d'), 'b', newEntry()), 0)
		t.is(tree.attr('/var/log/d/b').nlink, 2)
		t.is(tree.attr('/var/log/d/b').ino, tree.attr('/var/log/a').ino)
		t.is(rename(tree, '/var/log/d', '/var/log/e'), 0)
		t.is(tree.cat('/var/log/e/b'), 'hello')
		t.deepEqual(tree.list('/var/log'), ['a', 'e', 'sub'])
		t.is(tree.tree.rmdir(log, 'e') < 0, true)
		t.is(tree.tree.unlink(tree.node('/var/log/e'), 'b'), 0)
		t.is(tree.tree.rmdir(log, 'e'), 0)
		t.is(rename(tree, '/var/log/sub', '/var/log/bus'), -EBUSY)
		t.is(tree.tree.rmdir(log, 'sub'), -EBUSY)
		t.is(tree.tree.mknod(log, 'dev', 0o020644, 0x101, newEntry(), CALLER), -EPERM)
		t.is(tree.tree.mkdir(tree.node('/etc'), 'd', 0o755, newEntry(), CALLER), -EROFS)
		t.is(tree.tree.link(tree.node('/var/log/sub/view'), log, 'l', newEntry()), -EPERM)
	})
})

test('an open app file without a name is still read, written and described', t => {
	withTree({}, tree => {
		tree.put('/var/log/a', 'hello')
		const node = tree.node('/var/log/a')
		const handle = tree.open('/var/log/a', O_RDWR)
		t.is(tree.tree.unlink(tree.node('/var/log'), 'a'), 0)
		t.is(tree.write(handle, 'J'), 1)
		t.is(tree.read(handle, 0, 100), 'Jello')
		const attr = newAttr()
		t.is(tree.tree.getattr(node, -1, attr), 0)
		t.like(attr, { size: 5, nlink: 0 })
		const change = { valid: 8, handle, size: 2, atimeUs: 0, mtimeUs: 0, mode: 0, uid: 0, gid: 0 }
		t.is(tree.tree.setattr(node, change, attr), 0)
		t.is(attr.size, 2)
		tree.tree.release(0, handle)
		t.is(tree.tree.getattr(node, -1, attr), 0, 'a descriptor of O_PATH is no handle of ours')
		t.is(attr.nlink, 0)
		t.is(tree.tree.open(node, 0, { handle: 0, openFlags: 0, backingId: 0 }, CALLER), -ENOENT)
	})
})

test('no symbolic link of a container leads a view, a change or a read to the host', t => {
	const host = mkdtempSync('/dev/shm/pogs-host-')
	t.teardown(() => rmSync(host, { recursive: true }))
	writeFileSync(`${host}/secret`, 'host', { mode: 0o600 })
	mkdirSync(`${host}/below`)
	withTree({}, tree => {
		const [log] = tree.parent('/var/log/x')
		const link = (name: string, target: string): number => tree.tree.symlink(log, name, target, newEntry(), CALLER)
		// A view's file below a link: its directories are not made over there.
		t.is(link('mail', host), 0)
		t.deepEqual(tree.pog.configured.set('*.* /var/log/mail/new/file\n'), [])
		t.deepEqual(readdirSync(host).sort(), ['below', 'secret'])
		// chmod(2) of the link itself.
		t.is(link('direct', `${host}/secret`), 0)
		const change = { valid: 1, handle: -1, size: 0, atimeUs: 0, mtimeUs: 0, mode: 0o666, uid: 0, gid: 0 }
		t.is(tree.tree.setattr(tree.node('/var/log/direct'), change, newAttr()), -EOPNOTSUPP)
		t.is(tree.open('/var/log/direct') < 0, true)
		// A file with two names; the directory of the one it is known by is forgotten, moved away, and a link takes its place.
		t.is(tree.tree.mkdir(log, 'd', 0o755, newEntry(), CALLER), 0)
		tree.put('/var/log/d/secret', 'mine')
		t.is(tree.tree.link(tree.node('/var/log/d/secret'), log, 'other', newEntry()), 0)
		const directory = tree.node('/var/log/d')
		const file = tree.node('/var/log/d/secret')
		tree.tree.forget(directory, 1000)
		t.is(rename(tree, '/var/log/d', '/var/log/moved'), 0)
		t.is(link('d', host), 0)
		const attr = newAttr()
		t.is(tree.tree.getattr(file, -1, attr), 0)
		t.is(attr.ino, tree.attr('/var/log/moved/secret').ino)
		t.is(tree.tree.setattr(file, change, attr), 0)
		t.is(tree.tree.setattr(file, { ...change, valid: 8 }, attr), 0)
		t.like(statSync(`${host}/secret`), { mode: 0o100600, size: 4 })
		t.is(tree.attr('/var/log/moved/secret').size, 0)
	})
})

test('nodes of app files are forgotten when the kernel forgets them and all below', t => {
	withTree({}, tree => {
		const [log] = tree.parent('/var/log/x')
		tree.tree.mkdir(log, 'd', 0o755, newEntry(), CALLER)
		tree.put('/var/log/d/f', 'x')
		const [directory, file] = [tree.node('/var/log/d'), tree.node('/var/log/d/f')]
		const attr = newAttr()
		tree.tree.forget(directory, 1000)
		t.is(tree.tree.getattr(file, -1, attr), 0)
		t.is(tree.tree.getattr(directory, -1, attr), 0)
		tree.tree.forget(file, 1000)
		t.deepEqual([tree.tree.getattr(file, -1, attr), tree.tree.getattr(directory, -1, attr)], [-ENOENT, -ENOENT])
		tree.tree.forget(file, 1)
		t.is(tree.cat('/var/log/d/f'), 'x')
	})
})

test('names that the kernel never sends are refused, and long ones too', t => {
	withTree({}, tree => {
		const log = tree.node('/var/log')
		const opened = { handle: 0, openFlags: 0, backingId: 0 }
		for (const name of ['', '.', '..', '/', 'a/b', '../ring', 'a\0b', 'x'.repeat(256)]) {
			for (const parent of [1, log, tree.node('/etc')]) {
				t.true(tree.tree.lookup(parent, name, newEntry()) < 0, name)
				t.true(tree.tree.create(parent, name, 0o644, O_CREAT, newEntry(), opened, CALLER) < 0, name)
				t.true(tree.tree.mkdir(parent, name, 0o755, newEntry(), CALLER) < 0, name)
				t.true(tree.tree.symlink(parent, name, 'x', newEntry(), CALLER) < 0, name)
				t.true(tree.tree.unlink(parent, name) < 0, name)
				t.true(tree.tree.rmdir(parent, name) < 0, name)
				t.true(tree.tree.rename(parent, name, log, 'ok', 0) < 0, name)
			}
			tree.put('/var/log/file', 'x')
			t.true(tree.tree.rename(log, 'file', log, name, 0) < 0, name)
			t.true(tree.tree.link(tree.node('/var/log/file'), log, name, newEntry()) < 0, name)
		}
		t.deepEqual(readdirSync(tree.directory).sort(), ['runpog', 'varlog'])
		t.deepEqual(readdirSync(`${tree.directory}/varlog`), ['file'])
	})
})

test('destroying the tree twice closes no descriptor twice', t => {
	withTree({}, tree => {
		tree.put('/var/log/a', 'x')
		const handle = tree.open('/var/log/a')
		tree.tree.destroy()
		t.is(tree.read(handle, 0, 1), -EBADF)
		// The same descriptor number, now somebody else's.
		const other = tree.open('/var/log/a')
		tree.tree.release(0, handle)
		t.is(tree.read(other, 0, 1), 'x')
	})
})

test('no operation throws, whatever it names: every answer is a result or an errno', t => {
	const name = fc.constantFrom(
		'all',
		'mail',
		'a',
		'b',
		'sub',
		'syslog.conf',
		'ctl',
		'kmsg',
		'..',
		'',
		'\xff',
		'x'.repeat(256),
		'log',
	)
	const small = fc.oneof(
		fc.nat(20),
		fc.constantFrom(2 ** 31, 2 ** 50, 2 ** 51, 2 ** 51 + 5, 2 ** 50 + 2 ** 41, Number.MAX_SAFE_INTEGER, 8192 * 3),
	)
	const op = fc.record({
		kind: fc.nat(22),
		node: fc.nat(40),
		other: fc.nat(40),
		wild: small,
		name,
		newName: name,
		flags: fc.constantFrom(0, 1, 2, O_TRUNC, O_RDWR | O_CREAT, O_NONBLOCK),
		handle: fc.nat(30),
		size: fc.constantFrom(0, 1, 100, 5000, 1 << 17),
		offset: small,
		text: fc.string({ unit: fc.constantFrom('*', '.', ' ', '/var/log/', 'x', '\n', '<', '>', '1'), maxLength: 30 }),
	})
	fc.assert(
		fc.property(fc.array(op, { minLength: 5, maxLength: 60 }), ops => {
			withTree(
				{
					conf: '*.* /var/log/all\nmail.* /var/log/mail;RFC5424;rotate=100:2\n',
					limits: { handles: 12, views: 8, pendingReads: 2 },
				},
				tree => {
					const fs = tree.tree
					const nodes = [
						1,
						2,
						3,
						5,
						7,
						8,
						9,
						10,
						11,
						13,
						tree.node('/var/log/all'),
						tree.node('/var/log/mail'),
						tree.node('/run/pog/log'),
					]
					const handles: number[] = []
					const opened = { handle: 0, openFlags: 0, backingId: 0 }
					const adopt = (answer: number, entry = newEntry()): number => {
						if (answer === 0) nodes.push(entry.node)
						return answer
					}
					const keep = (answer: number): number => {
						if (answer === 0) handles.push(opened.handle)
						return answer
					}
					for (const o of ops) {
						const node = nodes[o.node] ?? o.wild
						const parent = nodes[o.other] ?? o.wild
						const handle = handles[o.handle] ?? o.wild
						const entry = newEntry()
						const change = {
							valid: o.wild & 0x1ff,
							handle: o.handle > 15 ? -1 : handle,
							size: o.offset,
							atimeUs: 5,
							mtimeUs: 6,
							mode: 0o777,
							uid: 1,
							gid: 2,
						}
						const answers: (() => number | string)[] = [
							() => adopt(fs.lookup(node, o.name, entry), entry),
							() => fs.getattr(node, handle, newAttr()),
							() => fs.setattr(node, change, newAttr()),
							() => fs.readlink(node, { room: 4096, add: () => {}, addBytes: () => {} }),
							() => adopt(fs.symlink(node, o.name, o.text, entry, CALLER), entry),
							() => adopt(fs.mknod(node, o.name, o.wild & 0o177777, 0, entry, CALLER), entry),
							() => adopt(fs.mkdir(node, o.name, 0o755, entry, CALLER), entry),
							() => fs.unlink(node, o.name),
							() => fs.rmdir(node, o.name),
							() => fs.rename(node, o.name, parent, o.newName, o.flags & 3),
							() => adopt(fs.link(node, parent, o.newName, entry), entry),
							() => keep(fs.open(node, o.flags, opened, CALLER)),
							() => keep(fs.create(node, o.name, 0o644, o.flags | O_CREAT, entry, opened, CALLER)),
							() => tree.read(handle, o.offset, o.size, o.flags),
							() => tree.write(handle, o.text, o.offset),
							() => fs.flush(node, handle),
							() => fs.fsync(node, handle),
							() => (fs.release(node, handle), 0),
							() =>
								fs.opendir(node, opened) < 0 ? 0 : fs.readdir(node, opened.handle, o.flags, { add: () => o.size > 1 }),
							() => fs.lseek(node, handle, o.offset, o.flags),
							() => fs.poll(node, handle, o.handle, o.size > 1),
							() => fs.fallocate(node, handle, 0, o.size, 0),
							() => {
								fs.forget(node, o.size)
								fs.interrupted(o.wild)
								tree.send(`<${o.size % 200}>${o.text}`)
								tree.kmsg(o.text)
								tree.pog.tick()
								return fs.statfs(node, { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 0, namelen: 0 })
							},
						]
						const answer = answers[o.kind]?.() ?? 0
						t.true(
							typeof answer === 'string' || (Number.isSafeInteger(answer) && answer > -512),
							`${o.kind}: ${answer}`,
						)
					}
					tree.send('<13>still: here')
					t.is(tree.pog.ring.headSeq > 0, true)
				},
			)
		}),
		{ numRuns: 150 },
	)
})
