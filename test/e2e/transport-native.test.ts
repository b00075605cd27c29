/**
 * What the transport fuse-native cannot do: one test for each row of docs/transports.md, which expects exactly that; and that
 * its option fails with a remedy where it cannot be had.
 *
 * Everything else it has to do as the kernel's protocol does: POGS_TEST_TRANSPORT=fuse-native runs the other suites on it.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadFuseNative } from '../../src/fuse/native-package.ts'
import { find, output, PYTHON, run, TOP, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'
import { TRANSPORT } from '../helpers/transport.ts'

const missing = loadFuseNative()
const possible = typeof missing !== 'string'

let service: Service
let count = 0

if (!possible && TRANSPORT !== 'kernel') {
	test.skip('every other suite through fuse-native (needs fuse-native and libfuse 2)', () => {})
}

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
    second = told(lambda: os.read(fd, 8192))
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    print(first, second, told(lambda: os.read(fd, 8192)), time.monotonic() - began < 2)`,
	)
	t.is(answers, 'EAGAIN EAGAIN EAGAIN True\nEAGAIN EAGAIN EAGAIN True\n')
	const cat = await pog.sh('cat /dev/kmsg')
	t.is(cat.code, 1)
	t.regex(cat.stderr, /Resource temporarily unavailable/)
})

row('poll, select and epoll say ready where nothing is, and wake nobody', async (t, pog) => {
	const answers = await python(
		pog,
		`
for path in '/dev/kmsg', '/proc/kmsg':
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    p = select.poll(); p.register(fd, select.POLLIN | select.POLLOUT)
    e = select.epoll(); e.register(fd, select.EPOLLIN | select.EPOLLET)
    print([m for _, m in p.poll(5000)], [len(s) for s in select.select([fd], [fd], [], 5)], len(e.poll(0)))
    w = os.open('/dev/kmsg', os.O_WRONLY); os.write(w, b'one'); os.close(w)
    print(len(e.poll(0.3)), b'one\\n' in os.read(fd, 8192))`,
	)
	t.is(answers, '[5] [1, 1, 0] 1\n0 True\n'.repeat(2))
})

row(
	'lseek to data goes where it is told, and to a hole to the end: what was cleared is shown again',
	async (t, pog) => {
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
print(os.lseek(fd, 0, os.SEEK_DATA), os.read(fd, 8192).endswith(b';before\\n'))
end = os.lseek(fd, 0, os.SEEK_END)
print(told(lambda: os.read(fd, 8192)), os.lseek(fd, 0, os.SEEK_HOLE) == end, told(lambda: os.read(fd, 8192)))
print(subprocess.run(['dmesg'], capture_output=True, text=True).stdout.count('before'))`,
		)
		t.is(answers, '0 True\nEAGAIN True EAGAIN\n1\n')
	},
)

row('a writer has no pid, and the ids of the owner of the POG', async (t, pog) => {
	await pog.out("setpriv --reuid 12345 --regid 12345 --clear-groups sh -c 'echo hello >&3' 3>/dev/kmsg")
	await pog.out('chmod 666 /var/log/messages')
	await pog.out("setpriv --reuid 12345 --regid 12345 --clear-groups sh -c 'echo there >&3' 3>>/var/log/messages")
	const records = await pog.records()
	t.deepEqual(
		records.map(({ text, pid, uid }) => [text, pid, uid]),
		[
			['hello', 0, 0],
			['there', 0, 0],
		],
	)
})

row('dmesg_restrict closes /dev/kmsg to all but its owner by its mode', async (t, pog) => {
	const restrict = `${pog.paths.varLog}/../../proc/sys/kernel/dmesg_restrict`
	const seen = await pog.out(
		`echo secret >/dev/kmsg
		as() { setpriv --reuid 12345 --regid 12345 --clear-groups "$@" 2>&1 | sed 's/.*: //;s/.*;//'; }
		stat -c %a /dev/kmsg; as head -n 1 /dev/kmsg
		echo 1 >/proc/sys/kernel/dmesg_restrict
		stat -c %a /dev/kmsg; as head -n 1 /dev/kmsg; head -n 1 /dev/kmsg | sed 's/.*;//'`,
		{ prepare: `mount --bind '${restrict}' /proc/sys/kernel/dmesg_restrict` },
	)
	t.is(seen, '644\nsecret\n600\nPermission denied\nsecret\n')
})

row('splice and sendfile of /dev/kmsg give bytes', async (t, pog) => {
	const answers = await python(
		pog,
		`
w = os.open('/dev/kmsg', os.O_WRONLY); os.write(w, b'one'); os.close(w)
for how in os.sendfile, None:
    fd = os.open('/dev/kmsg', os.O_RDONLY); r, w = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    sent = os.sendfile(w, fd, None, 8192) if how else libc.splice(fd, None, w, None, ctypes.c_size_t(8192), 0)
    print(sent > 0 and os.read(r, 8192)[-4:])`,
	)
	t.is(answers, "b'one\\n'\nb'one\\n'\n")
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

row('a name that is no UTF-8 is left out of a listing', async (t, pog) => {
	await pog.out('echo text > /var/log/told')
	const store = Buffer.from(join(service.runDir, 'pogs', pog.name, 'store/varlog/'))
	for (const name of [
		[0x61, 0xff],
		[0xc3, 0x28],
	])
		writeFileSync(Buffer.concat([store, Buffer.from(name)]), 'text')
	const answers = await python(
		pog,
		"print([n for n in os.listdir(b'/var/log') if n != b'told' and any(c > 127 for c in n)], 'told' in os.listdir('/var/log'))",
	)
	t.is(answers, '[] True\n')
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

row('the size of a view counts what was overwritten since the first who has it open opened it', async (t, pog) => {
	const answers = await python(
		pog,
		`
def say(text, times):
    w = os.open('/dev/kmsg', os.O_WRONLY)
    for n in range(times): os.write(w, text)
    os.close(w)
def look(meanwhile):
    fd = os.open('/var/log/messages', os.O_RDONLY); size = os.fstat(fd).st_size; got = os.read(fd, 65536)
    say(b'y' * 900, meanwhile)
    while len(got) < size:
        piece = os.read(fd, min(65536, size - len(got)))
        if not piece: break
        got += piece
    os.close(fd)
    return size > len(got), got.count(b'records lost'), got[-1:]
say(b'first', 1)
held = os.open('/var/log/messages', os.O_RDONLY)
say(b'x' * 900, 160)
print(look(0), look(40))
os.close(held)
# RELEASE comes later than close(2).
end = time.monotonic() + 5
while look(0)[0] and time.monotonic() < end: pass
print(look(0))`,
	)
	t.is(answers, "(True, 1, b'\\n') (False, 1, b'y')\n(False, 0, b'\\n')\n")
})

row('a file that was removed while it was open stays whole, and shows no other name', async (t, pog) => {
	const seen = await pog.out(`
		echo one > /var/log/app; exec 3>>/var/log/app 4</var/log/app; rm /var/log/app; echo two >&3
		cat <&4; ls -A /var/log | grep -c -e app -e fuse_hidden; exec 3>&- 4<&-
		echo new > /var/log/app; exec 4</var/log/app; echo newer > /var/log/app.new; mv /var/log/app.new /var/log/app
		cat - /var/log/app <&4; ls -A /var/log | grep -c -e app -e fuse_hidden`)
	t.is(seen, 'one\ntwo\n0\nnew\nnewer\n1\n')
})

row('an open with O_TRUNC removes nothing of /dev/kmsg, truncate is refused, SEEK_END is its end', async (t, pog) => {
	const answers = await python(
		pog,
		`
for text in b'one', b'two':
    w = os.open('/dev/kmsg', os.O_WRONLY | os.O_TRUNC); os.write(w, text); os.close(w)
print(told(lambda: os.truncate('/dev/kmsg', 0)))
fd = os.open('/dev/kmsg', os.O_RDWR | os.O_TRUNC | os.O_NONBLOCK)
print(os.read(fd, 8192)[-4:], os.read(fd, 8192)[-4:], told(lambda: os.read(fd, 8192)))
os.lseek(fd, 0, os.SEEK_SET); os.lseek(fd, 0, os.SEEK_END); print(told(lambda: os.read(fd, 8192)))`,
	)
	t.is(answers, "EINVAL\nb'one\\n' b'two\\n' EAGAIN\nEAGAIN\n")
})

row('SIGKILL of the service ends its mounts: whoever uses one gets ENOTCONN', async t => {
	const doomed = await startService({ args: ['--transport', 'fuse-native'] })
	t.teardown(() => doomed.stop().catch(() => undefined))
	const pog = await doomed.create('doomed')
	const held = pog.start('exec 3</var/log/messages; echo held; read line; cat <&3; cat /var/log/messages')
	await held.printed('held', out => out === 'held\n')
	const { engine } = await doomed.describe()
	process.kill(doomed.pid, 'SIGKILL')
	process.kill(engine.pid, 'SIGKILL')
	// Its threads end one by one, and its connection with the last.
	await until('the connection is gone', async () =>
		/endpoint is not connected/.test((await run('stat', [pog.paths.varLog])).stderr),
	)
	held.child.stdin?.end('\n')
	const ended = await held.ended()
	t.regex(ended.stderr, /^cat: -: Transport endpoint is not connected$/m)
	t.regex(ended.stderr, /^cat: \/var\/log\/messages: Transport endpoint is not connected$/m)
})

row('it mounts and unmounts without fusermount in the path', async t => {
	const own = await startService({ args: ['--transport', 'fuse-native'], env: { PATH: '/nonexistent' } })
	const pog = await own.create('alone')
	t.is(await pog.out('echo hello >/dev/kmsg; sed "s/.* //" /var/log/messages'), 'hello\n')
	t.is((await own.call('DELETE', '/v1/pogs/alone')).status, 204)
	t.false(existsSync(join(own.runDir, 'pogs/alone')))
	await t.notThrowsAsync(own.stop())
})

row('a mount that somebody else removes is told', async t => {
	const own = await startService({ args: ['--transport', 'fuse-native'] })
	t.teardown(() => own.stop())
	await own.create('left')
	await own.create('lost')
	await output('umount', [join(own.runDir, 'pogs/lost/mnt')])
	await until('it is told', () => own.said().includes('its mount was removed'))
	t.is(own.said().split('its mount was removed').length, 2)
	t.regex(own.said(), /its mount was removed.*\bid=2\b/)
	t.is((await own.call('DELETE', '/v1/pogs/lost')).status, 204)
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
	t.is(await second.out('echo hello > /dev/kmsg; sed "s/.* //" /var/log/messages'), 'hello\n')
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
