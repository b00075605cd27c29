/** The keeper with a real child that plays the engine: real sockets, real descriptors, real deaths. */
import { spawn } from 'node:child_process'
import { existsSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { close } from '../../src/sys/io.ts'
import { bindNotifySocket, NotifyMessages } from '../../src/sys/notify-socket.ts'
import { Kept, until } from './kept.ts'

const SYS = new URL('../../src/sys/notify-socket.ts', import.meta.url).href

test('what an engine keeps is there for the next one, in order and under its name; what it forgets is not', async t => {
	const kept = new Kept(t)
	t.like(await kept.start(1), { ours: true, names: [], watchdogUs: 20_000_000 })
	await kept.say('keep a', 'keep b', 'keep c', 'forget b')
	process.kill((await kept.start(1)).pid, 'SIGKILL')
	const second = await kept.start(2)
	t.like(second, { ours: true, names: ['a', 'c'], inodes: [kept.inode('a'), kept.inode('c')] })
	await kept.say('forget a', 'keep d')
	process.kill(second.pid, 'SIGKILL')
	t.deepEqual((await kept.start(3)).names, ['c', 'd'])
})

test('what an engine said in its last instruction counts', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	await kept.say('keepAndDie last')
	t.deepEqual((await kept.start(2)).names, ['last'])
})

test('an engine that has served is followed by another, ready or not', async t => {
	const kept = new Kept(t, {}, 'X_POGS_SERVES=1')
	t.deepEqual((await kept.start(2)).names, ['early'])
})

test('one that was killed before it served anybody is the end, and that is said', async t => {
	const kept = new Kept(t, {}, 'STATUS=loading')
	t.is(await kept.ended, 1)
	t.is(kept.starts().length, 1)
	t.true(kept.said.includes('error the engine was killed before it was ready'))
})

test('only the engine is listened to', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	const socket = readdirSync(kept.directory).find(name => name.startsWith('pogs-keeper-')) ?? ''
	const script = `import { connectNotifySocket as c, NotifyMessages as N } from ${JSON.stringify(SYS)}
const fd = c(${JSON.stringify(join(kept.directory, socket, 'notify'))}, 1000)
new N().send(fd, 'FDSTORE=1\\nFDNAME=foreign', 2); new N().send(fd, 'STOPPING=1')`
	const other = spawn(process.execPath, [`--import=${import.meta.resolve('tsx')}`, '--input-type=module', '-e', script])
	t.is(await new Promise(resolve => other.once('exit', resolve)), 0)
	process.kill((await kept.start(1)).pid, 'SIGKILL')
	t.deepEqual((await kept.start(2)).names, [])
})

test('an engine that says nothing is killed, and followed by another; one that says that it lives is not', async t => {
	const kept = new Kept(t, { watchdogUs: 3_000_000 })
	const first = await kept.start(1)
	await sleep(4_000)
	t.deepEqual(kept.starts(), [first])
	await kept.say('keep a', 'hang')
	const second = await kept.start(2)
	t.not(second.pid, first.pid)
	t.deepEqual(second.names, ['a'])
	t.true(kept.said.some(line => line.includes('does not answer')))
})

test('an engine that ends well without being asked is replaced; one that was asked to is not', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	await kept.say('exit 0')
	await kept.start(2)
	t.true(kept.said.some(line => line.includes('replaced')))
	kept.keeper.stop('SIGTERM')
	t.is(await kept.ended, 0)
	t.is(kept.starts().length, 2)
	t.deepEqual(
		readdirSync(kept.directory).filter(name => name.startsWith('pogs-keeper-')),
		[],
	)
})

function isAlive(pid: number): boolean {
	try {
		return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')
	} catch {
		return false
	}
}

test('an engine that stands by is the next one, with all that is kept', async t => {
	const kept = new Kept(t)
	const first = await kept.start(1)
	const names = Array.from({ length: 300 }, (_, i) => `kept-${'x'.repeat(40)}-${i}`)
	await kept.say(...names.map(name => `keep ${name}`), 'standby 1')
	const standby = await kept.standby()
	t.is(kept.starts().length, 1)
	process.kill(first.pid, 'SIGKILL')
	const second = await kept.start(2)
	t.like(second, { pid: standby, standby: true, names, inodes: names.map(name => kept.inode(name)) })
	// It is listened to, and none stands by until it asks.
	await kept.say('forget kept-none', `forget ${names[0]}`)
	process.kill(second.pid, 'SIGKILL')
	t.like(await kept.start(3), { standby: false, names: names.slice(1) })
})

