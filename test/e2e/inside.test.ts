/**
 * pogctl inside a container: the script that the mount serves, with the sh of the image and nothing else, does the five operations.
 *
 * Run in a root file system that has busybox alone, and by dash on the machine's own; the effects are read by other programs.
 */
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { CACHE, find, needs, output, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service
let root = ''

test.before(async () => {
	service = await startService()
	if (!find(BUSYBOX)) return
	root = join(service.directory, 'rootfs')
	mkdirSync(join(root, 'bin'), { recursive: true })
	copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
	for (const applet of (await output(BUSYBOX, ['--list'])).split('\n')) {
		if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet))
	}
})
test.after.always(() => service?.stop())

const BUSYBOX = join(CACHE, 'bin/busybox')
const CONF = '*.*;syslog.none /var/log/messages\nauth.* /var/log/auth.log\n'
let count = 0

const SHELLS = [
	{
		name: 'busybox sh in a root file system of its own',
		needs: BUSYBOX,
		options: () => ({ root }),
	},
	{ name: 'dash on the machine own', needs: 'dash', options: () => ({}) },
] as const

for (const shell of SHELLS) {
	const inside = needs(shell.needs, 'chroot')
	const fresh = (): Promise<Pog> => service.create(`inside-${++count}`, { conf: CONF, hostname: 'box' })
	const out = (pog: Pog, script: string, input = ''): Promise<string> => pog.out(script, { ...shell.options(), input })

	inside(`${shell.name}: write and read`, async t => {
		const pog = await fresh()
		await out(pog, "/run/pog/pogctl write 'plain text'; /run/pog/pogctl write -p auth.err 'with  blanks and * \\ %s'")
		await out(pog, '/run/pog/pogctl write -p 30', 'line one\nline two')
		const shown = (await out(pog, '/run/pog/pogctl read')).trim().split('\n')
		t.is(shown.length, 4)
		t.regex(shown[0] ?? '', /plain text$/)
		t.true(shown[1]?.endsWith('with  blanks and * \\ %s'))
		t.regex(shown[3] ?? '', /line two$/)
		t.deepEqual(
			(await pog.records()).map(record => [record.facility, record.severity]),
			[
				[1, 5],
				[4, 3],
				[3, 6],
				[3, 6],
			],
		)
		t.regex(await out(pog, 'cat /var/log/auth.log'), /with {2}blanks and \* \\ %s\n$/)
	})

	inside(`${shell.name}: read -f follows`, async t => {
		const pog = await fresh()
		await out(pog, '/run/pog/pogctl write first')
		const follower = pog.start('exec /run/pog/pogctl read -f', shell.options())
		t.teardown(() => follower.stop())
		await follower.printed('what was there', text => text.includes('first'))
		await pog.send('<14>app: second')
		await follower.printed('what comes', text => text.includes('second'), 5_000)
		await follower.stop()
		t.is(follower.stdout().split('\n').length, 3)
	})

	inside(`${shell.name}: clear empties this log and no other`, async t => {
		const [pog, other] = [await fresh(), await fresh()]
		await out(pog, '/run/pog/pogctl write secret')
		await other.send('<14>app: kept')
		await until('the other has its record', async () => (await other.info()).accepted.devlog === 1)
		await out(pog, '/run/pog/pogctl clear')
		t.is(await out(pog, 'cat /var/log/messages; /run/pog/pogctl read'), '')
		t.regex(await other.out('cat /var/log/messages'), /kept\n$/)
		await out(pog, '/run/pog/pogctl write after')
		t.regex(await out(pog, '/run/pog/pogctl read'), /^[^\n]*after\n$/)
	})

	inside(`${shell.name}: conf get, set, check, reset`, async t => {
		const pog = await fresh()
		t.is(await out(pog, '/run/pog/pogctl conf get'), CONF)
		await out(pog, '/run/pog/pogctl conf set -', 'mail.* /var/log/mail\n')
		t.is(await out(pog, 'cat /etc/syslog.conf'), 'mail.* /var/log/mail\n')
		await pog.send('<22>mta: sent')
		await until('it is routed', async () => (await pog.out('cat /var/log/mail')).includes('sent'))
		t.is((await pog.sh('/run/pog/pogctl conf check', shell.options())).code, 0)
		const bad = await pog.sh('/run/pog/pogctl conf set -', { ...shell.options(), input: 'mail.bogus /var/log/x\n' })
		t.is(bad.code, 1)
		t.regex(bad.stderr, /:1:6: error: .*bogus/)
		t.is((await pog.sh('/run/pog/pogctl conf check', shell.options())).code, 1)
		await out(pog, '/run/pog/pogctl conf reset')
		t.is((await pog.info()).conf.state, 'default')
	})

	inside(`${shell.name}: resize keeps the newest records`, async t => {
		const pog = await fresh()
		await pog.send(...Array.from({ length: 900 }, (_, n) => `<14>app: n=${n} ${'x'.repeat(200)}`))
		await until('all are accepted', async () => (await pog.info()).accepted.devlog === 900)
		const shown = async (): Promise<string[]> => (await out(pog, '/run/pog/pogctl read')).trim().split('\n')
		t.is((await shown()).length, 900)
		await out(pog, '/run/pog/pogctl resize 64k')
		const kept = await shown()
		t.is((await pog.info()).ring.sizeBytes, 64 * 1024)
		t.true(kept.length > 100 && kept.length < 400, `${kept.length} kept`)
		t.regex(kept.at(-1) ?? '', /n=899 /)
		await out(pog, '/run/pog/pogctl resize 1m')
		t.is((await pog.info()).ring.sizeBytes, 1 << 20)
		t.deepEqual((await shown()).slice(-kept.length + 1), kept.slice(1))
		const refused = await pog.sh('/run/pog/pogctl resize huge', shell.options())
		t.is(refused.code, 1)
		t.regex(refused.stderr, /huge/)
	})

	inside(`${shell.name}: status, stats, help and wrong usage`, async t => {
		const pog = await fresh()
		t.regex(await out(pog, '/run/pog/pogctl stats'), /overwritten/)
		t.not(await out(pog, '/run/pog/pogctl status'), '')
		t.regex(await out(pog, '/run/pog/pogctl --help'), /Usage: pogctl/)
		for (const wrong of ['', 'bogus', 'resize', 'conf', 'conf bogus', 'write -p bogus.x text', 'write -p 999 text']) {
			t.is((await pog.sh(`/run/pog/pogctl ${wrong}`, shell.options())).code, 2, wrong)
		}
	})

	inside(`${shell.name}: ctl takes one command per write and answers on the same descriptor`, async t => {
		const pog = await fresh()
		const script = `exec 3<>/run/pog/ctl
			echo 'write <13>by ctl' >&3; read -r answer <&3; echo "$answer"
			echo 'bogus' >&3; echo "status $?"; read -r answer <&3; echo "$answer"
			echo 'clear' >&3; read -r answer <&3; echo "$answer"`
		const answers = (await out(pog, script)).trim().split('\n')
		t.regex(answers[0] ?? '', /^ok/)
		t.is(answers[1], 'status 1')
		t.regex(answers[2] ?? '', /^error .*bogus/)
		t.regex(answers[3] ?? '', /^ok/)
		t.true((await pog.records()).some(record => record.text.includes('by ctl')))
	})
}

needs(BUSYBOX)('busybox tail, grep, wc, vi-style rename and logger work on the mount', async t => {
	const pog = await service.create('busybox', { conf: CONF, hostname: 'box' })
	const script = `
		logger -t app 'from busybox'
		grep -c busybox /var/log/messages; wc -l < /var/log/messages; tail -n 1 /var/log/messages | grep -o 'from busybox'
		sed -i 's/auth/mail/' /run/pog/syslog.conf; cat /etc/syslog.conf
		mv /var/log/messages /var/log/messages.0; logger -t app next; cat /var/log/messages | wc -l
	`
	t.is(await pog.out(script, { root }), `1\n1\nfrom busybox\n${CONF.replace('auth', 'mail')}1\n`)
	writeFileSync(join(service.directory, 'note'), '')
})
