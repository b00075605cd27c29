/** What a container may have at once is bounded: what is beyond is refused, counted by its reason, and changes nothing. */
import test from 'ava'
import { ENFILE, ENOENT, ENOMEM, ENOSPC, ENOTDIR } from '../../src/lib/errno.ts'
import { exists, O_CREAT, O_WRONLY, withTree } from '../helpers/trees.ts'

const DEV = '/dev/kmsg'
const PROC = '/proc/kmsg'

test('open files, open directories and what they list are bounded, and a refusal leaves nothing behind', t => {
	withTree({ limits: { handles: 3, listedEntries: 10 } }, tree => {
		const handles = [DEV, PROC, '/run/pog/stats'].map(path => tree.open(path))
		t.deepEqual([tree.open(DEV), tree.open('/var/log/new', O_CREAT | O_WRONLY)], [-ENFILE, -ENFILE])
		t.false(exists(`${tree.directory}/varlog/new`))
		for (const handle of handles) tree.tree.release(0, handle)
		const log = tree.node('/var/log')
		for (let n = 0; n < 6; n++) tree.put(`/var/log/f${n}`, '')
		const opened = { handle: 0, openFlags: 0, backingId: 0 }
		const read = (handle: number): number => tree.tree.readdir(log, handle, 0, { add: () => true })
		const dirs = [0, 1, 2].map(() => (tree.tree.opendir(log, opened) === 0 ? opened.handle : -1))
		t.is(tree.tree.opendir(log, opened), -ENFILE)
		// The container's own files are not kept while a directory is being read; views and the like are.
		t.deepEqual(dirs.map(read), [0, 0, 0])
		const runPog = tree.node('/run/pog')
		t.deepEqual(
			dirs.map(dir => tree.tree.readdir(runPog, dir, 0, { add: () => true })),
			[0, -ENOMEM, -ENOMEM],
		)
		t.is(read(dirs[0] ?? 0), 0)
		tree.tree.releasedir(dirs[0] ?? 0)
		t.is(read(dirs[1] ?? 0), 0)
		for (const dir of dirs) tree.tree.releasedir(dir)
		const file = tree.node('/var/log/f0')
		t.is(tree.tree.opendir(file, opened), 0)
		t.is(tree.tree.readdir(file, opened.handle, 0, { add: () => true }), -ENOTDIR)
		tree.tree.releasedir(opened.handle)
		t.regex(tree.cat('/run/pog/stats'), /denied_files 2\ndenied_directories 1\ndenied_listings 2\ndenied_reads 0\n/)
		t.regex(tree.cat('/run/pog/status'), /^denied, files: 2 \(opens beyond .* \(ENFILE\)\)$/m)
		t.is(tree.tree.opendir(tree.node('/var/log/all'), opened), -ENOTDIR)
		t.is(tree.tree.opendir(tree.node(DEV), opened), -ENOTDIR)
		t.is(tree.tree.opendir(12_345, opened), -ENOENT)
	})
})

test('where no more views fit, a view is not moved, which is counted, and what it would have replaced is there', t => {
	withTree({ limits: { views: 2 }, conf: '*.* /var/log/all\n' }, tree => {
		tree.send('<13>t: one')
		tree.put('/var/log/old', 'kept')
		const log = tree.node('/var/log')
		for (const name of ['old', 'new']) t.is(tree.tree.rename(log, 'all', log, name, 0), -ENOSPC)
		t.is(tree.cat('/var/log/old'), 'kept')
		t.regex(tree.cat('/var/log/all'), / t: one\n$/)
		t.regex(tree.cat('/run/pog/stats'), /denied_views 2\n/)
	})
})
