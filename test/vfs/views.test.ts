/** Views read as files: any cutting, while records are overwritten, cleared, moved and resized. */
import { writeFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { EINVAL, EPERM, EXDEV } from '../../src/lib/errno.ts'
import { contentOf } from '../helpers/pogs.ts'
import { newAttr, O_RDWR, O_TRUNC, O_WRONLY, type TestTree, withTree } from '../helpers/trees.ts'

process.env['TZ'] = 'UTC'
const HEAD = 'Nov 22 10:00:00 box '
const FILE = '/var/log/all'

function record(tree: TestTree, number: number, bytes = 20): void {
	tree.send(`<13>t: n=${number} ${'x'.repeat(bytes)} end`)
}

/**
 * Numbers of whole lines, and how many were told as lost; throws for anything else, for a wrong count or a wrong order.
 * `first`: the number of the first record that should be there or told.
 */
function judge(text: string, first?: number): { numbers: number[]; lost: number } {
	const lines = text.split('\n')
	if (lines.pop() !== '') throw new Error(`The end is torn: ${JSON.stringify(text.slice(-80))}`)
	const numbers: number[] = []
	let [lost, told] = [0, 0]
	for (const line of lines) {
		const note = /^(?:Nov 22 10:00:00 box pogs: )?(\d+) records? lost(?:: overwritten before they were read)?$/.exec(
			line,
		)
		if (note !== null) {
			told += Number(note[1])
			continue
		}
		const number = Number(/^Nov 22 10:00:00 box t: n=(\d+) x* end$/.exec(line)?.[1] ?? Number.NaN)
		if (Number.isNaN(number)) throw new Error(`Not a whole line: ${JSON.stringify(line)}`)
		const before = numbers.at(-1) ?? (first === undefined ? undefined : first - 1)
		if (before !== undefined && number !== before + 1 + told)
			throw new Error(`${before}, ${told} told as lost, then ${number}`)
		numbers.push(number)
		lost += told
		told = 0
	}
	return { numbers, lost }
}

test('a view reads the same in any cutting, and its size is what comes', t => {
	for (const conf of ['*.* /var/log/all\n', '*.* /var/log/all;RFC5424\n']) {
		withTree({ conf }, tree => {
			for (let n = 0; n < 1500; n++) record(tree, n, n % 90)
			const whole = contentOf(tree, tree.view('var/log/all'))
			t.is(tree.attr(FILE).size, whole.length)
			for (const piece of [1 << 17, 4096, 100, 7]) t.is(tree.cat(FILE, piece), whole)
			const handle = tree.open(FILE)
			fc.assert(
				fc.property(fc.nat(whole.length + 50), fc.integer({ min: 1, max: 5000 }), (offset, size) => {
					t.is(tree.read(handle, offset, size), whole.slice(offset, offset + size))
				}),
			)
			tree.tree.release(0, handle)
		})
	}
})

const act = fc.oneof(
	{
		weight: 4,
		arbitrary: fc.record({ write: fc.integer({ min: 1, max: 60 }), bytes: fc.integer({ min: 0, max: 200 }) }),
	},
	{
		weight: 2,
		arbitrary: fc.record({ write: fc.integer({ min: 300, max: 1200 }), bytes: fc.integer({ min: 0, max: 60 }) }),
	},
	{ weight: 2, arbitrary: fc.record({ others: fc.integer({ min: 1, max: 1200 }) }) },
	{ weight: 6, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 9000 }) }) },
	{ weight: 1, arbitrary: fc.record({ resize: fc.constantFrom(65_536, 131_072) }) },
)

