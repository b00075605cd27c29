/**
 * What the transport fuse-native cannot do: one test for each row of docs/transports.md, which expects exactly that; and that
 * its option fails with a remedy where it cannot be had.
 *
 * Everything else it has to do as the kernel's protocol does: POGS_TEST_TRANSPORT=fuse-native runs the other suites on it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadFuseNative } from '../../src/fuse/native-package.ts'
import { find, PYTHON, run, TOP, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

const missing = loadFuseNative()
const possible = typeof missing !== 'string'

let service: Service
let count = 0

test.before(async t => {
	if (possible) service = await startService({ args: ['--transport', 'fuse-native'] })
	else t.log(missing)
})
test.after.always(() => service?.stop())

/** A test of one row, which needs the package and python. */
function row(title: string, body: (t: ExecutionContext, pog: Pog) => Promise<void>): void {
	if (!possible || find('python3') === undefined) {
		test.serial.skip(`${title} (needs ${possible ? 'python3' : 'fuse-native and libfuse 2'})`, () => {})
		return
	}
	test.serial(title, async t => body(t, await service.create(`row-${++count}`, { ringBytes: 128 * 1024 })))
}

/** Runs python where a container would be: an OSError prints its name. */
function python(pog: Pog, body: string): Promise<string> {
	const script = `import os, errno, select, time, ctypes, mmap, fcntl, subprocess
def told(f):
    try: return f()
    except OSError as e: return errno.errorcode[e.errno]
${body}`
	return pog.out(`exec ${PYTHON} - <<'END'\n${script}\nEND`)
}

row('the transport is told, and that it has neither passthrough nor requests sent again', async t => {
	const { features } = await service.describe()
	t.is(features['transport'], 'fuse-native')
	t.is(features['passthrough'], undefined)
	t.is(features['resend'], undefined)
})

row('a read that would wait answers EAGAIN at once, whatever O_NONBLOCK says', async (t, pog) => {
	const answers = await python(
		pog,
		`
for path in '/dev/kmsg', '/proc/kmsg':
    fd = os.open(path, os.O_RDONLY)
    began = time.monotonic()
    first = told(lambda: os.read(fd, 8192))
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    print(first, told(lambda: os.read(fd, 8192)), time.monotonic() - began < 2)`,
	)
	t.is(answers, 'EAGAIN EAGAIN True\nEAGAIN EAGAIN True\n')
	const cat = await pog.sh('cat /dev/kmsg')
	t.is(cat.code, 1)
	t.regex(cat.stderr, /Resource temporarily unavailable/)
})

row('poll says ready where nothing is, and wakes nobody', async (t, pog) => {
	const answers = await python(
		pog,
		`
fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
p = select.poll(); p.register(fd, select.POLLIN | select.POLLOUT)
e = select.epoll(); e.register(fd, select.EPOLLIN | select.EPOLLET)
print([m for _, m in p.poll(5000)], len(e.poll(0)))
w = os.open('/dev/kmsg', os.O_WRONLY); os.write(w, b'one'); os.close(w)
print(len(e.poll(0.3)), os.read(fd, 8192).endswith(b';one\\n'))`,
	)
	t.is(answers, '[5] 1\n0 True\n')
})

row('lseek to data goes where it is told: what was cleared is shown again', async (t, pog) => {
	const answers = await python(
		pog,
		`
def say(text):
    w = os.open('/dev/kmsg', os.O_WRONLY); os.write(w, text); os.close(w)
say(b'before')
c = os.open('/run/pog/ctl', os.O_WRONLY); os.write(c, b'clear\\n'); os.close(c)
say(b'after')
fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
os.read(fd, 8192)
print(os.lseek(fd, 0, os.SEEK_END) > 0, os.lseek(fd, 0, os.SEEK_DATA), os.read(fd, 8192).endswith(b';before\\n'))`,
	)
	t.is(answers, 'True 0 True\n')
})

row('a writer has no pid, and the ids of the owner of the POG', async (t, pog) => {
	await pog.out("setpriv --reuid 12345 --regid 12345 --clear-groups sh -c 'echo hello >&3' 3>/dev/kmsg")
	const [record] = await pog.records()
	t.deepEqual([record?.text, record?.pid, record?.uid], ['hello', 0, 0])
})

