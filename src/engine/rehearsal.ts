/**
 * An engine that stands by serves a log of its own for a moment, and takes it over from itself: what it needs to do so for others is
 * compiled then, and not while they wait.
 *
 * The log is in a directory in memory, its connection a pair of sockets with requests as the kernel's would be (struct layouts:
 * include/uapi/linux/fuse.h, 7.45). Invariant: nothing of it is left, and whatever goes wrong with it only costs time.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { DEFAULT_SYSLOG_CONF } from '../conf/default.ts'
import { FUSE_UNIQUE_RESEND_HIGH } from '../fuse/abi.ts'
import { Session } from '../fuse/session.ts'
import { Workspace } from '../fuse/workspace.ts'
import { Staging } from '../ingest/staging.ts'
import { systemClock } from '../lib/clock.ts'
import { describePog } from '../pog/describe.ts'
import { DEFAULT_LIMITS } from '../pog/limits.ts'
import { MIN_RING_BYTES } from '../ring/layout.ts'
import { close, O_CLOEXEC, O_RDONLY, openPath } from '../sys/io.ts'
import { allocate, unmap } from '../sys/memory.ts'
import { messagePair, NotifyMessages } from '../sys/notify-socket.ts'
import { SyslogDesk } from '../syslog2/syslog-calls.ts'
import { NODE } from '../vfs/nodes.ts'
import { FdStore } from './fd-store.ts'
import { backingCalls, READ_SCRATCH_BYTES, ServedPog } from './served-pog.ts'
import type { ShardContext } from './shard-context.ts'

const ROUNDS = 2
const MOST_TURNS = 64
const HEADER_BYTES = 40
const FUSE = { lookup: 1, getattr: 3, open: 14, read: 15, write: 16, init: 26, opendir: 27, readdir: 28 } as const
const O_RDWR = 2
const FIRST_HANDLE = 1
const KMSG_LINE = Buffer.from('<6>rehearsal\n')
const SHARED_MEMORY = '/dev/shm'

/** How many requests were answered. */
export function rehearse(): number {
	const directory = makeDirectory()
	const context = contextOf()
	let answered = 0
	try {
		for (const part of ['runpog', 'varlog']) mkdirSync(`${directory}/${part}`)
		for (let round = 0; round < ROUNDS; round++) answered += play(directory, round, context)
	} catch {
		// The real thing will say what is wrong.
	}
	unmap(context.scratch)
	context.workspace.free()
	rmSync(directory, { recursive: true, force: true })
	return answered
}

/** Its name has our number: one that was killed in the middle leaves it to the next. */
function makeDirectory(): string {
	try {
		removeStale(SHARED_MEMORY)
		return mkdtempSync(`${SHARED_MEMORY}/pogs-rehearsal-${process.pid}-`)
	} catch {
		return mkdtempSync(`${tmpdir()}/pogs-rehearsal-${process.pid}-`)
	}
}

function removeStale(directory: string): void {
	for (const name of readdirSync(directory)) {
		const pid = /^pogs-rehearsal-(\d+)-/.exec(name)?.[1]
		if (pid !== undefined && !existsSync(`/proc/${pid}`))
			rmSync(`${directory}/${name}`, { recursive: true, force: true })
	}
}

type Stage = ShardContext & { readonly workspace: Workspace }

function contextOf(): Stage {
	const workspace = new Workspace()
	const nothing = (): void => {}
	return {
		workspace,
		limits: DEFAULT_LIMITS,
		policy: { devkmsg: 'on', defaultConf: DEFAULT_SYSLOG_CONF },
		clock: systemClock(),
		calls: backingCalls(),
		scratch: allocate(READ_SCRATCH_BYTES),
		staging: new Staging(DEFAULT_LIMITS.datagramBytes, allocate),
		pogctl: new Uint8Array(),
		desk: new SyslogDesk(),
		fdStore: new FdStore(null, nothing),
		resized: nothing,
		spent: close,
		nudge: nothing,
		connect({ fuseFd, resume }, tree, onGone) {
			const session = new Session(fuseFd, tree, { workspace, journal: tree.journal, log: nothing })
			if (resume) {
				tree.revive()
				session.revive()
				tree.wakePollers()
			}
			const turn = (units: number): number => session.serve(units)
			return { endpoint: { fd: fuseFd, turn, over: onGone }, close: () => close(fuseFd) }
		},
	}
}

