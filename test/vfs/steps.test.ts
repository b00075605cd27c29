/** What takes long is carried out beside other requests: configurations that are being read, and what happens meanwhile. */
import { existsSync } from 'node:fs'
import test from 'ava'
import { PENDING } from '../../src/fuse/filesystem.ts'
import { FATTR_SIZE } from '../../src/fuse/flags.ts'
import { CALLER, newAttr, O_RDWR, O_WRONLY, type TestTree, withTree } from '../helpers/trees.ts'

const CONF = '/etc/syslog.conf'
/** Several milliseconds' worth. */
// Each test has a path of its own: what was read once is known.
const long = (path: string): string =>
	`${'# a line that says nothing, as most do\n'.repeat(2000)}${`*.info;mail,auth.none ${path}\n`.repeat(400)}`

/** Goes on until nothing is left, and tells after which step each request had its answer. */
function work({ tree, late }: TestTree, look: () => void = () => {}): number {
	for (let steps = 1; ; steps++) {
		const more = tree.work()
		look()
		if (!more) return steps
		if (steps > 100_000 || late.size > 100) throw new Error('it does not end')
	}
}

function putLater(tree: TestTree, text: string): { handle: number; answer: number } {
	const handle = tree.open(CONF, O_WRONLY)
	tree.tree.setattr(tree.node(CONF), { ...CHANGE, handle, size: 0 }, newAttr())
	tree.write(handle, text)
	return { handle, answer: tree.tree.flush(0, handle) }
}

const CHANGE = { valid: FATTR_SIZE, handle: -1, size: 0, atimeUs: 0, mtimeUs: 0, mode: 0, uid: 0, gid: 0 }

test('a configuration is read in steps: the one before holds until the answer, and records come in meanwhile', t => {
	withTree({ conf: '*.* /var/log/old\n', later: { gone: false } }, tree => {
		const { handle, answer } = putLater(tree, long('/var/log/new'))
		t.is(answer, PENDING)
		let meanwhile = 0
		const steps = work(tree, () => {
			if (tree.late.size > 0) return
			t.is(tree.pog.configured.text, '*.* /var/log/old\n')
			tree.send('<14>x: meanwhile')
			meanwhile++
		})
		t.true(steps > 2 && meanwhile > 1, `${steps} steps`)
		t.deepEqual([...tree.late], [[1, 0]])
		t.is(tree.pog.configured.rules, 400)
		tree.send('<14>x: after')
		t.is(tree.cat('/var/log/old').split('\n').length - 1, meanwhile)
		t.regex(tree.cat('/var/log/new'), /x: after/)
		// Closed once more: nothing is left to do.
		t.is(tree.tree.flush(0, handle), 0)
		tree.tree.release(0, handle)
		t.is(tree.tree.work(), false)
	})
})

test('a second configuration while the first is being read counts after it, each from its own answer on', t => {
	withTree({ conf: '', later: { gone: false } }, tree => {
		t.is(putLater(tree, long('/var/log/first')).answer, PENDING)
		tree.tree.work()
		t.is(putLater(tree, '*.* /var/log/second\n').answer, PENDING)
		t.is(tree.cat(CONF), '*.* /var/log/second\n')
		const seen: string[] = []
		work(tree, () => {
			const { text, rules } = tree.pog.configured
			if (tree.late.size === seen.length) return
			seen.push(`${[...tree.late.keys()].join()}: ${rules} ${text.includes('first') ? 'first' : 'second'}`)
			// Whoever edits goes on editing what was written last.
			t.is(tree.cat(CONF), '*.* /var/log/second\n')
		})
		t.deepEqual(seen, ['1: 400 first', '1,2: 1 second'])
		t.deepEqual([...tree.late.values()], [0, 0])
	})
})

test('what is written by the same descriptor while it is being closed is put in force by its next close', t => {
	withTree({ conf: '', later: { gone: false } }, tree => {
		const { handle, answer } = putLater(tree, long('/var/log/same'))
		t.is(answer, PENDING)
		tree.tree.work()
		tree.write(handle, '*.* /var/log/more\n', long('/var/log/same').length)
		work(tree)
		t.is(tree.pog.configured.rules, 400)
		t.is(tree.tree.flush(0, handle), PENDING)
		work(tree)
		t.is(tree.pog.configured.rules, 401)
		t.deepEqual([...tree.late.values()], [0, 0])
	})
})

test('a file becomes the configuration, and has its name until it is; a cut one holds from the answer on', t => {
	withTree({ conf: '', later: { gone: false } }, tree => {
		tree.put('/run/pog/new', long('/var/log/moved'))
		const node = tree.node('/run/pog')
		t.is(tree.tree.rename(node, 'new', node, 'syslog.conf', 0), PENDING)
		work(tree, () => t.is(existsSync(`${tree.directory}/runpog/new`), tree.late.size === 0))
		t.is(tree.pog.configured.rules, 400)
		const attr = newAttr()
		const size = long('/var/log/moved').length - '*.info;mail,auth.none /var/log/moved\n'.length
		t.is(tree.tree.setattr(tree.node(CONF), { ...CHANGE, size }, attr), PENDING)
		work(tree)
		t.is(tree.pog.configured.rules, 399)
		t.is(attr.size, size)
		t.deepEqual([...tree.late.values()], [0, 0])
	})
})

test('commands come after the configurations that were closed before them', t => {
	withTree({ conf: '', later: { gone: false } }, tree => {
		t.is(putLater(tree, long('/var/log/reset')).answer, PENDING)
		const ctl = tree.open('/run/pog/ctl', O_RDWR)
		t.is(tree.write(ctl, 'conf reset'), PENDING)
		work(tree)
		t.is(tree.pog.configured.state, 'default')
		t.deepEqual([...tree.late.values()], [0, 'conf reset'.length])
		t.is(tree.read(ctl, 0, 100), 'ok the host default is in force\n')
	})
})

test('when the connection is gone nothing of what was begun counts, and nothing is left to do', t => {
	const later = { gone: false }
	withTree({ conf: '*.* /var/log/old\n', later }, tree => {
		t.is(putLater(tree, long('/var/log/gone')).answer, PENDING)
		t.is(putLater(tree, '*.* /var/log/second\n').answer, PENDING)
		tree.tree.work()
		later.gone = true
		t.true(work(tree) <= 2)
		t.is(tree.late.size, 0)
		t.is(tree.pog.configured.text, '*.* /var/log/old\n')
		t.is(tree.tree.mkdir(tree.node('/var/log'), 'd', 0o755, newEntryOf(), CALLER), 0)
	})
})

const newEntryOf = () => ({ node: 0, generation: 0, entryValidMs: 0, attrValidMs: 0, attr: newAttr() })