test('an overtaken reader gets whole lines in order, and is told exactly what it lost, however it is cut', t => {
	fc.assert(
		fc.property(fc.array(act, { maxLength: 40 }), acts => {
			withTree({ conf: 'user.* /var/log/all\nmail.* /var/log/mail\n' }, tree => {
				let [text, next] = ['', 0]
				const handle = tree.open(FILE)
				const node = tree.node(FILE)
				const step = (size: number): boolean => {
					const piece = tree.read(handle, text.length, size)
					if (typeof piece === 'number') throw new Error(`errno ${-piece}`)
					text += piece
					const attr = newAttr()
					tree.tree.getattr(node, -1, attr)
					t.true(text.length <= attr.size, `offset ${text.length} behind the end ${attr.size}`)
					return piece !== ''
				}
				for (const now of acts) {
					if ('write' in now) for (let n = 0; n < now.write; n++) record(tree, next++, now.bytes)
					else if ('others' in now) for (let n = 0; n < now.others; n++) tree.send(`<22>other: ${n}`)
					else if ('resize' in now) tree.resize(now.resize)
					else step(now.read)
				}
				// Enough of them that whatever was lost at the end can be told.
				for (let n = 0; n < 3; n++) record(tree, next++, 100)
				while (step(4096)) {}
				const { numbers, lost } = judge(text, 0)
				t.is(numbers.at(-1), next - 1)
				t.is(numbers.length + lost, next)
				tree.tree.release(0, handle)
			})
		}),
		{ numRuns: 60 },
	)
})

test('a reader at the end goes on with its own view after the ring turned over with the records of another', t => {
	withTree({ conf: 'user.* /var/log/all\nmail.* /var/log/mail\n' }, tree => {
		record(tree, 0)
		const handle = tree.open(FILE)
		let text = tree.read(handle, 0, 4096) as string
		for (let round = 1; round < 6; round++) {
			for (let n = 0; n < 700; n++) tree.send('<22>other: x')
			for (let n = 0; n < 3; n++) record(tree, 3 * round - 2 + n, 30 * round)
			text += tree.read(handle, text.length, 100) as string
			text += tree.read(handle, text.length, 4096) as string
		}
		t.deepEqual(
			judge(text).numbers,
			Array.from({ length: 16 }, (_, n) => n),
		)
		tree.tree.release(0, handle)
	})
})

test('a reader whose place was overwritten by records of other files finds its own in their order', t => {
	withTree({ conf: 'user.* /var/log/all\nmail.* /var/log/mail\n' }, tree => {
		const others = (count: number): void => {
			for (let n = 0; n < count; n++) tree.send('<22>other: x')
		}
		const handle = tree.open(FILE)
		t.is(tree.read(handle, 0, 4096), '')
		// The ring has 512 descriptors: the younger record's comes before the older one's.
		others(1000)
		record(tree, 0)
		others(99)
		record(tree, 1)
		t.deepEqual(judge(tree.read(handle, 0, 4096) as string).numbers, [0, 1])
		tree.tree.release(0, handle)
	})
})

for (const format of ['RFC3164', 'RFC5424']) {
	test(`a reader behind the end gets nothing until the file has grown to there, then exactly from there (${format})`, t => {
		withTree({ conf: `*.* /var/log/all;${format}\n` }, tree => {
			record(tree, 0)
			const size = tree.attr(FILE).size
			const handle = tree.open(FILE)
			t.is(tree.read(handle, size + 100, 4096), '')
			record(tree, 1)
			t.is(tree.read(handle, size + 100, 4096), '')
			for (let n = 2; n < 7; n++) record(tree, n)
			t.is(tree.read(handle, size + 100, 4096), contentOf(tree, tree.view('var/log/all')).slice(size + 100))
			tree.tree.release(0, handle)
		})
	})
}

test('a loss that is shorter than its note is told in fewer words, or later, and never makes the file shorter', t => {
	withTree({ conf: 'user.* /var/log/all\nmail.* /var/log/mail\n' }, tree => {
		const flood = (): void => {
			for (let n = 0; n < 1500; n++) tree.send('<22>other: x')
		}
		tree.put(FILE, 'a line of 20 bytes.\n', O_WRONLY)
		const handle = tree.open(FILE)
		flood()
		t.is(tree.read(handle, 0, 4096), '1 record lost\n')
		// Five bytes: no note fits, so it waits for the next records.
		tree.put(FILE, 'four\n', O_WRONLY)
		flood()
		t.is(tree.read(handle, 14, 4096), '')
		tree.put(FILE, 'six b\n', O_WRONLY)
		flood()
		t.is(tree.read(handle, 14, 4096), '')
		tree.put(FILE, 'and a last one of these\n', O_WRONLY)
		t.is(tree.read(handle, 14, 4096), '3 records lost\n')
		record(tree, 7)
		t.deepEqual(judge(tree.read(handle, 29, 4096) as string).numbers, [7])
		tree.tree.release(0, handle)
	})
})

