/**
 * A session against bytes: every exchange of fixtures/fuse, whole and cut short; pending reads, interrupts,
 * notifications, throws, and any bytes at all. No kernel device is needed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { EINTR, EINVAL, EIO, ENODEV } from '../../src/lib/errno.ts'
import { type Filesystem, PENDING } from '../../src/fuse/filesystem.ts'
import { type Fault, Session, type SessionOptions } from '../../src/fuse/session.ts'
import { OPERATIONS } from '../../src/fuse/opcodes.ts'
import { Workspace } from '../../src/fuse/workspace.ts'
import { openDevice } from './device.ts'
import { record } from './recorder.ts'

const FIXTURES = new URL('../../fixtures/fuse/', import.meta.url)
const HEADER_BYTES = 40
const workspace = new Workspace()

const exchanges = readdirSync(FIXTURES)
	.filter(name => name.endsWith('.hex'))
	.map(name => parse(name, readFileSync(new URL(name, FIXTURES), 'latin1')))

function parse(name: string, text: string) {
	const bytes = (mark: string): Buffer => {
		const rows = text.split('\n').filter(line => line.startsWith(mark))
		return Buffer.concat(rows.map(row => Buffer.from(row.split(/ +/)[1] ?? '', 'hex')))
	}
	const calls = /^= (.*)$/m.exec(text)?.[1]
	return {
		name,
		request: bytes('>'),
		calls: calls === undefined ? [] : calls.split(/(?<=\]) (?=\[)/).map(call => JSON.stringify(JSON.parse(call))),
		reply: bytes('<'),
		optionalFrom: Number(/^! optional (\d+)$/m.exec(text)?.[1] ?? Infinity),
	}
}

function start(overrides: Partial<Filesystem> = {}, options: Partial<SessionOptions> = {}) {
	const device = openDevice()
	const faults: Fault[] = []
	const recorder = record(overrides)
	const session = new Session(device.fd, recorder.filesystem, {
		workspace,
		log: fault => faults.push(fault),
		...options,
	})
	const exchange = (request: Uint8Array): Buffer[] => {
		device.send(request)
		session.serve(1)
		return device.replies().map(reply => Buffer.from(reply))
	}
	return { ...recorder, device, faults, session, exchange }
}

function requestOf(name: string, change: (bytes: Buffer) => void = () => {}): Buffer {
	const found = exchanges.find(exchange => exchange.name === `${name}.hex`)
	if (found === undefined) throw new Error(`No fixture ${name}`)
	const bytes = Buffer.from(found.request)
	change(bytes)
	return bytes
}

const errorOf = (reply: Buffer | undefined): number | undefined => reply?.readInt32LE(4)

for (const { name, request, calls, reply } of exchanges) {
	test(`session answers ${name} to the byte`, t => {
		const { device, exchange, calls: made } = start()
		t.deepEqual(
			exchange(request).map(bytes => bytes.toString('hex')),
			reply.length > 0 ? [reply.toString('hex')] : [],
		)
		t.deepEqual(made, calls)
		device.close()
	})
}

test('session refuses every exchange cut short, at every length, without asking the tree', t => {
	const { device, exchange, calls, faults } = start()
	for (const { name, request, optionalFrom, reply } of exchanges) {
		if (reply.length > 0 && errorOf(reply) !== 0) continue
		for (let length = 1; length < Math.min(request.length, optionalFrom); length++) {
			// An argument that is not there at all cannot be missed; a second header length is told from the first.
			for (const told of [length, request.length]) {
				const cut = Buffer.from(request.subarray(0, length))
				if (length >= 4) cut.writeUInt32LE(told, 0)
				const replies = exchange(cut)
				const silent = length < HEADER_BYTES || reply.length === 0
				t.is(replies.length, silent ? 0 : 1, `${name} cut at ${length}`)
				if (!silent) t.true((errorOf(replies[0]) ?? 0) < 0, `${name} cut at ${length}`)
			}
		}
	}
	t.deepEqual(calls, [])
	t.deepEqual(faults, [])
	device.close()
})

test('session refuses a header with another length, and an empty name', t => {
	const { device, exchange, calls } = start()
	for (const length of [0, 48, 50, 0xffff_ffff]) {
		const request = requestOf('lookup', bytes => bytes.writeUInt32LE(length, 0))
		t.is(errorOf(exchange(request)[0]), -EIO)
	}
	const empty = requestOf('lookup', bytes => bytes.writeUInt8(0, HEADER_BYTES))
	t.is(errorOf(exchange(empty)[0]), -EINVAL)
	t.deepEqual(calls, [])
	device.close()
})

test('session answers any bytes at most once, and stays', t => {
	const { device, exchange, session } = start()
	// FUSE_DESTROY ends the session, as it should.
	const opcodes = OPERATIONS.map(operation => operation.opcode).filter(code => code !== 38)
	const opcode = fc.constantFrom(...opcodes, 0, 63, 64, 4096, 0xffff_ffff)
	fc.assert(
		fc.property(opcode, fc.uint8Array({ minLength: 4, maxLength: 300 }), fc.boolean(), (code, bytes, honest) => {
			const request = Buffer.from(bytes)
			if (request.length >= 8) request.writeUInt32LE(code, 4)
			if (honest) request.writeUInt32LE(request.length, 0)
			const replies = exchange(request)
			return replies.length <= 1 && replies.every(reply => reply.readUInt32LE(0) === reply.length)
		}),
		{ numRuns: 2000 },
	)
	t.is(session.serve(1), 0)
	t.is(errorOf(exchange(requestOf('lookup'))[0]), 0)
	device.close()
})

test('a pending read is answered later, once', t => {
	const { device, exchange, connection, session } = start({ read: () => PENDING })
	t.deepEqual(exchange(requestOf('read-resent')), [])
	t.is(session.pendingReads, 1)
	connection().finishRead(6, 100, () => PENDING)
	t.deepEqual(device.replies(), [])
	const fill = (): void =>
		connection().finishRead(6, 4, reply => {
			reply.addBytes(Buffer.from('hello'), 0, 5)
			return 0
		})
	fill()
	t.deepEqual(
		device.replies().map(bytes => Buffer.from(bytes).toString('hex')),
		['14000000000000000600000000000080' + '68656c6c'],
	)
	fill()
	t.deepEqual(device.replies(), [])
	t.is(session.pendingReads, 0)
	device.close()
})

// FUSE_INTERRUPT: 48 bytes, opcode 36, unique 7 (odd), then the unique of its target.
function interrupt(target: string): Buffer {
	const header = requestOf('lookup').subarray(0, HEADER_BYTES)
	const bytes = Buffer.concat([header, Buffer.from(target, 'hex')])
	bytes.writeUInt32LE(48, 0)
	bytes.writeUInt32LE(36, 4)
	return bytes
}

test('an interrupt does not end a read that the tree will answer soon', t => {
	const { device, exchange, calls, session } = start({ read: () => PENDING, goesOn: () => true })
	exchange(requestOf('read-resent'))
	t.deepEqual(exchange(interrupt('0600000000000080')), [])
	t.is(session.pendingReads, 1)
	t.deepEqual(calls, [])
	device.close()
})

test('an interrupt ends a pending read with EINTR, and any other read not at all', t => {
	const { device, exchange, calls, session } = start({
		read: ({ handle }) => (handle === 9 ? PENDING : 0),
	})
	exchange(requestOf('read-resent'))
	t.deepEqual(exchange(interrupt('0800000000000000')), [])
	t.is(session.pendingReads, 1)
	const replies = exchange(interrupt('0600000000000080'))
	t.deepEqual(
		replies.map(bytes => bytes.toString('hex')),
		['10000000fcffffff0600000000000080'],
	)
	t.is(errorOf(replies[0]), -EINTR)
	t.deepEqual(calls, ['["interrupted",6]'])
	t.deepEqual(exchange(interrupt('0600000000000080')), [])
	device.close()
})

test('a throw in an operation answers EIO, is logged with opcode and node, and the next operation works', t => {
	const { device, exchange, faults, session } = start(
		{
			getattr: () => {
				throw new Error('a bug')
			},
		},
		{ maxFaults: 2 },
	)
	for (let i = 0; i < 5; i++) t.is(errorOf(exchange(requestOf('getattr'))[0]), -EIO)
	t.is(errorOf(exchange(requestOf('lookup'))[0]), 0)
	t.deepEqual(
		faults.map(({ operation, node }) => [operation, node]),
		[
			['FUSE_GETATTR', 7],
			['FUSE_GETATTR', 7],
		],
	)
	t.is(session.counters.faults, 5)
	device.close()
})

test('the outcome of getattr is how long the attributes are valid', t => {
	const { device, exchange } = start({ getattr: () => 1500 })
	const [reply] = exchange(requestOf('getattr'))
	t.deepEqual([reply?.readBigUInt64LE(16), reply?.readUInt32LE(24), reply?.readUInt32LE(28)], [1n, 500_000_000, 0])
	device.close()
})

test('an outcome that is no errno answers EIO', t => {
	for (const outcome of [-512, Number.NaN, -Infinity]) {
		const { device, exchange } = start({ getattr: () => outcome })
		t.is(errorOf(exchange(requestOf('getattr'))[0]), -EIO)
		device.close()
	}
})

test('a span outside its memory answers EIO and shows nothing', t => {
	const memory = { address: workspace.request.memory.address, bytes: new Uint8Array(8), buffer: new ArrayBuffer(8) }
	for (const [from, size] of [
		[0, 9],
		[-1, 4],
		[8, 1],
	] as const) {
		const { device, exchange } = start({
			read: (_, reply) => {
				reply.add(memory, from, size)
				return 0
			},
		})
		const [reply] = exchange(requestOf('read'))
		t.is(reply?.length, 16)
		t.is(errorOf(reply), -EIO)
		device.close()
	}
})

test('notifications carry unique 0 and their code', t => {
	const { device, connection, session } = start()
	connection().notifyPoll(5_000_000_001)
	t.is(session.resend(), 0)
	t.deepEqual(
		device.replies().map(bytes => Buffer.from(bytes).toString('hex')),
		['18000000010000000000000000000000' + '01f2052a01000000', '10000000070000000000000000000000'],
	)
	device.close()
})

test('a session adopts a handshake that another did, and tells what is in force', t => {
	const first = start()
	t.false(first.session.features.passthrough)
	first.exchange(requestOf('init-7.45'))
	const { negotiated } = first.session
	t.deepEqual(first.session.features, {
		minor: 45,
		passthrough: true,
		resend: true,
		atomicTrunc: true,
		maxWriteBytes: 1_048_576,
	})
	const second = start({}, negotiated === undefined ? {} : { negotiated: structuredClone(negotiated) })
	t.deepEqual(second.session.features, first.session.features)
	first.exchange(requestOf('init-7.31'))
	t.deepEqual(first.session.features, {
		minor: 31,
		passthrough: false,
		resend: false,
		atomicTrunc: true,
		maxWriteBytes: 1_048_576,
	})
	first.device.close()
	second.device.close()
})

test('serve takes no more than it may, says when there is nothing, and when the connection is gone', t => {
	const { device, session, calls } = start()
	t.is(session.serve(8), 0)
	for (let i = 0; i < 3; i++) device.send(requestOf('unlink'))
	t.is(session.serve(2), 2)
	t.is(session.serve(2), 1)
	session.destroy()
	t.is(session.serve(2), -ENODEV)
	session.destroy()
	t.is(calls.filter(call => call === '["destroy"]').length, 1)
	device.close()
})