test('one that stands by is not wanted any more, or dies itself, or was loaded before an upgrade: an ordinary start', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	await kept.say('keep a', 'standby 1')
	const unwanted = await kept.standby()
	await kept.say('standby 0')
	await until(() => (isAlive(unwanted) ? undefined : true))
	await kept.say('standby 1')
	const killed = await kept.standby()
	process.kill(killed, 'SIGKILL')
	const another = await kept.standby()
	t.not(another, killed)
	process.kill((await kept.start(1)).pid, 'SIGKILL')
	t.like(await kept.start(2), { pid: another, standby: true, names: ['a'] })
	await kept.say('standby 1')
	const old = await kept.standby()
	await kept.say('exit 0')
	t.like(await kept.start(3), { standby: false, names: ['a'] })
	await until(() => (isAlive(old) ? undefined : true))
	await kept.say('standby 1')
	const last = await kept.standby()
	kept.keeper.stop('SIGTERM')
	t.is(await kept.ended, 0)
	await until(() => (isAlive(last) ? undefined : true))
})

test('asked to stop while no engine runs, it starts one that gives back what is kept', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	await kept.say('keep a')
	writeFileSync(join(kept.directory, 'die'), '')
	process.kill((await kept.start(1)).pid, 'SIGKILL')
	// Now it waits before the next.
	await until(() => kept.said.find(line => line.includes('again and again')))
	rmSync(join(kept.directory, 'die'))
	kept.keeper.stop('SIGTERM')
	t.is(await kept.ended, 0)
	t.deepEqual(kept.starts().at(-1)?.names, ['a'])
})

test('who keeps the keeper has a copy of what is kept, and the next keeper begins with it', async t => {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-above-test-'))
	t.teardown(() => rmSync(directory, { recursive: true, force: true }))
	const path = join(directory, 'notify')
	const socketFd = bindNotifySocket(path)
	t.teardown(() => close(socketFd))
	const messages = new NotifyMessages()
	const copies = new Map<string, number>()
	let said = ''
	const hear = (): void => {
		for (;;) {
			const message = messages.receive(socketFd)
			if (typeof message === 'number') return
			said += `${message.text}\n`
			const [fd] = message.descriptors
			if (fd !== undefined) copies.set(/FDNAME=(.*)/.exec(message.text)?.[1] ?? '', fd)
		}
	}
	// A socket holds a few messages only, and who sends more waits.
	const hearing = setInterval(hear, 10)
	t.teardown(() => clearInterval(hearing))
	const kept = new Kept(t, { notifySocket: path, aliveEveryUs: 300_000 })
	const first = await kept.start(1)
	await kept.say('keep a', 'keep b', 'forget b')
	await until(() => said.includes('FDSTOREREMOVE') || undefined)
	t.regex(
		said,
		/^READY=1\n[^]*FDSTORE=1\nFDNAME=a\nFDPOLL=0\n[^]*FDSTORE=1\nFDNAME=b\n[^]*FDSTOREREMOVE=1\nFDNAME=b\n/m,
	)
	t.regex(said, /^WATCHDOG=1$/m)
	t.is(fstatSync(copies.get('a') ?? -1).ino, kept.inode('a'))
	// It is ready once, however often the engine is.
	process.kill(first.pid, 'SIGKILL')
	await kept.start(2)
	await kept.say('keep c')
	await until(() => copies.has('c') || undefined)
	t.is(said.match(/READY=1/g)?.length, 1)
	kept.keeper.stop('SIGTERM')
	await kept.ended
	hear()
	t.regex(said, /^STOPPING=1$/m)

	const inode = kept.inode('a')
	const next = new Kept(t, { inherited: new Map([['a', copies.get('a') ?? -1]]) })
	t.like(await next.start(1), { names: ['a'], inodes: [inode] })
	for (const [name, fd] of copies) if (name !== 'a') close(fd)
})

test('one that inherited something goes on when its first engine dies before it is ready; another gives up', async t => {
	const fd = openSync('/dev/null', 'r')
	const heir = new Kept(t, { inherited: new Map([['a', fd]]) })
	writeFileSync(join(heir.directory, 'die'), '')
	await until(() => heir.said.find(line => line.includes('starting it again')))
	rmSync(join(heir.directory, 'die'))
	t.deepEqual((await heir.start(1)).names, ['a'])
	const none = new Kept(t)
	writeFileSync(join(none.directory, 'die'), '')
	t.is(await none.ended, 7)
})