test('what is overwritten between the lookup and the open is told as well', t => {
	withTree({}, tree => {
		for (let n = 0; n < 100; n++) record(tree, n)
		const node = tree.node(FILE)
		for (let n = 100; n < 580; n++) record(tree, n, 20)
		const opened = { handle: 0, openFlags: 0, backingId: 0 }
		t.is(tree.tree.open(node, 0, opened, { uid: 0, gid: 0, pid: 0 }), 0)
		let text = ''
		for (;;) {
			const piece = tree.read(opened.handle, text.length, 65_536) as string
			if (piece === '') break
			text += piece
		}
		const { numbers, lost } = judge(text, 0)
		t.true(lost > 50)
		t.is(numbers.at(-1), 579)
		tree.tree.release(0, opened.handle)
	})
})

test('a file whose front was overwritten has a new node, the same inode number and its exact size', t => {
	withTree({}, tree => {
		for (let n = 0; n < 50; n++) record(tree, n)
		const [node, { ino, size }] = [tree.node(FILE), tree.attr(FILE)]
		const handle = tree.open(FILE)
		record(tree, 50)
		t.is(tree.node(FILE), node)
		t.true(tree.attr(FILE).size > size)
		for (let n = 51; n < 2000; n++) record(tree, n)
		t.not(tree.node(FILE), node)
		t.is(tree.attr(FILE).ino, ino)
		t.is(tree.attr(FILE).size, tree.cat(FILE).length)
		// Who holds the old node sees it grow.
		const attr = newAttr()
		tree.tree.getattr(node, -1, attr)
		t.true(attr.size > 65_536)
		tree.tree.release(0, handle)
	})
})

test('clearing ends what a reader sees, as truncating a file does', t => {
	withTree({}, tree => {
		for (let n = 0; n < 10; n++) record(tree, n)
		const handle = tree.open(FILE)
		const seen = tree.read(handle, 0, 100) as string
		t.is(tree.put(FILE, ''), 0)
		t.is(tree.attr(FILE).size, 0)
		t.is(tree.read(handle, seen.length, 4096), '')
		record(tree, 10)
		t.deepEqual(judge(tree.read(handle, 0, 4096) as string).numbers, [10])
		t.is(tree.cat(FILE), contentOf(tree, tree.view('var/log/all')))
		const attr = newAttr()
		const change = { valid: 8, handle: -1, size: 5, atimeUs: 0, mtimeUs: 0, mode: 0, uid: 0, gid: 0 }
		t.is(tree.tree.setattr(tree.node(FILE), change, attr), -EINVAL)
		t.is(tree.tree.setattr(tree.node(FILE), { ...change, size: 0 }, attr), 0)
		t.is(attr.size, 0)
		t.is(tree.tree.setattr(tree.node('/run/pog/log'), { ...change, size: 0 }, attr), -EPERM)
		tree.tree.release(0, handle)
	})
})

test('a moved file reads on to its end, is overwritten with a count of its own records, and takes no writes', t => {
	withTree({}, tree => {
		for (let n = 0; n < 20; n++) record(tree, n)
		const handle = tree.open(FILE)
		let text = tree.read(handle, 0, 200) as string
		const [from, to] = [tree.parent(FILE), tree.parent(`${FILE}.1`)]
		t.is(tree.tree.rename(from[0], from[1], to[0], to[1], 0), 0)
		t.true(tree.node(FILE) < 0)
		for (let n = 20; n < 25; n++) record(tree, n)
		t.deepEqual(judge(tree.cat(FILE)).numbers, [20, 21, 22, 23, 24])
		t.deepEqual(
			judge(tree.cat(`${FILE}.1`)).numbers,
			Array.from({ length: 20 }, (_, n) => n),
		)
		for (let n = 25; n < 2000; n++) record(tree, n)
		for (let piece = 'x'; piece !== ''; ) {
			piece = tree.read(handle, text.length, 64) as string
			text += piece
		}
		// A line that a read cut is whole; the rest of the twenty is counted, and none of those in the new file.
		const lines = text.split('\n').filter(line => line.includes('n=')).length
		t.regex(text, new RegExp(`pogs: ${20 - lines} records lost: [a-z ]+\n$`))
		const late = tree.open(`${FILE}.1`, O_WRONLY)
		t.is(tree.write(late, 'x\n'), -EPERM)
		tree.tree.release(0, late)
		tree.tree.release(0, handle)
	})
})

