/** Datagrams between the socket and the ring, the process stopped at any step: none is lost, none is another batch's or POG's. */
import test from 'ava'
import { Staging } from '../../src/ingest/staging.ts'
import { DevLog } from '../../src/ingest/dev-log.ts'
import type { Memory } from '../../src/lib/memory.ts'
import { allocate } from '../../src/sys/memory.ts'
import { openDevice } from '../fuse/device.ts'
import { newPog } from '../helpers/pogs.ts'

/** Memory as two processes after each other have it. */
function shared(): () => Staging {
	let memory: Memory | undefined
	return () => new Staging(1024, sizeBytes => (memory ??= allocate(sizeBytes)))
}

const message = (text: string): Buffer => Buffer.from(`<13>t: ${text}`)

function received(pog: ReturnType<typeof newPog>): number {
	return pog.pog.ledger.accepted().devlog
}

test('a process that dies before it received takes up nothing of an earlier batch, shorter or as long', t => {
	for (const most of [1, 3, 32]) {
		const open = shared()
		const [first, second] = [newPog({ id: 1 }), newPog({ id: 2 })]
		const device = openDevice()
		const staging = open()
		for (const text of ['a', 'b', 'c']) device.send(message(text))
		new DevLog(device.fd, first.pog, staging).receive(32)
		t.is(received(first), 3)
		// Made the second one's; nothing, or one, arrives.
		if (most === 1) device.send(message('d'))
		staging.receive(device.fd, second.pog, most)
		new DevLog(device.fd, second.pog, open()).recover()
		t.is(received(second), most === 1 ? 1 : 0, `${most}`)
		device.close()
	}
})

test('what was received and not appended waits for its own POG, whoever else is served before', t => {
	const open = shared()
	const [first, second] = [newPog({ id: 1 }), newPog({ id: 2 })]
	const [device, other] = [openDevice(), openDevice()]
	for (const text of ['a', 'b', 'c']) device.send(message(text))
	open().receive(device.fd, first.pog, 32)
	other.send(message('x'))
	const staging = open()
	const [mine, others] = [new DevLog(device.fd, first.pog, staging), new DevLog(other.fd, second.pog, staging)]
	t.is(others.receive(32), 0)
	mine.recover()
	t.is(received(first), 3)
	t.is(others.receive(32), 1)
	t.is(received(second), 1)
	device.close()
	other.close()
})
