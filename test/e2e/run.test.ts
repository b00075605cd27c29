/**
 * `pogctl run`: a command in fresh namespaces with a log of its own, as a user types it.
 *
 * Source of truth: what docker run and unshare(1) do with exit codes, signals and terminals.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { type Ended, find, needs, type Running, run, start, TOP, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

function line(argv: readonly string[], runDir = service.runDir): [string, string[]] {
	const program = process.env['POGS_TEST_DIST']
		? [join(TOP, 'dist/bin/pogctl.js')]
		: [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogctl.ts')]
	return [process.execPath, [...program, '--run-dir', runDir, ...argv]]
}

/** `pogctl run ...` to its end. */
function pogctlRun(argv: readonly string[], input = ''): Promise<Ended> {
	return run(...line(['run', ...argv]), { input, timeoutMs: 20_000 })
}

async function names(): Promise<string[]> {
	const { text } = await service.call('GET', '/v1/pogs')
	return (JSON.parse(text) as { name: string }[]).map(each => each.name)
}

test.serial('run passes the exit code, standard input and both outputs on', async t => {
	const ended = await pogctlRun(['--', 'sh', '-c', 'cat; echo oops >&2; exit 7'], 'through\n')
	t.is(ended.code, 7)
	t.is(ended.stdout, 'through\n')
	t.is(ended.stderr, 'oops\n')
	t.is((await pogctlRun(['--', 'sh', '-c', 'kill -9 $$'])).code, 137)
	t.is((await pogctlRun(['--', 'no-such-program'])).code, 127)
	t.is((await pogctlRun(['--', '/etc/passwd'])).code, 126)
})

test.serial('run removes the POG at the end, unless it is to be kept', async t => {
	t.is((await pogctlRun(['--name', 'gone', '--', 'true'])).code, 0)
	t.false((await names()).includes('gone'))
	t.is((await pogctlRun(['--name', 'kept', '--keep', '--', 'sh', '-c', 'echo "<11>still here" >/dev/kmsg'])).code, 0)
	t.true((await names()).includes('kept'))
	const { text } = await service.call('GET', '/v1/pogs/kept/records')
	t.regex(text, /still here/)
	await service.call('DELETE', '/v1/pogs/kept')
})

test.serial('a run whose pogctl is killed outright ends its log as any container does', async t => {
	const statusOf = async (name: string): Promise<string> => {
		const { text } = await service.call('GET', '/v1/pogs')
		const pogs = JSON.parse(text) as { name: string; status: string }[]
		return pogs.find(each => each.name === name)?.status ?? 'none'
	}
	const running = start(...line(['run', '--name', 'orphan', '--', 'sh', '-c', 'echo up; sleep 100']))
	await running.printed('the command runs', stdout => stdout.includes('up'))
	t.is(await statusOf('orphan'), 'running')
	await running.stop('SIGKILL')
	await until('its end is seen', async () => (await statusOf('orphan')) === 'exited')
	await service.call('DELETE', '/v1/pogs/orphan')
})

test.serial(
	'a command in run has its own log, host name, processes and network, and no way to the real log',
	async t => {
		const marker = `host-${process.pid}-${Date.now()}`
		await run('sh', ['-c', `echo '<15>${marker}' >/dev/kmsg`])
		const script = `
		hostname; echo $$; echo "<11>mine" >/dev/kmsg
		dd if=/dev/kmsg iflag=nonblock bs=8192 2>/dev/null | grep -c mine
		dd if=/proc/kmsg iflag=nonblock bs=8192 2>/dev/null | grep -c mine
		{ dd if=/dev/kmsg iflag=nonblock bs=8192; dd if=/proc/kmsg iflag=nonblock bs=8192; dmesg -S; cat /var/log/*; } 2>/dev/null | grep -c ${marker}
		ls ${service.runDir} 2>&1 | wc -l
		cut -d' ' -f5 /proc/self/mountinfo | grep -c '^${service.directory}/.*/mnt'
		ls /sys/class/net
		mknod /tmp/pogs-kmsg-$$ c 1 11 2>/dev/null && { rm /tmp/pogs-kmsg-$$; echo node; }
		umount /dev/kmsg 2>/dev/null && echo uncovered
		echo 1 2>/dev/null >/proc/sys/kernel/printk_ratelimit && echo sysctl
		:`
		const ended = await pogctlRun(['--name', 'private', '--hostname', 'box', '--', 'sh', '-c', script])
		t.is(ended.stderr, '')
		const [host, pid, ...rest] = ended.stdout.trim().split('\n')
		t.is(host, 'box')
		t.true(Number(pid) < 1000, 'a process id of its own namespace')
		t.deepEqual(rest, ['1', '1', '0', '0', '0', 'lo'])
	},
)