test('who writes to a removed file writes to no other, also when its bit is another one by then', t => {
	withTree({}, tree => {
		const handle = tree.open(FILE, O_RDWR)
		t.is(tree.write(handle, 'one\n'), 4)
		tree.pog.configured.set(Array.from({ length: 32 }, (_, n) => `mail.* /var/log/f${n}\n`).join(''))
		const head = tree.pog.ring.headSeq
		t.is(tree.write(handle, 'two\n'), 4)
		t.is(tree.pog.ring.headSeq, head)
		t.is(tree.read(handle, 0, 100), 'one\n')
		for (let n = 0; n < 32; n++) t.is(tree.attr(`/var/log/f${n}`).size, 0)
		tree.tree.release(0, handle)
	})
})

test('nothing can be written to the view of everything, and no file moved over one that a rule writes to', t => {
	withTree({ conf: '*.* /var/log/all\nmail.* /var/log/mail\n' }, tree => {
		t.is(tree.open('/run/pog/log', O_WRONLY), -EPERM)
		t.is(tree.open('/run/pog/log', O_TRUNC), -EPERM)
		tree.send('<22>x: y')
		const [log] = tree.parent(FILE)
		t.is(tree.tree.rename(log, 'all', log, 'mail', 0), -EXDEV)
		t.is(tree.tree.unlink(log, 'mail'), 0)
		t.is(tree.tree.rename(log, 'all', log, 'mail', 0), -EXDEV)
		tree.send('<22>x: y')
		t.is(tree.cat('/var/log/mail'), `${HEAD}x: y\n`)
	})
})

test('SEEK_END of an overtaken reader is where the next record comes', t => {
	withTree({}, tree => {
		for (let n = 0; n < 10; n++) record(tree, n)
		const handle = tree.open(FILE)
		const node = tree.node(FILE)
		const first = tree.read(handle, 0, 50) as string
		for (let n = 10; n < 3000; n++) record(tree, n)
		tree.read(handle, first.length, 4096)
		const attr = newAttr()
		tree.tree.getattr(node, handle, attr)
		t.is(tree.read(handle, attr.size, 4096), '')
		record(tree, 3000)
		t.deepEqual(judge(tree.read(handle, attr.size, 4096) as string).numbers, [3000])
		tree.tree.release(0, handle)
	})
})

test('a directory lists each name once, in any buffer, views before app files of their name', t => {
	withTree({ conf: '*.* /var/log/v\n*.* /var/log/sub/w\nmail.* /var/log/hidden\n' }, tree => {
		writeFileSync(`${tree.directory}/varlog/v`, 'shadowed')
		for (let n = 0; n < 20; n++) tree.put(`/var/log/app${n}`, '')
		tree.tree.unlink(tree.node('/var/log'), 'hidden')
		const apps = Array.from({ length: 20 }, (_, n) => `app${n}`)
		t.deepEqual(tree.list('/var/log'), [...apps, 'sub', 'v'].sort())
		// The inode numbers are those of stat(2).
		const opened = { handle: 0, openFlags: 0, backingId: 0 }
		t.is(tree.tree.opendir(tree.node('/var/log'), opened), 0)
		tree.tree.readdir(tree.node('/var/log'), opened.handle, 0, {
			add: (name, ino) => {
				if (!name.startsWith('.')) t.is(ino, tree.attr(`/var/log/${name}`).ino, name)
				return true
			},
		})
		tree.tree.releasedir(opened.handle)
		t.deepEqual(tree.list('/'), ['dev', 'etc', 'proc', 'run', 'var'])
		t.deepEqual(tree.list('/run/pog'), ['ctl', 'log', 'pogctl', 'stats', 'status', 'syslog.conf'])
	})
})
