/**
 * FUSE requests of any shape, through the real session into the real tree of a POG: structs with values that mean something,
 * names that are there and names that are not, nodes and handles of earlier answers, and all of it cut or bent now and then.
 */
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { FUSE_ENTRY_OUT } from '../../src/fuse/abi.ts'
import { OPERATIONS, OPERATION_BY_OPCODE } from '../../src/fuse/opcodes.ts'
import { Session } from '../../src/fuse/session.ts'
import { Workspace } from '../../src/fuse/workspace.ts'
import { ENOSPC } from '../../src/lib/errno.ts'
import { openDevice } from '../fuse/device.ts'
import { newTree } from '../helpers/trees.ts'
import { expect, type Target } from './target.ts'

const HEADER_BYTES = 40
const REPLY_HEADER_BYTES = 16
const MAX_ERRNO = 511
const MAX_BODY_BYTES = 64 * 1024
const FUSE_READ = 15
const FUSE_WRITE = 16
const FUSE_DESTROY = 38
/** Small, so that every bound is met. */
const LIMITS = { handles: 12, listedEntries: 60, pendingReads: 3, views: 8, confBytes: 4096 }
const CONF = '*.* /var/log/all\nmail.* /var/log/mail/mail.log\n'
const workspace = new Workspace({ maxWriteBytes: MAX_BODY_BYTES, maxBodyBytes: MAX_BODY_BYTES })

const NAMES = [
	'all',
	'mail',
	'mail.log',
	'x',
	'y',
	'd',
	'log',
	'var',
	'dev',
	'kmsg',
	'run',
	'pog',
	'ctl',
	'syslog.conf',
	'etc',
	'proc',
	'stats',
	'sys',
	'kernel',
	'dmesg_restrict',
	'.',
	'..',
	'a/b',
	'',
	'x'.repeat(255),
	'x'.repeat(256),
	'\xff\xfe',
	' ',
	'\n',
	'*',
]
const DATA = [
	'<3>text',
	'\0',
	'',
	'x'.repeat(1024),
	'x'.repeat(1025),
	'*.* /var/log/new\n',
	'mail.* /var/log/all\nx',
	'clear',
	'resize 64k',
	'resize 128k',
	'resize 9z',
	'conf reset',
	'write <5>by ctl',
	'1',
	'7 4 1 7',
	'nonsense',
	'<14>a[1]: b\nc',
	'\xff'.repeat(50),
	`${'*.* /var/log/f\n'.repeat(40)}`,
]
const NUMBERS = [
	0,
	1,
	2,
	3,
	4,
	5,
	7,
	8,
	16,
	63,
	64,
	100,
	255,
	511,
	512,
	4095,
	4096,
	8192,
	65_535,
	65_536,
	0x241,
	0x441,
	0x8000,
	0o100644,
	0o40755,
	0o120777,
	0o10644,
	0o20644,
	2 ** 31 - 1,
	2 ** 31,
	2 ** 32 - 1,
	2 ** 32,
	2 ** 40,
	2 ** 53 - 1,
	2 ** 53,
	2 ** 62,
	2 ** 64 - 2048,
	-1,
]

export interface Step {
	readonly operation: number
	readonly node: number
	readonly handle: number
	readonly names: readonly [number, number]
	readonly data: number
	readonly fields: readonly number[]
	/** What is done to the request at last: nothing mostly. */
	readonly bend: { readonly how: 'no' | 'cut' | 'flip' | 'length' | 'longer'; readonly at: number }
}

const opcodes = OPERATIONS.filter(({ opcode }) => opcode !== FUSE_DESTROY)
const likely = [
	'FUSE_LOOKUP',
	'FUSE_OPEN',
	'FUSE_READ',
	'FUSE_WRITE',
	'FUSE_CREATE',
	'FUSE_SETATTR',
	'FUSE_RENAME2',
	'FUSE_RELEASE',
	'FUSE_READDIR',
	'FUSE_UNLINK',
	'FUSE_INTERRUPT',
	'FUSE_FORGET',
]
const operation = fc.oneof(
	{ weight: 3, arbitrary: fc.constantFrom(...likely.map(name => opcodes.findIndex(each => each.name === name))) },
	{ weight: 2, arbitrary: fc.nat(opcodes.length) },
)
const step: fc.Arbitrary<Step> = fc.record({
	operation,
	node: fc.nat(1000),
	handle: fc.nat(1000),
	names: fc.tuple(fc.nat(NAMES.length - 1), fc.nat(NAMES.length - 1)),
	data: fc.nat(DATA.length - 1),
	fields: fc.array(fc.nat(NUMBERS.length - 1), { minLength: 4, maxLength: 16 }),
	bend: fc.record({
		how: fc.oneof(
			{ weight: 12, arbitrary: fc.constant('no' as const) },
			{ weight: 1, arbitrary: fc.constantFrom('cut' as const, 'flip' as const, 'length' as const, 'longer' as const) },
		),
		at: fc.nat(400),
	}),
})

