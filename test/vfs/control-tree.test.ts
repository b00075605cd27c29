/** The host's control file and the links by which runtimes wait: what is asked, by whom, and that each is answered once. */
import test from 'ava'
import type { Connection, Entry, ReadReply } from '../../src/fuse/filesystem.ts'
import { emptyAttr, PENDING } from '../../src/fuse/filesystem.ts'
import { ECANCELED, EINVAL, ENOENT, ESTALE } from '../../src/lib/errno.ts'
import { ControlTree } from '../../src/vfs/control-tree.ts'

const ROOT = 1
const CALLER = { uid: 0, gid: 0, pid: 77 }

function newEntry(): Entry {
	return { node: 0, generation: 0, entryValidMs: -1, attrValidMs: -1, attr: emptyAttr() }
}

function setUp() {
	const lines: [number, string][] = []
	const answers = new Map<number, number | string>()
	const tree = new ControlTree((command, line) => lines.push([command, line]))
	const silent: ReadReply = { room: 4096, add: () => {}, addBytes: () => {} }
	const finishRead: Connection['finishRead'] = (request, _size, fill) => {
		let text = ''
		const outcome = fill({
			...silent,
			addBytes: (bytes, from, to) => (text += Buffer.from(bytes).toString('latin1', from, to)),
		})
		answers.set(request, outcome === 0 ? text : outcome)
	}
	tree.attach({ finishRead } as Connection)
	const lookup = (parent: number, name: string): Entry | number => {
		const entry = newEntry()
		const outcome = tree.lookup(parent, name, entry)
		return outcome < 0 ? outcome : entry
	}
	const node = (parent: number, name: string): number => {
		const found = lookup(parent, name)
		return typeof found === 'number' ? found : found.node
	}
	const readlink = (at: number, request: number): number => tree.readlink(at, silent, request, CALLER)
	return { tree, lines, answers, lookup, node, readlink }
}

test('a link waits for its command, whoever reads it, and leads to the socket when the answer is ok', t => {
	const { tree, lines, answers, node, readlink } = setUp()
	const web = node(node(ROOT, 'start'), 'web')
	t.is(readlink(web, 5), PENDING)
	t.is(readlink(web, 6), PENDING)
	t.deepEqual(lines, [
		[1, 'meet\tweb\t77'],
		[2, 'meet\tweb\t77'],
	])
	t.true(tree.goesOn(5), 'a signal does not end it')
	tree.answer(2, 'error It cannot be mounted')
	tree.answer(1, 'ok')
	tree.answer(1, 'ok')
	t.deepEqual(
		[...answers],
		[
			[6, -ECANCELED],
			[5, '../../seccomp.sock'],
		],
	)
	t.false(tree.goesOn(5))
})

test('a link has one number as long as the kernel knows it, and is asked for anew each time', t => {
	const { tree, lookup, node, readlink } = setUp()
	const start = node(ROOT, 'start')
	const first = lookup(start, 'web') as Entry
	t.is(first.entryValidMs, 0)
	t.is(node(start, 'web'), first.node)
	t.not(node(start, 'db'), first.node)
	tree.forget(first.node, 1)
	t.is(readlink(first.node, 1), PENDING)
	tree.forget(first.node, 1)
	t.is(readlink(first.node, 2), -ESTALE)
	t.not(node(start, 'web'), first.node)
})

test('nothing else is a link', t => {
	const { lookup, node, readlink } = setUp()
	t.is(lookup(ROOT, 'web'), -ENOENT)
	t.is(lookup(node(ROOT, 'start'), 'a\tb'), -ENOENT)
	t.is(readlink(node(ROOT, 'ctl'), 1), -EINVAL)
	t.is(readlink(node(ROOT, 'start'), 1), -EINVAL)
})