/** Serves it once, from the second time on as the next engine. */
function play(directory: string, round: number, context: Stage): number {
	const fuse = messagePair({ wait: false })
	const log = messagePair({ wait: false })
	if (typeof fuse === 'number' || typeof log === 'number') return 0
	const messages = new NotifyMessages()
	const again = round > 0
	const send = (...request: Parameters<typeof requestOf>): number =>
		messages.offer(fuse[1], requestOf(...request).toString('latin1'))
	let unique = round * 100
	const all = (resent: boolean): void => {
		const open = bodyOf([O_RDWR])
		send(++unique, resent, FUSE.lookup, NODE.root, Buffer.from('var\0'))
		send(++unique, resent, FUSE.getattr, NODE.varLog, bodyOf([0, 0, 0, 0]))
		send(++unique, resent, FUSE.open, NODE.devKmsg, Buffer.concat([open, bodyOf([0])]))
		const write = bodyOf([FIRST_HANDLE, 0, 0, 0, KMSG_LINE.length, 0, 0, 0, 0, 0])
		send(++unique, resent, FUSE.write, NODE.devKmsg, Buffer.concat([write, KMSG_LINE]))
		send(++unique, resent, FUSE.read, NODE.devKmsg, bodyOf([FIRST_HANDLE, 0, 0, 0, 8192, 0, 0, 0, 0, 0]))
		send(++unique, resent, FUSE.opendir, NODE.varLog, bodyOf([0, 0]))
	}
	if (again) all(true)
	else
		send(
			++unique,
			false,
			FUSE.init,
			0,
			bodyOf([7, 45, 131_072, 0xffff_ffff, 0xffff_ffff, ...Array<number>(11).fill(0)]),
		)
	const served = ServedPog.create(requestFor(directory, again, fuse[0], log[0]), context, () => {})
	if (typeof served === 'string') {
		for (const fd of [...fuse, ...log]) close(fd)
		return 0
	}
	all(false)
	messages.offer(log[1], '<13>rehearsal: a message')
	served.log.turn(8)
	for (let turns = 0; turns < MOST_TURNS && (served.link.endpoint?.turn(8) ?? 0) > 0; turns++) served.pog.flush()
	served.syslog.recover()
	describePog(served.pog)
	served.pog.tick()
	served.pog.flush()
	let answered = 0
	while (typeof messages.receive(fuse[1]) !== 'number') answered++
	served.close()
	for (const fd of [fuse[1], log[1]]) close(fd)
	return answered
}

function requestFor(
	directory: string,
	again: boolean,
	fuseFd: number,
	logFd: number,
): Parameters<typeof ServedPog.create>[0] {
	return {
		id: 1,
		name: 'rehearsal',
		hostname: 'rehearsal',
		owner: { uid: 0, gid: 0 },
		containerId: '',
		conf: null,
		rate: null,
		fuseFd,
		mountPoint: '',
		logFd,
		storeFd: openPath(directory, O_RDONLY | O_CLOEXEC),
		storePath: `${directory}/store`,
		ringPath: `${directory}/ring`,
		ringBytes: MIN_RING_BYTES,
		quotaBytes: 0,
		revive: again,
		resume: again,
		retired: false,
		pid: 0,
		syslogFds: [],
	}
}

/** Words of 32 bits, the lower half of a longer one first. */
function bodyOf(words: readonly number[]): Buffer {
	return Buffer.from(Uint32Array.from(words).buffer)
}

/** struct fuse_in_header and what follows it. */
function requestOf(unique: number, resent: boolean, opcode: number, node: number, body: Buffer): Buffer {
	const high = resent ? FUSE_UNIQUE_RESEND_HIGH : 0
	return Buffer.concat([bodyOf([HEADER_BYTES + body.length, opcode, unique, high, node, 0, 0, 0, 0, 0]), body])
}
