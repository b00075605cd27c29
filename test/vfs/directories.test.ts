/** Large directories: read piece by piece from where they lie, while their names change. */
import { readdirSync } from 'node:fs'
import test from 'ava'
import type { DirReply } from '../../src/fuse/filesystem.ts'
import { FileCalls } from '../../src/sys/files.ts'
import { type TestTree, withTree } from '../helpers/trees.ts'

const LOG = '/var/log'

interface Listed {
	readonly name: string
	/** Where to go on behind it. */
	readonly next: number
}

function openDirectory(test: TestTree): number {
	const opened = { handle: 0, openFlags: 0, backingId: 0 }
	if (test.tree.opendir(test.node(LOG), opened) !== 0) throw new Error('opendir')
	return opened.handle
}

/** One request, whose buffer has room for so many names. */
function readSome(test: TestTree, handle: number, offset: number, room = 7): Listed[] {
	const listed: Listed[] = []
	const add: DirReply['add'] = (name, _ino, _type, next) => {
		if (listed.length === room) return false
		listed.push({ name, next })
		return true
	}
	if (test.tree.readdir(test.node(LOG), handle, offset, { add }) !== 0) throw new Error('readdir')
	return listed
}

function readOn(tree: TestTree, handle: number, offset: number, between: (n: number) => void = () => {}): Listed[] {
	const all: Listed[] = []
	for (let [at, n] = [offset, 0]; ; n++) {
		const listed = readSome(tree, handle, at)
		if (listed.length === 0) return all
		all.push(...listed)
		at = listed.at(-1)?.next ?? 0
		between(n)
	}
}

function withNames(count: number, run: (tree: TestTree, calls: { pieces: number }) => void): void {
	const real = new FileCalls()
	const counted = { pieces: 0 }
	const calls = {
		listSome: (fd: number, sizeBytes: number) => {
			counted.pieces++
			return real.listSome(fd, sizeBytes)
		},
		list: () => {
			throw new Error('a whole directory is listed')
		},
	}
	withTree({ conf: '*.* /var/log/view\n', calls }, tree => {
		for (let n = 0; n < count; n++) tree.put(`${LOG}/name-${n}`, '')
		run(tree, counted)
	})
}

const names = (listed: readonly Listed[]): string[] =>
	listed.map(({ name }) => name).filter(name => !/^\.\.?$/.test(name))

test('every name that stays is listed once, whatever is removed, made and moved meanwhile', t => {
	withNames(600, tree => {
		const log = tree.node(LOG)
		const gone = new Set<string>()
		const handle = openDirectory(tree)
		const listed = names(
			readOn(tree, handle, 0, n => {
				for (const name of [`name-${n * 5}`, `name-${599 - n}`]) {
					gone.add(name)
					tree.tree.unlink(log, name)
				}
				tree.put(`${LOG}/more-${n}`, '')
				gone.add(`name-${n * 4 + 1}`)
				tree.tree.rename(log, `name-${n * 4 + 1}`, log, `moved-${n}`, 0)
			}),
		)
		const stayed = Array.from({ length: 600 }, (_, n) => `name-${n}`).filter(name => !gone.has(name))
		t.true(stayed.length > 100)
		for (const name of ['view', ...stayed]) t.is(listed.filter(other => other === name).length, 1, name)
		tree.tree.releasedir(handle)
	})
})

test('an offset leads to the same place again: by the same descriptor, by another, and by a later engine', t => {
	withNames(300, tree => {
		const handle = openDirectory(tree)
		const all = readOn(tree, handle, 0)
		t.is(all.length, 2 + 1 + 300)
		for (const at of [299, 5, 0, 150, 151, 302]) {
			const rest = all.slice(at + 1)
			t.deepEqual(readOn(tree, handle, all[at]?.next ?? -1), rest, String(at))
			const other = openDirectory(tree)
			t.deepEqual(readOn(tree, other, all[at]?.next ?? -1), rest, String(at))
			tree.tree.releasedir(other)
		}
		tree.put(`${LOG}/late`, '')
		t.true(names(readOn(tree, handle, 0)).includes('late'))
		tree.tree.releasedir(handle)
	})
})

test('a request costs a few pieces, however large the directory is and wherever it is read; descriptors are given back', t => {
	withNames(4000, (tree, counted) => {
		const held = readdirSync('/proc/self/fd').length
		const handle = openDirectory(tree)
		let at = 0
		let most = 0
		for (;;) {
			counted.pieces = 0
			const listed = readSome(tree, handle, at, 100_000)
			most = Math.max(most, counted.pieces)
			if (listed.length === 0) break
			at = listed.at(-1)?.next ?? 0
			t.true(listed.length < 2000)
		}
		t.true(most <= 8, String(most))
		t.is(readdirSync('/proc/self/fd').length, held)
		readSome(tree, handle, 0)
		t.is(readdirSync('/proc/self/fd').length, held + 1)
		tree.tree.releasedir(handle)
		t.is(readdirSync('/proc/self/fd').length, held)
		readSome(tree, openDirectory(tree), 0)
		tree.tree.destroy()
		t.is(readdirSync('/proc/self/fd').length, held)
	})
})