/** What the kernel would know of this connection. */
class Kernel {
	readonly nodes: bigint[] = [
		...Array.from({ length: 20 }, (_, n) => BigInt(n)),
		1n << 50n,
		(1n << 51n) + 1n,
		(1n << 53n) + 1n,
		(1n << 64n) - 1n,
		(1n << 50n) + (3n << 41n),
	]
	readonly handles: bigint[] = [0n, 1n, 99_999n, (1n << 64n) - 1n]
	readonly pending = new Set<bigint>()
	unique = 2n

	request(at: Step): { bytes: Buffer; opcode: number; unique: bigint } {
		const row = opcodes[at.operation]
		const opcode = row?.opcode ?? 60
		const body = Buffer.alloc(row?.struct.sizeBytes ?? 0)
		let field = 0
		const number = (): bigint => BigInt.asUintN(64, BigInt(NUMBERS[at.fields[field++ % at.fields.length] ?? 0] ?? 0))
		for (const [name, type] of Object.entries(row?.struct.fields ?? {})) {
			if (typeof type === 'number' || typeof type !== 'string') continue
			const offset = row?.struct.offsets[name] ?? 0
			const value =
				name === 'fh'
					? this.handle(at.handle)
					: /node|newdir/.test(name)
						? this.node(at.handle + at.node)
						: name === 'unique'
							? this.waiting(at.handle)
							: number()
			if (type === 'u64' || type === 's64') body.writeBigUInt64LE(value, offset)
			else if (type === 'u16') body.writeUInt16LE(Number(BigInt.asUintN(16, value)), offset)
			else body.writeUInt32LE(Number(BigInt.asUintN(32, value)), offset)
		}
		const names = at.names.slice(0, row?.names ?? 0).map(name => Buffer.from(`${NAMES[name] ?? ''}\0`, 'latin1'))
		const data = opcode === FUSE_WRITE ? Buffer.from(DATA[at.data] ?? '', 'latin1') : Buffer.alloc(0)
		if (opcode === FUSE_WRITE && at.data % 4 !== 3) body.writeUInt32LE(data.length, 16)
		return this.#framed(opcode, this.node(at.node), Buffer.concat([body, ...names, data]), at.bend)
	}

	#framed(
		opcode: number,
		node: bigint,
		body: Buffer,
		{ how, at }: Step['bend'],
	): { bytes: Buffer; opcode: number; unique: bigint } {
		const header = Buffer.alloc(HEADER_BYTES)
		const unique = this.next()
		header.writeUInt32LE(HEADER_BYTES + body.length, 0)
		header.writeUInt32LE(opcode, 4)
		header.writeBigUInt64LE(unique, 8)
		header.writeBigUInt64LE(node, 16)
		header.writeUInt32LE(1, 32)
		let bytes = Buffer.concat([header, body])
		if (how === 'cut') bytes = bytes.subarray(0, 1 + (at % bytes.length))
		else if (how === 'longer') bytes = Buffer.concat([bytes, Buffer.alloc(at, 0x61)])
		else if (how === 'length') bytes.writeUInt32LE(at, 0)
		else if (how === 'flip') {
			// Who asks and what for stays: only the rest is checked against what comes back.
			const place = at % bytes.length
			if (place >= 16 || place < 4) bytes[place] = (bytes[place] ?? 0) ^ (1 << (at % 8))
		}
		return { bytes, opcode, unique }
	}

	next(): bigint {
		this.unique += 2n
		return this.unique
	}

	node(at: number): bigint {
		return this.nodes[at % this.nodes.length] ?? 1n
	}

	handle(at: number): bigint {
		return this.handles[at % this.handles.length] ?? 0n
	}

	waiting(at: number): bigint {
		const all = [...this.pending]
		return all[at % (all.length + 1)] ?? BigInt(at)
	}

	/** Keeps what an answer gave. */
	learn(opcode: number, reply: Buffer): void {
		if (reply.length <= REPLY_HEADER_BYTES) return
		if ([1, 6, 8, 9, 13, 35].includes(opcode)) this.nodes.push(reply.readBigUInt64LE(REPLY_HEADER_BYTES))
		if (opcode === 14 || opcode === 27) this.handles.push(reply.readBigUInt64LE(REPLY_HEADER_BYTES))
		if (opcode === 35) this.handles.push(reply.readBigUInt64LE(REPLY_HEADER_BYTES + FUSE_ENTRY_OUT.sizeBytes))
	}
}

