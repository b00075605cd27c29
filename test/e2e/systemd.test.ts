/**
 * pogshim as a service of a real systemd, installed by "make install" into a machine of its own.
 *
 * Source of truth: mount/systemd/pogshim.service and docs/resilience.md for what is promised; systemd.service(5), sd_notify(3). A container
 * that writes, and a reader that waits, go on from the second test to the one that stops the service: whatever happens to it
 * meanwhile, every line is read once and in order.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ServiceInfo } from '../../src/control/service.ts'
import { Machine } from '../helpers/machine.ts'
import { type Ended, run, type Running, TOP, until } from '../helpers/programs.ts'
import { TRANSPORT } from '../helpers/transport.ts'

const booted = TRANSPORT === 'kernel' ? await Machine.boot() : 'not through fuse-native: mounts end with their process'
test.after.always('the machine is gone', async () => {
	if (booted instanceof Machine) await booted.stop()
})

/** A serial test in the machine; or a skipped one that says why there is none. */
function inMachine(title: string, body: (t: ExecutionContext, machine: Machine) => Promise<void>): void {
	if (booted instanceof Machine) test.serial(title, t => body(t, booted))
	else test.serial.skip(`${title} (${booted})`, () => undefined)
}

const UNIT = '/usr/local/lib/systemd/system/pogshim.service'
const INSTALLED = ['lib/pogs', 'bin/pogshim', 'bin/pogctl', 'share/man/man1/pogctl.1', 'share/man/man8/pogshim.8']
const MOUNT = '/run/pogs/pogs/inner/mnt'
/** One line after the other until there is /tmp/stop; then it says how many. */
const WRITER =
	'n=0; while [ ! -e /tmp/stop ]; do n=$((n + 1)); echo "<13>inner: $n" >/dev/kmsg || exit 1; sleep 0.05; done; echo $n'
const WATCHDOG_SEC = 4
/** What systemd and Node take beside it on a busy machine. */
const NOTICED_WITHIN_MS = (WATCHDOG_SEC + 20) * 1000

/** Without what "make" tells the makes that it starts. */
function make(target: string, { root }: Machine): Promise<Ended> {
	const env = { MAKEFLAGS: '', MAKELEVEL: '', MFLAGS: '' }
	return run('make', ['-s', target, `DESTDIR=${root}`], { cwd: TOP, env, timeoutMs: 120_000 })
}

function property(machine: Machine, name: string): Promise<string> {
	return machine.out(`systemctl show pogshim -p ${name} --value`)
}

async function describe(machine: Machine): Promise<ServiceInfo> {
	return JSON.parse(await machine.out('pogctl show --json')) as ServiceInfo
}

/** Numbers of the mounts of the container's POG: another mount at the same place has another one. */
function mounts(machine: Machine): Promise<string> {
	return machine.out(`awk '$5 == "${MOUNT}" { print $1 }' /proc/self/mountinfo`)
}

interface Going {
	readonly writer: Running
	readonly reader: Running
	readonly mounts: string
}
let going: Going | undefined

function linesOf({ reader }: Going): number[] {
	return [...reader.stdout().matchAll(/;inner: (\d+)\n/g)].map(match => Number(match[1]))
}

/** After something was done to the service: the same POGs on the same mount, and what is written now arrives. */
async function goesOn(t: ExecutionContext, machine: Machine): Promise<void> {
	if (going === undefined) return t.fail('nothing goes on')
	const { writer, reader } = going
	const before = linesOf(going).length
	const now = going
	await until('lines go on', () => linesOf(now).length > before + 3, 15_000)
	t.is(await mounts(machine), going.mounts)
	t.regex(await machine.out('pogctl ls'), /^ *1 +box [^]*^ *\d+ +inner +inner +running /m)
	t.regex(await machine.out('pogctl logs box'), / box app: hello$/m)
	t.deepEqual([writer.child.exitCode, reader.child.exitCode], [null, null], writer.stderr() + reader.stderr())
}