test('one that cannot start is not started again at once by who keeps it, and ends when it is asked to', async t => {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-above-test-'))
	t.teardown(() => rmSync(directory, { recursive: true, force: true }))
	const notifySocket = join(directory, 'notify')
	const socketFd = bindNotifySocket(notifySocket)
	t.teardown(() => close(socketFd))
	for (const isAsked of [false, true]) {
		const none = new Kept(t, { notifySocket })
		writeFileSync(join(none.directory, 'die'), '')
		await until(() => existsSync(join(none.directory, 'died')) || undefined)
		const diedAt = performance.now()
		if (isAsked) none.keeper.stop('SIGTERM')
		t.true((await none.ended) > 0)
		t.is(performance.now() - diedAt < 900, isAsked)
	}
})

test('one that stands by takes nothing of an engine that stops by itself with it', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	await kept.say('standby 1')
	const standby = await kept.standby()
	await kept.say('stop')
	t.is(await kept.ended, 0)
	await until(() => (isAlive(standby) ? undefined : true))
	t.is(kept.starts().length, 1)
})

/** Plays systemd: what it was told, a message a line of words, and what it keeps then. */
class Manager {
	readonly path: string
	readonly #fd: number
	readonly #messages = new NotifyMessages()
	readonly kept = new Map<string, number>()
	readonly said: string[] = []

	constructor(t: ExecutionContext) {
		const directory = mkdtempSync(join(tmpdir(), 'pogs-manager-test-'))
		this.path = join(directory, 'notify')
		this.#fd = bindNotifySocket(this.path)
		t.teardown(() => {
			this.look()
			for (const fd of [this.#fd, ...this.kept.values()]) close(fd)
			rmSync(directory, { recursive: true, force: true })
		})
	}

	look(): readonly string[] {
		for (;;) {
			const message = this.#messages.receive(this.#fd)
			if (typeof message === 'number') return [...this.kept.keys()]
			this.said.push(message.text)
			const name = /^FDNAME=(.*)$/m.exec(message.text)?.[1] ?? ''
			for (const fd of message.descriptors) this.kept.set(name, fd)
			if (!message.text.includes('FDSTOREREMOVE=1')) continue
			close(this.kept.get(name) ?? -1)
			this.kept.delete(name)
		}
	}
}

test('a keeper that stops leaves nothing with who keeps it: what the engine did not give back neither', async t => {
	const manager = new Manager(t)
	const kept = new Kept(t, { notifySocket: manager.path })
	await kept.start(1)
	await kept.say('keep a', 'keep b', 'keep b', 'forget a')
	await until(() => manager.look().join() === 'b' || undefined)
	kept.keeper.stop('SIGTERM')
	t.is(await kept.ended, 0)
	t.deepEqual(manager.look(), [])
	t.true(manager.said.includes('STOPPING=1'))
})

test('a keeper that leaves ends, and all that is kept stays with who keeps it; also while no engine runs', async t => {
	const manager = new Manager(t)
	const kept = new Kept(t, { notifySocket: manager.path })
	await kept.start(1)
	await kept.say('keep a', 'keep b', 'standby 1')
	const standby = await kept.standby()
	kept.keeper.leave()
	t.is(await kept.ended, 0)
	t.deepEqual(manager.look(), ['a', 'b'])
	await until(() => (isAlive(standby) ? undefined : true))
	t.is(kept.starts().length, 1)
	t.true(existsSync(join(kept.directory, 'left')))
	t.deepEqual(kept.said, [])

	const other = new Kept(t, { notifySocket: manager.path })
	await other.start(1)
	await other.say('keep c')
	writeFileSync(join(other.directory, 'die'), '')
	process.kill((await other.start(1)).pid, 'SIGKILL')
	await until(() => other.said.find(line => line.includes('again and again')))
	other.keeper.leave()
	t.is(await other.ended, 0)
	t.deepEqual(manager.look(), ['a', 'b', 'c'])
})

test('a keeper that nobody keeps does not leave: it stops', async t => {
	const kept = new Kept(t)
	await kept.start(1)
	await kept.say('keep a')
	kept.keeper.leave()
	t.is(await kept.ended, 0)
	t.false(existsSync(join(kept.directory, 'left')))
})
