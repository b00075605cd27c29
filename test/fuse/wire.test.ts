/** The pieces below a session: struct tables against the kernel's sizes, hot readers against tables, replies, flags. */
import test from 'ava'
import fc from 'fast-check'
import * as abi from '../../src/fuse/abi.ts'
import { hasInitFlag, INIT_FLAGS, type InitFlag, initFlagNames, initFlagWords } from '../../src/fuse/flags.ts'
import { InHeader, microseconds, ReadIn, writeAttr } from '../../src/fuse/hot.ts'
import { negotiate } from '../../src/fuse/negotiate.ts'
import { OPERATIONS } from '../../src/fuse/opcodes.ts'
import { Reply } from '../../src/fuse/reply.ts'
import { layout, overlay } from '../../src/fuse/struct.ts'
import { allocate } from '../../src/sys/memory.ts'
import { openDevice } from './device.ts'

// sizeof, as gcc prints it from include/uapi/linux/fuse.h (7.45).
const KERNEL_SIZES: Readonly<Record<string, number>> = {
	FUSE_IN_HEADER: 40,
	FUSE_OUT_HEADER: 16,
	FUSE_ATTR: 88,
	FUSE_ENTRY_OUT: 128,
	FUSE_ATTR_OUT: 104,
	FUSE_OPEN_OUT: 16,
	FUSE_WRITE_OUT: 8,
	FUSE_LSEEK_OUT: 8,
	FUSE_POLL_OUT: 8,
	FUSE_KSTATFS: 80,
	FUSE_DIRENT: 24,
	FUSE_INIT_OUT: 64,
	FUSE_INIT_IN: 16,
	FUSE_INIT_IN_EXT: 64,
	FUSE_FORGET_IN: 8,
	FUSE_FORGET_ONE: 16,
	FUSE_BATCH_FORGET_IN: 8,
	FUSE_GETATTR_IN: 16,
	FUSE_MKNOD_IN: 16,
	FUSE_MKDIR_IN: 8,
	FUSE_RENAME_IN: 8,
	FUSE_RENAME2_IN: 16,
	FUSE_LINK_IN: 8,
	FUSE_OPEN_IN: 8,
	FUSE_CREATE_IN: 16,
	FUSE_SETATTR_IN: 88,
	FUSE_READ_IN: 40,
	FUSE_WRITE_IN: 40,
	FUSE_RELEASE_IN: 24,
	FUSE_FLUSH_IN: 24,
	FUSE_FSYNC_IN: 16,
	FUSE_INTERRUPT_IN: 8,
	FUSE_POLL_IN: 24,
	FUSE_LSEEK_IN: 24,
	FUSE_FALLOCATE_IN: 32,
	FUSE_BACKING_MAP: 16,
	FUSE_NOTIFY_POLL_WAKEUP_OUT: 8,
	NO_STRUCT: 0,
}

test('every struct table has the size of the kernel struct', t => {
	const sizes = Object.entries(abi).flatMap(([name, value]) =>
		typeof value === 'object' ? [[name, value.sizeBytes] as const] : [],
	)
	t.deepEqual(Object.fromEntries(sizes), KERNEL_SIZES)
})

test('a layout refuses a field out of alignment', t => {
	t.throws(() => layout('bad', { first: 'u32', second: 'u64' }), { message: /bad\.second.*offset 4/ })
})

test('every opcode is there once, in order', t => {
	const opcodes = OPERATIONS.map(operation => operation.opcode)
	t.deepEqual(
		opcodes,
		[...new Set(opcodes)].sort((a, b) => a - b),
	)
	t.deepEqual([opcodes[0], opcodes.at(-1)], [1, 53])
})

const random = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

