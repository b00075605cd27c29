/**
 * The transport against the real kernel: a tree in memory, mounted and served by a child process, used by real programs.
 * Every mount is detached and every server ended, whatever fails; nothing here touches the mount from this process.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { featuresOf, type Negotiated } from '../../src/fuse/negotiate.ts'
import { close } from '../../src/sys/io.ts'
import { mountFuse, unmount } from '../../src/sys/mount.ts'
import { find, output, PYTHON, run, start, TOP, until } from '../helpers/programs.ts'

const SERVER = fileURLToPath(new URL('../fuse/memory-server.ts', import.meta.url))

interface Mounted {
	readonly directory: string
	/** Replaces the server by one that adopts the connection. The earlier one is killed. */
	readonly restart: () => Promise<void>
	readonly log: () => string
}

const possible = process.getuid?.() === 0 && existsSync('/dev/fuse')
const mounting = possible ? test.serial : test.serial.skip
const withPython = possible && find('python3') !== undefined ? test.serial : test.serial.skip

async function mount(t: ExecutionContext): Promise<Mounted> {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-fuse-'))
	// Mounted here, served there: the connection outlives a server that is killed.
	const mounted = mountFuse(directory, { fsname: 'memory' })
	if (typeof mounted === 'number') throw new Error(`Cannot mount: errno ${-mounted}`)
	let log = ''
	let server: ChildProcess | undefined
	const serve = async (...args: string[]): Promise<void> => {
		server = spawn(process.execPath, ['--import=tsx', SERVER, 'fd:3', ...args], {
			cwd: TOP,
			stdio: ['ignore', 'pipe', 'pipe', mounted.fd],
		})
		const from = log.length
		for (const stream of [server.stdout, server.stderr]) stream?.on('data', (piece: Buffer) => (log += String(piece)))
		await until('the server is ready', () => log.slice(from).includes('ready'), 10_000)
	}
	const kill = async (): Promise<void> => {
		const ending = server
		ending?.kill('SIGKILL')
		await until('the server is gone', () => ending?.exitCode !== null || ending.signalCode !== null)
	}
	t.teardown(async () => {
		unmount(directory, true)
		await kill()
		close(mounted.fd)
		rmdirSync(directory)
	})
	await serve()
	return {
		directory,
		log: () => log,
		restart: async () => {
			await kill()
			await serve(negotiatedIn(log))
		},
	}
}

const negotiatedIn = (log: string): string => /^negotiated (.*)$/m.exec(log)?.[1] ?? '{}'

const blockedInRead = (pid: number) => (): boolean => {
	try {
		return readFileSync(`/proc/${pid}/syscall`, 'utf8').startsWith('0 ')
	} catch {
		return false
	}
}

mounting('cat, ls, stat, df and dd see a file system', async t => {
	const { directory } = await mount(t)
	await output('sh', ['-c', `echo hello > ${directory}/plain && echo again >> ${directory}/plain`])
	t.is(await output('cat', [`${directory}/plain`]), 'hello\nagain\n')
	t.is(await output('stat', ['-c', '%s %a %i %F', `${directory}/plain`]), '12 666 2 regular file\n')
	const names = (await output('ls', ['-U', `${directory}/many`])).trim().split('\n')
	t.deepEqual(
		names,
		Array.from({ length: 2000 }, (_, i) => `entry-${i}`),
	)
	t.is(await output('stat', ['-f', '-c', '%s %b %f %l', directory]), '4096 1024 512 255\n')
	for (const [block, count] of [
		['1000003', '1'],
		['4096', '300'],
		['16M', '4'],
	] as const) {
		const sum = await output('sh', [
			'-c',
			`dd if=${directory}/big bs=${block} count=${count} 2>/dev/null | tr -d a | wc -c`,
		])
		t.is(sum.trim(), '0')
	}
	const whole = await output('sh', ['-c', `dd if=${directory}/big bs=1M 2>/dev/null | wc -c`])
	t.is(whole.trim(), String(256 * 1024 * 1024))
	const copied = await output('sh', [
		'-c',
		`head -c 1500000 /dev/urandom > /tmp/pogs-fuse.$$ && dd if=/tmp/pogs-fuse.$$ of=${directory}/plain bs=1500000 2>/dev/null &&
		cmp /tmp/pogs-fuse.$$ ${directory}/plain && echo same; rm -f /tmp/pogs-fuse.$$`,
	])
	t.is(copied, 'same\n')
	t.regex((await run('cat', [`${directory}/absent`])).stderr, /No such file or directory/)
})

