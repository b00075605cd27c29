/** A session that goes on for a process that was killed: what is sent again, in which order, and what kernels without that get. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import { EINTR, EIO } from '../../src/lib/errno.ts'
import { NO_JOURNAL, type RequestJournal } from '../../src/fuse/request-journal.ts'
import type { Negotiated } from '../../src/fuse/negotiate.ts'
import { Session } from '../../src/fuse/session.ts'
import { Workspace } from '../../src/fuse/workspace.ts'
import { allocate } from '../../src/sys/memory.ts'
import { openDevice } from './device.ts'
import { record } from './recorder.ts'

const workspace = new Workspace()
const RESEND_BIT = 0x8000_0000
const HAS_RESEND: Negotiated = {
	minor: 40,
	flags: 0,
	flags2: 1 << 7,
	maxReadaheadBytes: 131_072,
	maxWriteBytes: 1 << 20,
	maxPages: 256,
}

function requestOf(name: string, unique: number, resent: boolean): Buffer {
	const text = readFileSync(new URL(`../../fixtures/fuse/${name}.hex`, import.meta.url), 'latin1')
	const rows = text.split('\n').filter(line => line.startsWith('>'))
	const bytes = Buffer.concat(rows.map(row => Buffer.from(row.split(/ +/)[1] ?? '', 'hex')))
	bytes.writeUInt32LE(unique, 8)
	bytes.writeUInt32LE(resent ? RESEND_BIT : 0, 12)
	return bytes
}

function revive(journal: Partial<RequestJournal>, negotiated: Negotiated, requests: readonly Buffer[]) {
	const device = openDevice()
	const recorder = record()
	for (const request of requests) device.send(request)
	const session = new Session(device.fd, recorder.filesystem, {
		workspace,
		log: () => {},
		negotiated,
		journal: { ...NO_JOURNAL, ...journal },
	})
	const revived = session.revive()
	const replies = device.replies().map(reply => {
		const view = Buffer.from(reply)
		return [view.readUInt32LE(8), view.readInt32LE(4), view.length]
	})
	device.close()
	return { revived, replies, calls: recorder.calls.map(call => (JSON.parse(call) as string[])[0]) }
}

const NOTICE = [0, 7, 16]

test('what is sent again is answered oldest first, behind what the process died with, and before what is new', t => {
	const requests = [
		requestOf('lookup', 30, true),
		requestOf('unlink', 10, true),
		requestOf('lookup', 20, true),
		requestOf('lookup', 50, false),
	]
	const resent = { ...NO_JOURNAL.resent, rank: (request: number) => (request === 20 ? 0 : 2) }
	const { revived, replies, calls } = revive({ resent }, HAS_RESEND, requests)
	t.is(revived, 0)
	t.deepEqual(
		replies.map(([unique]) => unique),
		[0, 20, 10, 30, 50],
	)
	t.deepEqual(calls, ['lookup', 'unlink', 'lookup', 'lookup'])
})

test('what counted already is answered without being done again; what processes die of gets EIO', t => {
	const refused: string[] = []
	const resent = {
		rank: () => 0,
		known: (request: number) => (request === 10 ? 0 : undefined),
		isPoison: (request: number) => request === 20,
	}
	const requests = [requestOf('unlink', 10, true), requestOf('unlink', 20, true)]
	const { replies, calls } = revive({ resent, refused: name => refused.push(name) }, HAS_RESEND, requests)
	t.deepEqual(replies, [NOTICE, [10, 0, 16], [20, -EIO, 16]])
	t.deepEqual(calls, [])
	t.deepEqual(refused, ['FUSE_UNLINK'])
})

test('a kernel that sends nothing again is not asked to: reads that waited end, nobody hangs', t => {
	const abandoned = (): [number, number][] => [
		[7, -EIO],
		[2 ** 32 + 9, -EINTR],
	]
	const { revived, replies } = revive({ abandoned }, { ...HAS_RESEND, minor: 39, flags2: 0 }, [])
	t.true(revived < 0)
	t.deepEqual(replies, [
		[7, -EIO, 16],
		[9, -EINTR, 16],
	])
})

test('what was taken from such a kernel and not even looked at is known to the next process', t => {
	const memory = allocate(2 << 20)
	const first = new Workspace({}, () => memory)
	t.is(first.left, 0)
	const device = openDevice()
	device.send(requestOf('lookup', 33, false))
	const said: string[] = []
	const session = new Session(device.fd, record().filesystem, {
		workspace: first,
		log: () => {},
		negotiated: { ...HAS_RESEND, minor: 39, flags2: 0 },
		journal: {
			...NO_JOURNAL,
			taking: begins => said.push(`${begins}`),
			begin: request => said.push(`begins ${request}`),
		},
	})
	t.is(session.serve(8), 1)
	t.deepEqual(said, ['true', 'begins 33', 'false'])
	t.is(new Workspace({}, () => memory).left, 33)
	device.close()
})