test('hot readers agree with the tables on any bytes', t => {
	fc.assert(
		fc.property(random(40), bytes => {
			const buffer = new ArrayBuffer(80)
			new Uint8Array(buffer).set(bytes)
			new Uint8Array(buffer).set(bytes, 40)
			const pairs = [
				[overlay(abi.FUSE_IN_HEADER, buffer, 0), new InHeader(buffer)],
				[overlay(abi.FUSE_READ_IN, buffer, 40), new ReadIn(buffer, 40)],
				[overlay(abi.FUSE_WRITE_IN, buffer, 40), new ReadIn(buffer, 40)],
			] as const
			for (const [table, hot] of pairs) {
				for (const [field, value] of Object.entries(table)) t.is((hot as never)[field], value as never, field)
			}
		}),
		{ numRuns: 200 },
	)
	t.pass()
})

test('an overlay reads what another byte order helper wrote, and writes it back', t => {
	fc.assert(
		fc.property(random(88), bytes => {
			const buffer = Uint8Array.from(bytes).buffer
			const view = new DataView(buffer)
			const attr = overlay(abi.FUSE_ATTR, buffer, 0)
			t.is(attr.ino, Number(view.getBigUint64(0, true)))
			t.is(attr.mtime, Number(view.getBigInt64(32, true)))
			t.is(attr.mode, view.getUint32(60, true))
			for (const value of [0, 1, 2 ** 32, 2 ** 53 - 1]) {
				attr.size = value
				t.is(view.getBigUint64(8, true), BigInt(value))
			}
			for (const value of [-1, -(2 ** 32), -(2 ** 40) - 5, 7]) {
				attr.ctime = value
				t.is(view.getBigInt64(40, true), BigInt(value))
				t.is(attr.ctime, value)
			}
		}),
		{ numRuns: 50 },
	)
})

test('attributes written by hand read back through the table', t => {
	const u32 = fc.nat({ max: 0xffff_ffff })
	const big = fc.maxSafeNat()
	const time = fc.integer({ min: -(10 ** 15), max: 10 ** 15 })
	const attr = fc.record({
		ino: big,
		size: big,
		blocks: big,
		atimeUs: time,
		mtimeUs: time,
		ctimeUs: time,
		mode: u32,
		nlink: u32,
		uid: u32,
		gid: u32,
		rdev: u32,
		blksize: u32,
	})
	fc.assert(
		fc.property(attr, given => {
			const words = new Uint32Array(32).fill(0xdead_beef)
			writeAttr(words, 4, given)
			const { atime, mtime, ctime, atimensec, mtimensec, ctimensec, flags, ...rest } = overlay(
				abi.FUSE_ATTR,
				words.buffer,
				16,
			)
			const times = {
				atimeUs: microseconds(atime, atimensec),
				mtimeUs: microseconds(mtime, mtimensec),
				ctimeUs: microseconds(ctime, ctimensec),
			}
			t.deepEqual({ ...rest, ...times }, given)
			t.true(atimensec < 1e9 && mtimensec < 1e9 && ctimensec < 1e9)
			t.is(flags, 0)
		}),
		{ numRuns: 200 },
	)
})

test('a reply is the concatenation of its spans, whatever is copied and whatever is not', t => {
	const device = openDevice()
	const memory = allocate(8192)
	for (let i = 0; i < 8192; i++) memory.bytes[i] = i * 31
	const plain = { address: 0, bytes: memory.bytes.slice(), buffer: new ArrayBuffer(0) }
	const span = fc.record({
		kind: fc.constantFrom('address', 'next', 'plain', 'bytes'),
		start: fc.nat({ max: 4096 }),
		size: fc.nat({ max: 300 }),
	})
	const limits = fc.record({
		maxSpans: fc.integer({ min: 2, max: 5 }),
		copyBelowBytes: fc.constantFrom(0, 8, 100, 1000),
	})
	fc.assert(
		fc.property(fc.array(span, { maxLength: 12 }), limits, fc.nat({ max: 2500 }), (spans, given, room) => {
			const reply = new Reply({ ...given, maxBodyBytes: 2000 })
			const expected: number[] = []
			let next = 0
			reply.begin(room)
			for (const { kind, start, size } of spans) {
				const from = kind === 'next' ? next : start
				next = from + size
				if (kind === 'bytes') reply.addBytes(memory.bytes, from, from + size)
				else reply.add(kind === 'plain' ? plain : memory, from, size)
				expected.push(...plain.bytes.subarray(from, from + size))
			}
			const body = expected.slice(0, Math.min(room, 2000))
			t.is(reply.sendData(device.fd, 4, 5), 16 + body.length)
			t.is(reply.room, Math.min(room, 2000) - body.length)
			const [sent = new Uint8Array()] = device.replies()
			t.deepEqual([...new Uint32Array(sent.slice(0, 16).buffer)], [16 + body.length, 0, 4, 5])
			t.deepEqual([...sent.subarray(16)], body)
			reply.free()
		}),
		{ numRuns: 300 },
	)
	device.close()
})