/** Waits until another main process, or another engine, is there, and answers. */
async function untilAnother(machine: Machine, what: 'keeper' | 'engine', before: string): Promise<void> {
	await until(
		`another ${what} serves`,
		async () => {
			const { code, stdout } = await machine.sh('pogctl show --json')
			if (code !== 0) return false
			const pid =
				what === 'keeper' ? await property(machine, 'MainPID') : (JSON.parse(stdout) as ServiceInfo).engine.pid
			return pid !== '0' && String(pid) !== before
		},
		NOTICED_WITHIN_MS,
	)
}

/** Sends a signal to the keeper or the engine, and waits for the one that takes its place. */
async function strike(machine: Machine, what: 'keeper' | 'engine', signal: 'KILL' | 'STOP'): Promise<void> {
	const pid = what === 'keeper' ? await property(machine, 'MainPID') : String((await describe(machine)).engine.pid)
	await machine.out(`kill -s ${signal} ${pid}`)
	await untilAnother(machine, what, pid)
}

inMachine(
	'make install: the unit is good, and "systemctl enable --now" comes back when pogshim is ready',
	async (t, machine) => {
		const made = await make('install', machine)
		t.is(made.code, 0, made.stderr)
		t.regex(made.stdout, /systemctl enable --now pogshim/)
		for (const path of INSTALLED) t.true(existsSync(join(machine.root, 'usr/local', path)), path)
		t.is(await machine.out(`systemd-analyze verify ${UNIT} 2>&1`), '')
		await machine.out('systemctl daemon-reload; systemctl enable -q --now pogshim')
		// READY=1 is only said then: nothing is waited for here.
		t.regex(await machine.out('pogctl doctor || :'), /service +pogshim .*\n.*keeper +mounts outlive the engine/)
		const found = ['Type', 'ActiveState', 'NRestarts', 'OOMPolicy'].map(name => property(machine, name))
		t.deepEqual(await Promise.all(found), ['notify', 'active', '0', 'continue'])
	},
)

inMachine('the commands of the host work, and a container has its log, its ordinary users too', async (t, machine) => {
	await machine.out('pogctl create box; pogctl write box -p user.err -t app hello')
	t.regex(await machine.out('pogctl logs box'), / box app: hello$/)
	// UMask=0077 of the unit is not about what a container sees.
	const nobody = `setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'ls /run/pog /var/log'`
	t.regex(await machine.out(`pogctl run -- ${nobody}`), /^ctl\n[^]*^messages$/m)
	const writer = machine.start(`exec pogctl run --name inner -- sh -c '${WRITER}'`)
	await until('it writes', async () => /inner: 3$/m.test((await machine.sh('pogctl logs inner')).stdout), 15_000)
	const reader = machine.start(`exec cat ${MOUNT}/dev/kmsg`)
	going = { writer, reader, mounts: await mounts(machine) }
	t.regex(going.mounts, /^\d+$/)
	await goesOn(t, machine)
	// API, control file, two doors, and two or three of each POG.
	t.is(await property(machine, 'NFileDescriptorStore'), '9')
})

inMachine('kill -9 of the engine: everything goes on', async (t, machine) => {
	await strike(machine, 'engine', 'KILL')
	await goesOn(t, machine)
	t.is(await property(machine, 'NRestarts'), '0')
})

inMachine(
	'kill -9 of the keeper: systemd starts it again with what it kept, and everything goes on',
	async (t, machine) => {
		await strike(machine, 'keeper', 'KILL')
		await goesOn(t, machine)
		t.is(await property(machine, 'NRestarts'), '1')
		t.is(await property(machine, 'NFileDescriptorStore'), '9')
		// One keeper, one engine, and one that stands by, which comes last.
		await until('the others are gone', async () => (await processes(machine)) === 3, 10_000)
	},
)

async function processes(machine: Machine): Promise<number> {
	const group = await property(machine, 'ControlGroup')
	const pids = await machine.out(
		`cat /sys/fs/cgroup/systemd${group}/cgroup.procs /sys/fs/cgroup${group}/cgroup.procs 2>/dev/null || :`,
	)
	return new Set(pids.split('\n').filter(Boolean)).size
}

