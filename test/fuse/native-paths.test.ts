/**
 * Paths to nodes for fuse-native, on a tree that counts its lookups; names are those of a container that means harm.
 */
import test from 'ava'
import fc from 'fast-check'
import type { Filesystem } from '../../src/fuse/filesystem.ts'
import { Paths, toBytes, toText } from '../../src/fuse/native-paths.ts'

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

const NAMES: Readonly<Record<string, readonly [node: number, mode: number]>> = {
	'1/d': [2, S_IFDIR],
	'2/f': [3, S_IFREG],
	'2/v': [0, S_IFREG],
	'2/link': [4, S_IFLNK],
}

/** `/d/f`, `/d/v` (another node at each look-up, as a view may be) and `/d/link`, a symbolic link. */
class Counting {
	readonly held = new Map<number, number>()
	readonly asked: string[] = []
	#views = 100

	lookup(parent: number, name: string, entry: Parameters<Filesystem['lookup']>[2]): number {
		this.asked.push(`${parent}/${name}`)
		const found = NAMES[`${parent}/${name}`]
		if (found === undefined) return -2
		const [node, mode] = name === 'v' ? [this.#views++, S_IFREG] : found
		entry.node = node
		entry.attr.ino = name === 'v' ? 50 : node
		entry.attr.mode = mode
		this.held.set(node, (this.held.get(node) ?? 0) + 1)
		return 0
	}

	getattr(): number {
		return 0
	}

	forget(node: number, lookups: number): void {
		this.held.set(node, (this.held.get(node) ?? 0) - lookups)
	}

	get balance(): number[] {
		return [...this.held.values()].filter(count => count !== 0)
	}
}

function fresh(): { tree: Counting; paths: Paths } {
	const tree = new Counting()
	return { tree, paths: new Paths(tree as unknown as Filesystem, { uid: 0, gid: 0, pid: 0 }) }
}

test('every look-up is given back, whatever is asked and held', t => {
	const path = fc.constantFrom(
		'/',
		'/d',
		'/d/f',
		'/d/v',
		'/d/link',
		'/d/link/etc',
		'/x/y',
		'/d/f/g',
		'//d//f',
		'/\uFFFD',
	)
	fc.assert(
		fc.property(fc.array(fc.tuple(path, fc.boolean()), { maxLength: 30 }), asks => {
			const { tree, paths } = fresh()
			const holds = []
			for (const [asked, hold] of asks) {
				if (paths.find(asked) > 1 && hold) holds.push(paths.hold())
				paths.settle()
			}
			for (const hold of holds) paths.release(hold)
			t.deepEqual(tree.balance, [])
		}),
	)
})

test('nothing is looked up below a symbolic link or a file', t => {
	const { tree, paths } = fresh()
	t.is(paths.find('/d/link/etc/shadow'), -20)
	t.is(paths.find('/d/f/x'), -20)
	t.deepEqual(
		tree.asked.filter(asked => asked.startsWith('4/') || asked.startsWith('3/')),
		[],
	)
})

test('while a file is open its path stands for the node it was opened by', t => {
	const { paths } = fresh()
	const first = paths.find('/d/v')
	const hold = paths.hold()
	paths.settle()
	t.is(paths.find('/d/v'), first)
	paths.settle()
	paths.release(hold)
	t.not(paths.find('/d/v'), first)
})

test('a removed file gives its inode number to another', t => {
	const { paths } = fresh()
	const first = paths.find('/d/v')
	paths.hold()
	paths.settle()
	paths.unpin(50)
	t.not(paths.find('/d/v'), first)
})

test('a name whose bytes were lost is refused, others survive both ways', t => {
	t.is(toBytes('a\uFFFD'), undefined)
	t.is(toText('\xff'), undefined)
	t.is(toText('\xc3\xa9'), '\u00e9')
	fc.assert(
		fc.property(fc.string({ unit: 'grapheme' }), text => {
			fc.pre(!text.includes('\uFFFD'))
			t.is(toText(toBytes(text) ?? ''), text)
		}),
	)
	t.is(fresh().paths.find('/d/\uFFFD'), -22)
})
