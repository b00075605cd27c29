/**
 * The programs that people run on a system log, unchanged, on a POG: readers of the kernel log and senders to /dev/log.
 *
 * Source of truth: the programs themselves. Each test writes with one program and reads with another, so that no expected byte
 * comes from the code under test.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { RecordInfo } from '../../src/pog/info.ts'
import { CACHE, find, fixtureProgram, needs, output, PYTHON, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

const BUSYBOX = join(CACHE, 'bin/busybox')
const JOURNALD = '/lib/systemd/systemd-journald'
let count = 0

/** A POG with a few kernel-log records: one a facility and severity, one with bytes that need escaping. */
async function fresh(filled = true): Promise<Pog> {
	const pog = await service.create(`client-${++count}`)
	if (filled) {
		await pog.out(
			"echo '<30>first: hello' >/dev/kmsg; echo '<3>second: bad' >/dev/kmsg; printf '<14>third: a\\tb \\303\\251\\n' >/dev/kmsg",
		)
	}
	return pog
}

/** A file that the POG's side can write and we can read: below the service's directory, not below a mount. */
function scratch(name: string): string {
	const directory = join(service.directory, 'scratch')
	mkdirSync(directory, { recursive: true })
	return join(directory, name)
}

function written(path: string): string {
	try {
		return readFileSync(path, 'latin1')
	} catch {
		return ''
	}
}

async function found(pog: Pog, text: string): Promise<RecordInfo> {
	let record: RecordInfo | undefined
	await until(`a record "${text}"`, async () => {
		record = (await pog.records()).find(each => each.text.includes(text))
		return record !== undefined
	})
	return record as RecordInfo
}

const dmesg = needs('dmesg', 'unshare')

dmesg('dmesg prints the records of its POG and nothing else', async t => {
	const pog = await fresh()
	t.regex(
		await pog.out('dmesg'),
		/^\[ *\d+\.\d{6}\] first: hello\n\[ *\d+\.\d{6}\] second: bad\n\[ *\d+\.\d{6}\] third: a\tb \xc3\xa9\n$/,
	)
})