mounting('a reader blocks until there is a record, and ^C ends it', async t => {
	const { directory } = await mount(t)
	const reader = start('cat', [`${directory}/device`])
	await until('cat waits', blockedInRead(reader.pid))
	await output('sh', ['-c', `echo one > ${directory}/device`])
	await reader.printed('the record', text => text === 'one\n')
	await until('cat waits again', blockedInRead(reader.pid))
	const ended = await reader.stop('SIGINT')
	t.is(ended.signal, 'SIGINT')
	// Its read is gone: the next record is for the next reader.
	await output('sh', ['-c', `echo two > ${directory}/device`])
	t.is(await output('head', ['-c4', `${directory}/device`]), 'two\n')
})

mounting('SIGKILL ends a blocked reader', async t => {
	const { directory } = await mount(t)
	const reader = start('cat', [`${directory}/device`])
	await until('cat waits', blockedInRead(reader.pid))
	const ended = await reader.stop('SIGKILL')
	t.false(ended.timedOut)
	t.is(ended.signal, 'SIGKILL')
})

mounting('a throw in an operation is EIO for one, and the next works', async t => {
	const { directory, log } = await mount(t)
	await output('sh', ['-c', `echo fine > ${directory}/plain`])
	t.regex((await run('cat', [`${directory}/throws`])).stderr, /Input\/output error/)
	t.is(await output('cat', [`${directory}/plain`]), 'fine\n')
	t.regex(log(), /^fault FUSE_READ 6 /m)
})

mounting('a server killed with a read pending is followed by one that adopts the connection', async t => {
	const { directory, restart, log } = await mount(t)
	const reader = start('cat', [`${directory}/device`])
	await until('cat waits', blockedInRead(reader.pid))
	if (!featuresOf(JSON.parse(negotiatedIn(log())) as Negotiated).resend) {
		await reader.stop('SIGKILL')
		t.pass('this kernel cannot send requests again (before 6.9)')
		return
	}
	await restart()
	await output('sh', ['-c', `echo survived > ${directory}/device`])
	await reader.printed('the record', text => text === 'survived\n')
	await until('cat waits again', blockedInRead(reader.pid))
	await restart()
	t.is((await reader.stop('SIGINT')).signal, 'SIGINT')
})

mounting('unmounting ends the server', async t => {
	const { directory, log } = await mount(t)
	await output('umount', [directory])
	await until('the server says so', () => log().includes('gone {'))
	t.pass()
})

withPython('O_NONBLOCK set after the open makes a read answer EAGAIN', async t => {
	const { directory } = await mount(t)
	const script = `
import os, sys, fcntl
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
try: print(os.read(fd, 100))
except BlockingIOError as e: print(e.errno)
os.write(fd, b"x")
print(os.read(fd, 100))
fcntl.fcntl(fd, fcntl.F_SETFL, 0)
print(os.lseek(fd, 0, os.SEEK_DATA))`
	t.is(await output(PYTHON, ['-c', script, `${directory}/device`]), `11\nb'x'\n8192\n`)
})

withPython('poll and edge-triggered epoll wake at each record', async t => {
	const script = `
import os, sys, select
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
p = select.poll(); p.register(fd, select.POLLIN)
e = select.epoll(); e.register(fd, select.EPOLLIN | select.EPOLLET)
print(p.poll(0), e.poll(0), flush=True)
for _ in range(3):
    got = e.poll(5)
    print(len(got), [v for _, v in p.poll(5000)], os.read(fd, 100), len(p.poll(0)), flush=True)`
	const { directory } = await mount(t)
	const watcher = start(PYTHON, ['-c', script, `${directory}/device`])
	let expected = '[] []\n'
	await watcher.printed('nothing yet', text => text === expected)
	for (const record of ['one', 'two', 'three']) {
		await output('sh', ['-c', `printf ${record} > ${directory}/device`])
		expected += `1 [1] b'${record}' 0\n`
		await watcher.printed(record, text => text === expected)
	}
	t.is((await watcher.ended()).code, 0)
})