row('a file belongs to the owner of the POG, whoever makes it', async (t, pog) => {
	const owner = await pog.out(`chmod 1777 /var/log
		setpriv --reuid 12345 --regid 12345 --clear-groups sh -c 'echo text > /var/log/mine'
		stat -c %u:%g /var/log/mine`)
	t.is(owner, '0:0\n')
})

row('a name that is no UTF-8 is refused with EINVAL', async (t, pog) => {
	const answers = await python(
		pog,
		`
print(told(lambda: os.open(b'/var/log/\\xff', os.O_CREAT | os.O_WRONLY)), told(lambda: os.mkdir(b'/var/log/\\xfe')))
print(told(lambda: os.symlink(b'\\xff', b'/var/log/link')), told(lambda: os.stat(b'/var/log/\\xff')))
os.close(os.open('/var/log/\\u00e9', os.O_CREAT | os.O_WRONLY)); print('\\u00e9' in os.listdir('/var/log'))`,
	)
	t.is(answers, 'EINVAL EINVAL\nEINVAL EINVAL\nTrue\n')
})

row('setting times sets both to the time of access, in milliseconds', async (t, pog) => {
	const answers = await python(
		pog,
		`
open('/var/log/file', 'w').close()
os.utime('/var/log/file', ns=(1111111111222333444, 2222222222000000000))
s = os.stat('/var/log/file'); print(s.st_atime_ns, s.st_mtime_ns)
subprocess.run(['touch', '-m', '-d', '@1000', '/var/log/file'])
print(os.stat('/var/log/file').st_mtime_ns)`,
	)
	t.is(answers, '1111111111222000000 1111111111222000000\n1111111111222000000\n')
})

row('renameat2 with flags answers EINVAL, and mv goes on without', async (t, pog) => {
	const answers = await python(
		pog,
		`
for name in 'a', 'b': open('/var/log/' + name, 'w').close()
libc = ctypes.CDLL(None, use_errno=True)
for flags in 1, 2:
    target = b'/var/log/c' if flags == 1 else b'/var/log/b'
    print(libc.renameat2(-100, b'/var/log/a', -100, target, flags), errno.errorcode[ctypes.get_errno()])
subprocess.run(['mv', '-n', '/var/log/a', '/var/log/d']); print(os.path.exists('/var/log/d'))`,
	)
	t.is(answers, '-1 EINVAL\n-1 EINVAL\nTrue\n')
})

row('fallocate answers EOPNOTSUPP', async (t, pog) => {
	const { code, stderr } = await pog.sh('fallocate -l 4096 /var/log/file')
	t.not(code, 0)
	t.regex(stderr, /not supported/)
})

row('an app file is direct too: it cannot be mapped shared', async (t, pog) => {
	const answers = await python(
		pog,
		`
f = open('/var/log/file', 'w+b'); f.write(b'a' * 4096); f.flush()
print(told(lambda: mmap.mmap(f.fileno(), 4096, mmap.MAP_SHARED)))
print(mmap.mmap(f.fileno(), 4096, mmap.MAP_PRIVATE)[:3])`,
	)
	t.is(answers, "ENODEV\nb'aaa'\n")
})

row('two names of one file have inode numbers of their own', async (t, pog) => {
	const [links, one, two] = (
		await pog.out(
			'echo x > /var/log/a; ln /var/log/a /var/log/b; stat -c %h /var/log/a; stat -c %i /var/log/a /var/log/b',
		)
	).split('\n')
	t.is(links, '2')
	t.not(one, two)
})

row('a view begins where the first who has it open found its beginning', async (t, pog) => {
	const lines = await python(
		pog,
		`
def say(text):
    w = os.open('/dev/kmsg', os.O_WRONLY); os.write(w, text); os.close(w)
say(b'first')
held = os.open('/var/log/messages', os.O_RDONLY)
for n in range(400): say(b'x' * 900)
print(b'records lost' in open('/var/log/messages', 'rb').readline() or open('/var/log/messages', 'rb').readline())
os.close(held)`,
	)
	t.is(lines, 'True\n')
})

row('a file that was removed while it was open stays whole, and shows no other name', async (t, pog) => {
	const seen = await pog.out(`
		echo one > /var/log/app; exec 3>>/var/log/app 4</var/log/app; rm /var/log/app; echo two >&3
		cat <&4; ls -A /var/log | grep -c -e app -e fuse_hidden; exec 3>&- 4<&-
		echo new > /var/log/app; exec 4</var/log/app; echo newer > /var/log/app.new; mv /var/log/app.new /var/log/app
		cat - /var/log/app <&4; ls -A /var/log | grep -c -e app -e fuse_hidden`)
	t.is(seen, 'one\ntwo\n0\nnew\nnewer\n1\n')
})