dmesg('dmesg -x decodes facility and severity; user space never is facility kern', async t => {
	const lines = (await (await fresh()).out('dmesg -x')).split('\n')
	t.regex(lines[0] ?? '', /^daemon:info {2}: \[/)
	t.regex(lines[1] ?? '', /^user {2}:err {3}: \[/)
	t.regex(lines[2] ?? '', /^user {2}:info {2}: \[/)
})

dmesg('dmesg -J gives JSON with the three messages', async t => {
	const report = JSON.parse(await (await fresh()).out('dmesg -J')) as { dmesg: { msg: string }[] }
	t.deepEqual(report.dmesg.map(each => each.msg).slice(0, 2), ['first: hello', 'second: bad'])
	t.is(report.dmesg.length, 3)
})

dmesg('dmesg -T shows the time of day', async t => {
	const pog = await fresh()
	const shown = /^\[(.+?)\] first/.exec(await pog.out('TZ=UTC dmesg -T'))?.[1]
	const at = Date.parse(`${shown} UTC`)
	t.true(Math.abs(Date.now() - at) < 60_000, `"${shown}" is not now`)
})

dmesg('dmesg -w prints what is there and then follows, dmesg -W only what comes', async t => {
	const pog = await fresh()
	const [all, fromNow] = [pog.start('exec dmesg -w'), pog.start('exec dmesg -W')]
	await all.printed('the third record', out => out.includes('third'))
	// -W has no output to wait for: it is there once it sleeps in its read.
	await until('dmesg -W reads', () => reading(fromNow.pid))
	for (const n of [1, 2, 3]) {
		await pog.out(`echo '<14>later ${n}' >/dev/kmsg`)
		await all.printed(`later ${n}`, out => out.includes(`later ${n}`), 3_000)
		await fromNow.printed(`later ${n}`, out => out.includes(`later ${n}`), 3_000)
	}
	t.true((await all.stop('SIGINT')).signal === 'SIGINT' && (await fromNow.stop('SIGINT')).signal === 'SIGINT')
	t.false(fromNow.stdout().includes('third'))
	t.is(all.stdout().split('\n').length, 7)
})

/** Whether a process sleeps in read(2), by the number of its system call; true where the kernel does not tell. */
function reading(pid: number): boolean {
	try {
		const [call] = readFileSync(`/proc/${pid}/syscall`, 'latin1').split(' ')
		return readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('dmesg') && (call === '0' || call === '63')
	} catch {
		return true
	}
}

dmesg('dmesg --facility, --level and --since select', async t => {
	const pog = await fresh()
	t.regex(await pog.out('dmesg --level err'), /^\[[^\n]*second: bad\n$/)
	t.regex(await pog.out('dmesg --facility daemon'), /^\[[^\n]*first: hello\n$/)
})

needs('cat', 'head')('cat and head read one record per read, ^C ends a waiting cat', async t => {
	const pog = await fresh()
	t.regex(await pog.out('head -n 2 /dev/kmsg'), /^30,0,\d+,-;first: hello\n11,1,\d+,-;second: bad\n$/)
	const cat = pog.start('exec cat /dev/kmsg')
	await cat.printed('three records', out => out.includes('third: a\\x09b \\xc3\\xa9\n'))
	t.is((await cat.stop('SIGINT')).signal, 'SIGINT')
	const proc = pog.start('exec cat /proc/kmsg')
	await proc.printed('three lines', out => out.includes('third: a\tb \xc3\xa9\n'))
	t.is((await proc.stop('SIGINT')).signal, 'SIGINT')
})

function rsyslogConf(name: string, input: string, out: string): string {
	const path = scratch(`${name}.conf`)
	const work = scratch(`${name}-work`)
	mkdirSync(work, { recursive: true })
	const template = 'template(name="plain" type="string" string="%pri%|%programname%|%msg%\\n")'
	writeFileSync(
		path,
		`global(workDirectory="${work}")\n${input}\n${template}\n*.* action(type="omfile" file="${out}" template="plain")\n`,
	)
	return path
}

for (const [name, input] of [
	['imkmsg', 'module(load="imkmsg")'],
	['imklog', 'module(load="imklog" permitNonKernelFacility="on" logPath="/proc/kmsg")'],
] as const) {
	needs('rsyslogd')(`rsyslog ${name} reads what was there and follows`, async t => {
		const pog = await fresh()
		const out = scratch(`${name}.out`)
		const conf = rsyslogConf(name, input, out)
		const daemon = pog.start(`exec rsyslogd -n -f ${conf} -i ${scratch(`${name}.pid`)}`)
		t.teardown(() => daemon.stop())
		await until('rsyslog writes the record', () => written(out).includes('bad'), 10_000)
		await pog.out("echo '<28>fourth: later' >/dev/kmsg")
		await until('rsyslog writes the next record', () => written(out).includes('later'), 10_000)
		const lines = written(out).split('\n')
		t.is(lines.filter(line => /^30\|kernel\|.*first: hello$/.test(line)).length, 1)
		t.is(lines.filter(line => /^28\|kernel\|.*fourth: later$/.test(line)).length, 1)
		t.is(lines.filter(line => line.includes('|kernel|')).length, 4, 'nothing of the machine own log')
		const ended = await daemon.stop()
		t.is(ended.code, 0, `rsyslogd ends on SIGTERM: ${ended.stderr}`)
	})
}

needs(JOURNALD, 'journalctl')('journald stores the records of its POG and follows', async t => {
	const pog = await fresh()
	const out = scratch('journal.out')
	// Its directories are expected to be there; the machine's own journal is not, in this /run and /var/log.
	const daemon = pog.start(`
		mkdir -p /run/systemd/journal /run/log/journal
		mount -t tmpfs tmpfs /var/log
		[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcdef > /etc/machine-id
		export SYSTEMD_LOG_TARGET=null
		${JOURNALD} </dev/null & pid=$!
		trap 'kill $pid' TERM
		until journalctl -q -D /run/log/journal -o json 2>/dev/null >${out} && grep -q fourth ${out}; do sleep 0.1; done
		kill $pid
		wait $pid
	`)
	t.teardown(() => daemon.stop())
	await until('journald stored the record', () => written(out).includes('second'), 10_000)
	await pog.out("echo '<28>fourth: later' >/dev/kmsg")
	await daemon.ended(10_000)
	const entries = written(out)
		.split('\n')
		.filter(line => line !== '')
		.map(line => JSON.parse(line) as Record<string, string>)
	const ours = entries.filter(entry => /hello|bad|later/.test(entry['MESSAGE'] ?? ''))
	t.deepEqual(
		ours.map(entry => [entry['SYSLOG_IDENTIFIER'], entry['PRIORITY'], entry['SYSLOG_FACILITY'], entry['_TRANSPORT']]),
		[
			['first', '6', '3', 'kernel'],
			['second', '3', '1', 'kernel'],
			['fourth', '4', '3', 'kernel'],
		],
	)
})

needs('python3')('an edge-triggered reader as in Go sees each record at once', async t => {
	const pog = await fresh()
	const follower = pog.start(`exec ${PYTHON} ${fixtureProgram('edge-follow.py')} /dev/kmsg`)
	t.teardown(() => follower.stop())
	await follower.printed('it waits', out => out.endsWith('ready\n'))
	for (let n = 0; n < 20; n++) {
		await output('sh', ['-c', `echo '<14>edge ${n}' > ${pog.paths.devKmsg}`])
		await follower.printed(`record ${n}`, out => out.endsWith(`edge ${n}\n`), 2_000)
	}
	t.is(follower.stdout().split('\n').length, 3 + 1 + 20 + 1)
	t.is((await follower.stop()).signal, 'SIGTERM')
})

needs('logger')('logger of util-linux: tag, pid, facility, severity', async t => {
	const pog = await fresh(false)
	await pog.out("logger -p auth.warning -t sshd -i 'util one'; logger 'util two'; logger --rfc5424 -t app 'util three'")
	const one = await found(pog, 'util one')
	t.like(one, { facility: 4, severity: 4, tag: 'sshd', text: 'util one', uid: 0, origin: 'devlog' })
	t.true(one.pid === 0 || one.pid === Number(one.procid), 'a sender that is gone has no trusted pid')
	t.like(await found(pog, 'util two'), { facility: 1, severity: 5, tag: 'root', text: 'util two' })
	t.like(await found(pog, 'util three'), { facility: 1, severity: 5, tag: 'app', text: 'util three' })
	const now = Date.now() * 1_000
	t.true(Math.abs(one.realtimeUs - now) < 60e6)
})

needs('logger')('a forged pid is kept as a claim, the trusted pid is that of the sender', async t => {
	const pog = await fresh(false)
	// Root's logger --id=1 forges the credentials of the datagram as well: the kernel lets CAP_SYS_ADMIN do that. Others cannot.
	const logger = pog.start(
		'exec setpriv --bounding-set -all --inh-caps -all --reuid 65534 --clear-groups logger --id=1 -t liar',
	)
	t.teardown(() => logger.stop())
	logger.type('forged\n') // with its input open it stays, so that its pid can be looked up
	const record = await found(pog, 'forged')
	t.like(record, { tag: 'liar', procid: '1', uid: 65534, pid: logger.pid })
})

needs('perl', 'unshare')('the trusted pid is the one inside the container', async t => {
	const pog = await fresh(false)
	// It stays until it is stopped: of a process that is gone, nobody knows the namespace.
	const sender = pog.start(`exec unshare -p -f --kill-child perl -e '
		use Socket;
		socket(my $log, PF_UNIX, SOCK_DGRAM, 0);
		connect($log, pack_sockaddr_un("/dev/log")) or die $!;
		send($log, "<14>inner[$$]: numbered", 0);
		sleep 20'`)
	t.teardown(() => sender.stop())
	const record = await found(pog, 'numbered')
	t.is(record.procid, '1')
	t.is(record.pid, 1)
	await sender.stop('SIGKILL')
})

needs(BUSYBOX)('logger of busybox', async t => {
	const pog = await fresh(false)
	await pog.out(`${BUSYBOX} logger -p mail.err -t boxed 'busy one'`)
	t.like(await found(pog, 'busy one'), { facility: 2, severity: 3, tag: 'boxed', text: 'busy one' })
})

needs('python3')('SysLogHandler of Python, with and without its NUL', async t => {
	const pog = await fresh(false)
	const program = `
import logging, logging.handlers, syslog
h = logging.handlers.SysLogHandler(address='/dev/log', facility='daemon')
l = logging.getLogger('x'); l.addHandler(h)
l.error('python one')
h.append_nul = False
h.ident = 'app[7]: '
l.critical('python two')
syslog.openlog('pysys', syslog.LOG_PID, syslog.LOG_CRON)
syslog.syslog(syslog.LOG_DEBUG, 'python three')
`
	await pog.out(`exec ${PYTHON} -`, { input: program })
	t.like(await found(pog, 'python one'), { facility: 3, severity: 3, text: 'python one' })
	t.like(await found(pog, 'python two'), { facility: 3, severity: 2, tag: 'app', procid: '7', text: 'python two' })
	t.like(await found(pog, 'python three'), { facility: 9, severity: 7, tag: 'pysys', text: 'python three' })
})

needs('gcc', '/usr/include/syslog.h')('syslog(3) of the C library; facility kern becomes user', async t => {
	const pog = await fresh(false)
	const program = scratch('syslog3')
	await output('gcc', ['-O', '-o', program, fixtureProgram('syslog3.c')], { timeoutMs: 30_000 })
	const caller = pog.start(`exec ${program} ctest 10 2 'c one'`)
	t.teardown(() => caller.stop())
	await caller.printed('its pid', out => out.endsWith('\n'))
	const pid = Number(caller.stdout())
	t.like(await found(pog, 'c one'), {
		facility: 10,
		severity: 2,
		tag: 'ctest',
		procid: String(pid),
		pid,
		text: 'c one',
	})
	await pog.out(`exec ${program} ctest 0 6 'c two'`)
	t.like(await found(pog, 'c two'), { facility: 1, severity: 6 })
	const long = 'z'.repeat(4_000)
	await pog.out(`exec ${program} ctest 1 6 ${long}`)
	t.regex((await found(pog, 'zzz')).text, /^z{1000,}/)
})

needs('perl')('one socket takes many senders at once and loses nothing', async t => {
	const pog = await fresh(false)
	const each = 500
	const batch = (sender: number): string[] =>
		Array.from({ length: each }, (_, n) => `<14>sender${sender}: n=${n} of it`)
	await Promise.all([1, 2, 3, 4].map(sender => pog.send(...batch(sender))))
	await until('all records are there', async () => (await pog.info()).accepted.devlog === 4 * each)
	const texts = (await pog.records()).map(record => `${record.tag} ${record.text}`)
	for (const sender of [1, 2, 3, 4]) {
		const own = texts.filter(text => text.startsWith(`sender${sender} `))
		t.is(own.length, each)
		t.true(
			own.every((text, n) => text === `sender${sender} n=${n} of it`),
			`sender ${sender}: in order`,
		)
	}
})

test.serial('what the suites could not run is said', t => {
	const wanted = ['rsyslogd', 'journalctl', 'dmesg', 'logger', 'gcc', 'logrotate', 'less', 'python3', BUSYBOX]
	const missing = wanted.filter(name => !find(name))
	t.log(missing.length === 0 ? 'every client is here' : `not here: ${missing.join(', ')}`)
	t.pass()
})