inMachine(
	'systemctl reload, and systemctl restart, keep logs and mounts; restart replaces the keeper too',
	async (t, machine) => {
		const engine = String((await describe(machine)).engine.pid)
		const keeper = await property(machine, 'MainPID')
		await machine.out('systemctl reload pogshim')
		t.not(String((await describe(machine)).engine.pid), engine)
		await goesOn(t, machine)
		t.is(await property(machine, 'MainPID'), keeper)
		const directory = '/etc/systemd/system/pogshim.service.d'
		await machine.out(
			`mkdir -p ${directory}; printf '[Service]\\nWatchdogSec=${WATCHDOG_SEC}\\n' >${directory}/short.conf`,
		)
		await machine.out('systemctl daemon-reload; systemctl restart pogshim')
		t.not(await property(machine, 'MainPID'), keeper)
		await goesOn(t, machine)
		t.is(await property(machine, 'NFileDescriptorStore'), '9')
	},
)

inMachine('an engine that hangs is replaced by the keeper, a keeper that hangs by systemd', async (t, machine) => {
	const keeper = await property(machine, 'MainPID')
	await strike(machine, 'engine', 'STOP')
	await goesOn(t, machine)
	t.is(await property(machine, 'MainPID'), keeper)
	await strike(machine, 'keeper', 'STOP')
	await goesOn(t, machine)
	t.regex(await machine.out('journalctl -q -o cat -u pogshim'), /Watchdog timeout/)
})

inMachine('the reader has every line once and in order', async (t, machine) => {
	if (going === undefined) return t.fail('nothing goes on')
	await machine.out('touch /tmp/stop')
	const { code, stdout, stderr } = await going.writer.ended()
	t.is(code, 0, stderr)
	const lines = linesOf(going)
	t.deepEqual(
		lines,
		Array.from({ length: Number(stdout) }, (_, i) => i + 1),
	)
	await going.reader.stop('SIGKILL')
})

inMachine('the journal has each line with its level, and nothing of Node', async (t, machine) => {
	const journal = await machine.out('journalctl -q -o cat _SYSTEMD_UNIT=pogshim.service')
	const odd = journal.split('\n').filter(line => !/^(info|warn|error) |^pogshim (ready|\S+ took over) /.test(line))
	t.deepEqual(odd, [])
	const grave = await machine.out('journalctl -q -o cat -p warning _SYSTEMD_UNIT=pogshim.service')
	t.deepEqual(grave.match(/^(info|pogshim) .*/gm), null)
	t.regex(grave, /^warn keeper: the engine ended: starting it again how=SIGKILL /m)
	t.regex(grave, /^error keeper: the engine does not answer: it is killed /m)
	// Of the takeovers all times are told from the death that was noticed.
	for (const [, ms] of journal.matchAll(/ served-ms=([\d.]+)/g)) t.true(Number(ms) < NOTICED_WITHIN_MS, ms)
})

inMachine('systemctl stop leaves nothing, and the next start is a new one', async (t, machine) => {
	await machine.out('systemctl stop pogshim')
	t.is(await property(machine, 'Result'), 'success')
	t.is(await property(machine, 'NFileDescriptorStore'), '0')
	t.is(await machine.out('grep -e fuse.pogs -e /run/pogs /proc/mounts || :'), '')
	t.is(await machine.out('ls -d /run/pogs* /dev/shm/pogs* 2>/dev/null || :'), '')
	await machine.out('systemctl start pogshim')
	t.is((await machine.out('pogctl ls')).split('\n').length, 2)
	t.is((await describe(machine)).restarts, 0)
	await machine.out('systemctl stop pogshim')
})

inMachine('make uninstall takes back what make install put there', async (t, machine) => {
	await machine.out('systemctl disable -q pogshim')
	const made = await make('uninstall', machine)
	t.is(made.code, 0, made.stderr)
	t.is(
		await machine.out(
			'find /usr/local /etc/pogs /etc/systemd -iname "*pog*" -not -name "pogshim.service.d" 2>/dev/null || :',
		),
		'',
	)
})
