/** Who may use the API, as far as it can be told without another user. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { groupId, refusalOf } from '../../src/engine/peers.ts'
import { peerOf } from '../../src/sys/peers.ts'

test('the group is found by its whole name, and need not be there', t => {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-peers-'))
	const file = join(directory, 'group')
	for (const [text, expected] of [
		['root:x:0:\npogs:x:990:alice,bob\n', 990],
		['notpogs:x:1:\npogsters:x:2:\n', null],
		['', null],
	] as const) {
		writeFileSync(file, text)
		t.is(groupId(file), expected)
	}
	rmSync(directory, { recursive: true })
	t.is(groupId(join(directory, 'none')), null)
})

test('who connects is known by uid, gid, pid and how deep its pid namespace lies', async t => {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-peers-'))
	const server = createServer()
	const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
	await new Promise<void>(resolve => server.listen(join(directory, 's'), resolve))
	const client = connect(join(directory, 's'))
	const { fd = -1 } = ((await accepted) as Socket & { _handle: { fd?: number } })._handle
	t.deepEqual(peerOf(fd), { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: process.pid, depth: 1 })
	t.is(refusalOf(fd, null), undefined)
	client.destroy()
	server.close()
	rmSync(directory, { recursive: true })
	t.is(refusalOf(-1, null), 'Cannot tell who asks')
})
