/**
 * What the host alone sees: all logs in one, what happened to POGs, the live table; and that no container gets any of it.
 *
 * Source of truth: the order in which this test writes; modes as stat(1) has them.
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { PogEvent } from '../../src/control/events.ts'
import { makeRoot, unshared } from '../helpers/containers.ts'
import { needs, output, run, start, TOP, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

const ESC = '\x1b'
const SEQUENCE = new RegExp(`${ESC}\\[[?\\d]*[a-zA-Z]`, 'g')
/** In and out of the other page. */
const ALTERNATE = new RegExp(`${ESC}\\[\\?1049[hl]`)

let service: Service
let red: Pog
let blue: Pog

test.before(async () => {
	service = await startService({ etc: { 'pogs.conf': 'retain-count = 0\n' } })
	red = await service.create('red')
	blue = await service.create('blue')
})
test.after.always(() => service?.stop())

const words = (...argv: readonly string[]): string[] => [
	`--import=${import.meta.resolve('tsx')}`,
	join(TOP, 'src/bin/pogctl.ts'),
	'--run-dir',
	service.runDir,
	...argv,
]
const pogctl = (...argv: readonly string[]): Promise<string> => output(process.execPath, words(...argv))

async function eventsOf(name: string): Promise<PogEvent[]> {
	const lines = (await pogctl('events', '--json', '--pog', name)).split('\n').filter(Boolean)
	return lines.map(line => JSON.parse(line) as PogEvent)
}

test.serial('all logs are followed as one, in the order of writing, with new POGs and the host', async t => {
	const following = start(process.execPath, words('logs', '--all', '-f', '-n', '0', '--grep', 'hostview'))
	try {
		await until('the follower is there', async () => {
			await red.send('<13>app: hostview ready')
			return following.stdout().includes('ready')
		})
		const green = await service.create('green')
		const expected: string[] = []
		for (let n = 0; n < 12; n++) {
			const pog = [red, blue, green][n % 3] ?? red
			await pog.send(`<13>app: hostview ${n}`, '<13>app: something else')
			expected.push(`${pog.name} ${n}`)
		}
		await output('sh', ['-c', 'echo "<14>pogs-test: hostview 12" > /dev/kmsg'])
		await following.printed('the last record', stdout => stdout.includes('hostview 12'))
		const seen = following.stdout().matchAll(/^(\w+) +\| .*: hostview (\d+)$/gm)
		const pairs = Array.from(seen, ([, name = '', n = '']) => `${name} ${n}`)
		t.deepEqual(
			pairs.filter(pair => pair !== 'host 12'),
			expected,
		)
		// The kernel's log has a clock of its own: its place is known to a look, which are 50 ms apart.
		t.true(pairs.indexOf('host 12') > 8, pairs.join(', '))
		t.false(following.stdout().includes('something else'))
	} finally {
		await following.stop()
	}
	const some = await pogctl('logs', '--pog', 'blue', '--pog', 'green', '--grep', 'hostview')
	t.deepEqual(new Set(some.match(/^\w+/gm)), new Set(['blue', 'green']))
	const ended = await pogctl('logs', '--all', '--grep', 'hostview', '--until', '@1')
	t.is(ended, '')
	const unknown = await run(process.execPath, words('logs', '--pog', 'nobody'))
	t.is(unknown.code, 1)
	t.regex(unknown.stderr, /No POG is named "nobody"/)
})