function openFds(): number {
	return readdirSync('/proc/self/fd').length
}

const plain = (opcode: number, node: bigint, more: Partial<Step> = {}): Step => ({
	operation: opcodes.findIndex(each => each.opcode === opcode),
	node: Number(node),
	handle: 0,
	names: [0, 0],
	data: 0,
	fields: [0],
	bend: { how: 'no', at: 0 },
	...more,
})

function serveAll(steps: readonly Step[]): void {
	const before = openFds()
	const device = openDevice()
	const tree = newTree({
		conf: CONF,
		limits: LIMITS,
		// The tests' tmpfs is the machine's.
		calls: { allocate: (_fd, _mode, _offset, length) => (length > 1 << 20 ? -ENOSPC : 0) },
	})
	const thrown: unknown[] = []
	const session = new Session(device.fd, tree.tree, {
		workspace,
		log: ({ cause }) => cause !== undefined && thrown.push(cause),
	})
	const kernel = new Kernel()
	const ask = (at: Step): Buffer | undefined => {
		const { bytes, opcode, unique } = kernel.request(at)
		device.send(bytes)
		session.serve(1)
		while (tree.tree.work()) {}
		const replies = device.replies().map(reply => Buffer.from(reply))
		let own: Buffer | undefined
		for (const reply of replies) {
			const [length, error, of] = [reply.readUInt32LE(0), reply.readInt32LE(4), reply.readBigUInt64LE(8)]
			expect(length === reply.length, () => `a reply of ${reply.length} bytes says ${length}`)
			if (of === 0n) continue
			expect(error <= 0 && error >= -MAX_ERRNO, () => `error ${error}`)
			if (of === unique) {
				expect(own === undefined, () => 'two replies')
				own = reply
			} else expect(kernel.pending.delete(of), () => `a reply to ${of}, which nobody waits for`)
		}
		expect(thrown.length === 0, () => `it threw ${thrown[0] instanceof Error ? thrown[0].stack : String(thrown[0])}`)
		const wants = bytes.length >= HEADER_BYTES && OPERATION_BY_OPCODE[opcode]?.reply !== 'none'
		if (own !== undefined) expect(wants, () => 'a reply that is not wanted')
		else if (wants) {
			expect(opcode === FUSE_READ, () => `no reply to opcode ${opcode}`)
			kernel.pending.add(unique)
		}
		expect(
			session.pendingReads === kernel.pending.size,
			() => `${session.pendingReads} reads wait, ${kernel.pending.size} were not answered`,
		)
		expect(kernel.pending.size <= LIMITS.pendingReads, () => `${kernel.pending.size} reads wait`)
		if (own !== undefined && own.readInt32LE(4) === 0) kernel.learn(opcode, own)
		return own
	}
	for (const at of steps) ask(at)
	// What is well-formed is served as ever: a record in by /dev/kmsg, and out by the view of everything.
	for (const handle of kernel.handles.slice()) {
		kernel.handles.splice(0, kernel.handles.length, handle)
		ask(plain(18, 7n))
		ask(plain(29, 3n))
	}
	const body = (reply: Buffer | undefined, what: string): Buffer => {
		expect(reply !== undefined && reply.readInt32LE(4) === 0, () => `${what} answers ${reply?.readInt32LE(4)}`)
		return reply.subarray(REPLY_HEADER_BYTES)
	}
	kernel.nodes.splice(0, kernel.nodes.length, 7n)
	kernel.handles.splice(0, kernel.handles.length)
	body(ask(plain(14, 0n, { fields: [2] })), 'open of /dev/kmsg')
	const [written] = [body(ask(plain(FUSE_WRITE, 0n, { data: 0 })), 'a write to /dev/kmsg')]
	expect(written.readUInt32LE(0) === 7, () => `${written.readUInt32LE(0)} bytes were written`)
	const { ring } = tree.pog
	const start = ring.offset(ring.position(ring.headSeq - 1))
	const line = Buffer.from(ring.text.subarray(start, start + 200)).toString('latin1')
	expect(/^[^\n]* text\n/.test(line), () => `the record is ${line}`)
	session.destroy()
	device.close()
	tree.close()
	const after = openFds()
	expect(after <= before, () => `${after - before} descriptors are left open`)
}

export const fuseRequests: Target<readonly Step[]> = {
	name: 'fuse-requests',
	what: 'FUSE requests of any shape: each is answered once, nothing throws or leaks, and the next one is served',
	runs: 150,
	values: fc.array(step, { minLength: 1, maxLength: 60 }),
	check: serveAll,
}