test('a directory read with any buffer gives each name once, in order', t => {
	const device = openDevice()
	const reply = new Reply({ maxBodyBytes: 4096, maxSpans: 2, copyBelowBytes: 0 })
	const byte = fc.integer({ min: 1, max: 255 }).map(code => String.fromCharCode(code))
	const names = fc.array(fc.string({ unit: byte, minLength: 1, maxLength: 255 }), { maxLength: 30 })
	fc.assert(
		fc.property(names, fc.integer({ min: 280, max: 4096 }), (given, room) => {
			const seen: string[] = []
			for (;;) {
				const from = seen.length
				reply.begin(room)
				reply.memory.bytes.fill(0xff, 16)
				for (let i = from; i < given.length && reply.directory.add(given[i] ?? '', i + 7, 8, i + 1); i++);
				reply.sendData(device.fd, 4, 0)
				const bytes = Buffer.from(device.replies()[0] ?? []).subarray(16)
				if (bytes.length === 0) break
				for (let at = 0; at < bytes.length; ) {
					const length = bytes.readUInt32LE(at + 16)
					t.is(bytes.readUInt32LE(at), seen.length + 7)
					seen.push(bytes.toString('latin1', at + 24, at + 24 + length))
					t.is(bytes.readUInt32LE(at + 8), seen.length)
					const end = at + Math.ceil((24 + length) / 8) * 8
					t.true(bytes.subarray(at + 24 + length, end).every(padding => padding === 0))
					at = end
				}
			}
			t.deepEqual(seen, given)
		}),
		{ numRuns: 100 },
	)
	device.close()
})

test('flag words and names are two forms of the same set', t => {
	const all = Object.keys(INIT_FLAGS) as InitFlag[]
	fc.assert(
		fc.property(fc.subarray(all), names => {
			const [flags, flags2] = initFlagWords(names)
			t.deepEqual(initFlagNames(flags, flags2), names)
			for (const name of all) t.is(hasInitFlag(flags, flags2, name), names.includes(name))
		}),
	)
	t.deepEqual(initFlagNames(0, 0x8000_0000), ['bit 63'])
})

test('negotiation never asks for what was not offered', t => {
	const u32 = fc.nat({ max: 0xffff_ffff })
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 60 }), u32, u32, (minor, flags, flags2) => {
			const settled = negotiate({ major: 7, minor, maxReadaheadBytes: 0, flags, flags2 }, { maxWriteBytes: 1 << 20 })
			if (typeof settled === 'number') return minor < 31
			const extended = (settled.flags & (1 << 30)) !== 0
			return (
				minor >= 31 &&
				settled.minor === Math.min(minor, 45) &&
				(settled.flags & ~flags) === 0 &&
				(settled.flags2 & ~flags2) === 0 &&
				(extended || settled.flags2 === 0) &&
				settled.maxWriteBytes === (flags & (1 << 22) ? 1 << 20 : 32 * 4096)
			)
		}),
	)
	t.pass()
})
