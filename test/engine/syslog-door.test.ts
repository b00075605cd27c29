/**
 * The door of seccomp listeners with real sockets: what a runtime brings is there for the next engine until this one has put the
 * listener where the next one finds it.
 */
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ContainerProcess } from '../../src/attach/container-process.ts'
import type { Endpoint } from '../../src/engine/reactor.ts'
import { SyslogDoor } from '../../src/engine/syslog-door.ts'
import { bind } from '../../src/sys/libc.ts'
import { close } from '../../src/sys/io.ts'
import { connectStream, DescriptorMessages, listenStream } from '../../src/sys/seccomp-socket.ts'

const dup = bind('int dup(int)')
const STATE = JSON.stringify({ fds: ['seccompFd'], pid: 7, metadata: 'red', state: { id: 'c1' } })

/** An engine: what it was told to keep, what came, and its endpoints by descriptor. */
class Engine {
	readonly endpoints: Endpoint[] = []
	readonly told: string[] = []
	readonly complaints: string[] = []
	readonly came: ContainerProcess[] = []
	readonly door: SyslogDoor

	constructor(
		socketFd: number,
		keeper: Map<string, number>,
		onListener: (process: ContainerProcess, fd: number) => boolean,
	) {
		const callers = [...keeper].map(([name, fd]) => ({ name, fd: dup(fd) as number }))
		this.door = new SyslogDoor(
			{ add: endpoint => this.endpoints.push(endpoint), remove: () => {} },
			socketFd,
			(process, fd) => {
				this.told.push('listener')
				this.came.push(process)
				return onListener(process, fd)
			},
			message => this.complaints.push(message),
			{
				keep: (name, fd) => {
					this.told.push(`keep ${name}`)
					keeper.set(name, dup(fd) as number)
				},
				forget: name => {
					this.told.push(`forget ${name}`)
					close(keeper.get(name) ?? -1)
					keeper.delete(name)
				},
			},
			callers,
		)
	}
}

function connected(t: ExecutionContext) {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-door-'))
	const path = join(directory, 's')
	const socketFd = listenStream(path)
	const runtime = connectStream(path)
	const given = openSync(directory, 'r')
	t.teardown(() => {
		closeSync(given)
		for (const fd of [socketFd, runtime]) close(fd)
		rmSync(directory, { recursive: true })
	})
	return { socketFd, runtime, given, messages: new DescriptorMessages(), keeper: new Map<string, number>() }
}

const dying = (): never => {
	throw new Error('killed')
}

test('a listener whose engine dies when it takes it comes to the next one', t => {
	const { socketFd, runtime, given, messages, keeper } = connected(t)
	const dies = new Engine(socketFd, keeper, dying)
	messages.send(runtime, STATE, given)
	t.throws(() => dies.endpoints[0]?.turn(1), { message: 'killed' })
	let inode = 0
	const next = new Engine(socketFd, keeper, (_, fd) => {
		inode = fstatSync(fd).ino
		close(fd)
		return true
	})
	t.deepEqual(next.told, ['listener', 'forget caller-1'])
	t.is(next.came[0]?.containerId, 'c1')
	t.is(inode, fstatSync(given).ino)
	t.is(keeper.size, 0)
})

test('one that comes in pieces is taken when it is whole', t => {
	const { socketFd, runtime, given, messages, keeper } = connected(t)
	const engine = new Engine(socketFd, keeper, (_, fd) => {
		close(fd)
		return true
	})
	messages.send(runtime, STATE.slice(0, 20), given)
	engine.endpoints[0]?.turn(1)
	t.deepEqual(engine.told, ['keep caller-1'])
	messages.sendBytes(runtime, Buffer.from(STATE.slice(20)))
	t.is(engine.endpoints[1]?.turn(1), -1)
	engine.endpoints[1]?.over()
	t.deepEqual(engine.told, ['keep caller-1', 'listener', 'forget caller-1'])
	t.deepEqual(engine.complaints, [])
})