test.serial('run tells the service which container the POG belongs to', async t => {
	const running: Running = start(...line(['run', '--name', 'told', '--', 'sh', '-c', 'echo up; read x']))
	await running.printed('the container is up', stdout => stdout === 'up\n', 15_000)
	const info = JSON.parse((await service.call('GET', '/v1/pogs/told')).text) as { containerId: string; status: string }
	t.is(info.containerId, 'told')
	t.is(info.status, 'running')
	running.type('\n')
	t.is((await running.ended()).code, 0)
})

test.serial('run forwards signals to the command, and a killed pogctl takes its container along', async t => {
	const trapping = 'trap "echo caught; exit 4" TERM; echo up; while :; do sleep 0.05; done'
	const running = start(...line(['run', '--', 'sh', '-c', trapping]))
	await running.printed('the command is up', stdout => stdout === 'up\n', 15_000)
	running.child.kill('SIGTERM')
	const ended = await running.ended()
	t.is(ended.code, 4)
	t.is(ended.stdout, 'up\ncaught\n')
	const plain = start(...line(['run', '--', 'sleep', '600']))
	await until('the command is up', async () => (await names()).some(name => name.startsWith('sleep-')), 15_000)
	plain.child.kill('SIGTERM')
	t.is((await plain.ended()).code, 143)
	t.deepEqual(await names(), ['host'])

	const token = `6${process.pid}.25`
	const doomed = start(...line(['run', '--name', 'doomed', '--', 'sleep', token]))
	const alive = async (): Promise<boolean> => (await run('pgrep', ['-fx', `sleep ${token}`])).code === 0
	await until('the command is up', alive, 15_000)
	doomed.child.kill('SIGKILL')
	await until('its container is gone', async () => !(await alive()))
	await service.call('DELETE', '/v1/pogs/doomed')
})

needs('script')(
	"an interactive shell in run has job control, ^C ends a command and the exit code is the shell's",
	async t => {
		const [program, argv] = line(['run', '--name', 'tty', '--', 'sh'])
		const typed = start('script', ['-qec', [program, ...argv].join(' '), '/dev/null'])
		await typed.printed('a prompt', stdout => /[#$] $/.test(stdout), 15_000)
		typed.type('tty\n')
		await typed.printed('the terminal', stdout => stdout.includes('/dev/console'))
		typed.type('sleep 600\n')
		await until('sleep runs', async () => (await run('pgrep', ['-fx', 'sleep 600'])).code === 0)
		typed.type('\u0003')
		typed.type('echo was=$?\n')
		await typed.printed('the status', stdout => stdout.includes('was=130'))
		typed.type('exit 3\n')
		t.is((await typed.ended()).code, 3)
	},
)

needs('busybox')('run --rootfs takes a bare busybox tree as root and leaves nothing in it', async t => {
	const rootfs = join(service.directory, 'rootfs, with: odd name')
	mkdirSync(join(rootfs, 'bin'), { recursive: true })
	const busybox = join(rootfs, 'bin/busybox')
	await run('cp', [find('busybox') ?? '', busybox])
	await run('sh', [
		'-c',
		'cd "$1" && for each in $(./busybox --list); do ln -sf busybox "$each"; done',
		'sh',
		join(rootfs, 'bin'),
	])
	const script =
		'logger from busybox; echo "<12>k" >/dev/kmsg; sleep 0.2; cat /run/pog/log; ls /; touch /written; dmesg 2>&1; exit 5'
	const ended = await pogctlRun(['--rootfs', rootfs, '--', '/bin/sh', '-c', script])
	t.is(ended.code, 5, ended.stderr)
	t.regex(ended.stdout, /from busybox/)
	t.regex(ended.stdout, /^\[ *\d+\.\d{6}\] k$/m)
	t.is((await run('ls', [rootfs])).stdout, 'bin\n')
	t.is((await pogctlRun(['--rootfs', '/no/such', '--', 'true'])).code, 125)
})

test.serial('run says in one line what is missing', async t => {
	const nowhere = await run(...line(['run', '--', 'true'], '/no/such/run-dir'))
	t.is(nowhere.code, 3)
	t.regex(nowhere.stderr, /^pogctl: Cannot reach pogshim at .*\n$/)
	const [program, argv] = line(['run', '--', 'true'])
	const bounds = ['--reuid', '65534', '--regid', '65534', '--clear-groups', 'env', 'HOME=/', program, ...argv]
	const plain = await run('setpriv', bounds)
	t.is(plain.code, 125)
	t.regex(plain.stderr, /^pogctl: Cannot make namespaces as this user: .*unshare -Urm.*\n$/)
})