test.serial('the life of a container is told, its configuration, its drops, to the last', async t => {
	const following = start(process.execPath, words('events', '-f', '--pog', 'yellow'))
	try {
		const yellow = await service.create('yellow', { rate: { perSecond: 1, burst: 1 } })
		await yellow.out('echo "*.* /var/log/all" > /etc/syslog.conf')
		await following.printed('the configuration', stdout => stdout.includes('configured state=own rules=1 errors=0'))
		await yellow.send(...Array.from({ length: 20 }, (_, n) => `<13>app: ${n}`))
		await following.printed('the drops', stdout => /drops .*ratelimited=\d+/.test(stdout))
		const container = await unshared(makeRoot(service.directory))
		try {
			await pogctl('attach', 'yellow', '--pid', String(container.pid))
			await following.printed('attached', stdout => stdout.includes(`attached pid=${container.pid}`))
		} finally {
			await container.stop()
		}
		await following.printed('the end', stdout => stdout.includes('yellow removed'))
		const told = Array.from(following.stdout().matchAll(/yellow (\w+)/g), ([, word]) => word)
		t.deepEqual(
			told.filter(word => word !== 'drops' && word !== 'configured'),
			['created', 'attached', 'exited', 'removed'],
		)
		t.deepEqual(
			(await eventsOf('yellow')).map(({ event }) => event as string),
			told,
		)
		const dropped = (await eventsOf('yellow')).reduce((sum, { fields }) => sum + Number(fields['ratelimited'] ?? 0), 0)
		t.true(dropped >= 15, String(dropped))
	} finally {
		await following.stop()
	}
})

needs('script')('top draws in place, ends with q, and leaves the terminal as it was', async t => {
	await red.send('<13>app: topmost \x1b[2Jline')
	const command = [process.execPath, ...words('top', '--delay', '0.2')].map(word => `'${word}'`).join(' ')
	const live = start('script', ['-qec', `stty rows 12 cols 110; ${command}; stty -a`, '/dev/null'], {
		env: { TERM: 'xterm', NO_COLOR: '' },
	})
	try {
		await live.printed('two frames', stdout => stdout.split(`${ESC}[H`).length > 2, 10_000)
		live.type('q')
		const { code, stdout } = await live.ended()
		t.is(code, 0)
		const [before = '', frames = '', after = ''] = stdout.split(ALTERNATE)
		t.false(before.includes('\x1b'))
		t.true(stdout.includes('topmost ^[[2Jline'))
		t.false(frames.includes('\x1b[2J'))
		for (const line of frames.split('\x1b[H').at(-1)?.split(/\r*\n/) ?? []) {
			t.true(line.replaceAll(SEQUENCE, '').length <= 110, JSON.stringify(line))
		}
		t.true(frames.endsWith(`${ESC}[?7h${ESC}[?25h`))
		t.regex(after, / icanon /)
		t.regex(after, / echo /)
	} finally {
		await live.stop()
	}
})

test.serial(
	'no container gets the view of the host: the socket is for its owner alone, and nowhere inside',
	async t => {
		const socket = join(service.runDir, 'api.sock')
		t.is((await output('stat', ['-c', '%F %a %u', socket])).trim(), 'socket 600 0')
		t.is((await output('stat', ['-c', '%F %a %u', service.runDir])).trim(), 'directory 700 0')
		chmodSync(service.directory, 0o755)
		const connect = 'use IO::Socket::UNIX; print IO::Socket::UNIX->new(Peer => $ARGV[0]) ? "connected" : "refused: $!"'
		t.is(await output('perl', ['-e', connect, socket]), 'connected')
		const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
		t.is(await output('setpriv', [...nobody, 'perl', '-e', connect, socket]), 'refused: Permission denied')

		const container = await unshared(makeRoot(service.directory))
		try {
			await pogctl('attach', 'inside', '--pid', String(container.pid))
			t.is((await container.sh('busybox find / -type s 2>/dev/null')).trim(), '/dev/log')
			t.is(await container.sh('busybox find / -name "api.sock*" -o -name host -path "*run*" 2>/dev/null'), '')
			const inside = await container.sh(
				'busybox find /run/pog /var/log -type f -exec busybox cat {} + 2>/dev/null; true',
			)
			t.notRegex(inside, /hostview|topmost/)
		} finally {
			await container.stop()
		}
		await until('it was removed', async () => (await eventsOf('inside')).some(({ event }) => event === 'removed'))
	},
)