row('SIGKILL of the service ends its mounts: whoever uses one gets ENOTCONN', async t => {
	const doomed = await startService({ args: ['--transport', 'fuse-native'] })
	t.teardown(() => doomed.stop().catch(() => undefined))
	const pog = await doomed.create('doomed')
	const held = pog.start('exec 3</var/log/messages; echo held; read line; cat <&3; cat /var/log/messages')
	await held.printed('held', out => out === 'held\n')
	process.kill(doomed.pid, 'SIGKILL')
	// Its threads end one by one, and its connection with the last.
	await until('the connection is gone', async () =>
		/endpoint is not connected/.test((await run('stat', [pog.paths.varLog])).stderr),
	)
	held.child.stdin?.end('\n')
	const ended = await held.ended()
	t.regex(ended.stderr, /^cat: -: Transport endpoint is not connected$/m)
	t.regex(ended.stderr, /^cat: \/var\/log\/messages: Transport endpoint is not connected$/m)
})

row('SIGTERM leaves no mount, also while files are open', async t => {
	const own = await startService({ args: ['--transport', 'fuse-native'] })
	const pog = await own.create('busy')
	const busy = pog.start('cd /var/log; exec 3<messages 4>app; echo busy; read line; cat <&3')
	await busy.printed('busy', out => out === 'busy\n')
	// It throws when anything is left.
	await t.notThrowsAsync(own.stop())
	busy.child.stdin?.end('\n')
	t.regex((await busy.ended()).stderr, /Transport endpoint is not connected/)
})

row('a POG that is removed answers ENOTCONN, and its name can be used again', async t => {
	const first = await service.create('again')
	const held = first.start('exec 3</var/log/messages; echo held; read line; cat <&3')
	await held.printed('held', out => out === 'held\n')
	t.is((await service.call('DELETE', '/v1/pogs/again')).status, 204)
	const second = await service.create('again')
	t.is(await second.out('echo hello > /dev/kmsg; cut -d" " -f5- /var/log/messages'), 'hello\n')
	held.child.stdin?.end('\n')
	t.regex((await held.ended()).stderr, /Transport endpoint is not connected/)
})

const PROGRAM = [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogshim.ts')]

/** Starts pogshim so that it cannot; its exit code and what it said. */
async function refused(
	prepare: string,
	env: Record<string, string> = {},
): Promise<{ code: number | null; said: string }> {
	const directory = mkdtempSync(join(tmpdir(), 'pogs-native-'))
	try {
		writeFileSync(join(directory, 'libfuse.so.2'), '')
		mkdirSync(join(directory, 'empty'))
		const command = [process.execPath, ...PROGRAM, '--transport', 'fuse-native', '--run-dir', join(directory, 'run')]
		const script = `${prepare.replaceAll('EMPTY', join(directory, 'empty'))}; exec ${command.map(part => `'${part}'`).join(' ')}`
		const LD_LIBRARY_PATH = env['broken'] === undefined ? '' : directory
		const ended = await run('unshare', ['-m', 'sh', '-c', script], { env: { LD_LIBRARY_PATH }, cwd: TOP })
		return { code: ended.code, said: ended.stderr }
	} finally {
		rmSync(directory, { recursive: true, force: true })
	}
}

row('without libfuse 2 the option fails with the remedy', async t => {
	const { code, said } = await refused(':', { broken: 'yes' })
	t.is(code, 1)
	t.regex(said, /needs libfuse 2: "apt-get install libfuse2"/)
})

row('without the package the option fails with the remedy', async t => {
	const { code, said } = await refused(`mount --bind EMPTY ${join(TOP, 'node_modules/fuse-native')}`)
	t.is(code, 1)
	t.regex(said, /needs the package of that name: "npm install fuse-native@2\.2\.6"/)
})

test.serial('an unknown transport is wrong usage', async t => {
	const ended = await run(process.execPath, [...PROGRAM, '--transport', 'pigeon'], { cwd: TOP })
	t.is(ended.code, 2)
	t.regex(ended.stderr, /Allowed choices are kernel, fuse-native/)
})
