/** What is read of POGs that an earlier engine wrote down. Source of truth: the header of src/engine/saved-pogs.ts. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { earlierName, readSavedPogs, writeSavedPog } from '../../src/engine/saved-pogs.ts'

const POG = { id: 7, ringBytes: 65_536, quotaBytes: 0, status: 'exited' } as const

test('a POG that was being renamed when its engine died has its new name', t => {
	const runDir = mkdtempSync(join(tmpdir(), 'pogs-saved-'))
	const put = (directory: string, name: string, status: 'exited' | 'running'): void => {
		mkdirSync(join(runDir, 'pogs', directory), { recursive: true })
		writeSavedPog(join(runDir, 'pogs', directory), { ...POG, status, spec: { name } })
	}
	put('web.7', 'web', 'exited')
	put('db.7', 'db', 'running')
	put('web.8', 'web', 'exited')
	put('own', 'own', 'running')
	const found = Object.fromEntries(readSavedPogs(runDir).map(({ name, saved }) => [name, saved]))
	rmSync(runDir, { recursive: true })
	t.like(found['web.7'], { previousOf: 'web', spec: { name: 'web.7', hostname: 'web' } })
	t.is(found['db.7'], undefined)
	t.is(found['web.8'], undefined)
	t.like(found['own'], { spec: { name: 'own' } })
})

test('an earlier life has a name that a POG may have', t => {
	t.is(earlierName('web', 7), 'web.7')
	t.is(earlierName('x'.repeat(64), 1234), `${'x'.repeat(59)}.1234`)
})
