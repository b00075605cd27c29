/**
 * Who may reach what of the service: its directory, its API, a container's controls. Modes are looked at, and then tried: as another
 * user of the machine, as root of a user namespace, and as root of a container that the run directory was bound into.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { needs, output, run } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service
let pog: Pog

test.before(async () => {
	service = await startService()
	pog = await service.create('box', { conf: '*.* /var/log/messages\n' })
})
test.after.always(() => service?.stop())

const NOBODY = '65534'
/** Asks the API at `$1` for its POGs by HTTP; prints the status, or the error of the connection. */
const ASK = `require('node:http').get({ socketPath: process.argv[1] + '/api.sock', path: '/v1/pogs' }, r => {
	console.log(r.statusCode); r.on('data', piece => process.stdout.write(piece)) }).on('error', e => console.log(e.code))`
const ask = (runDir: string): string[] => [process.execPath, '-e', ASK, runDir]
const groupOfPogs = /^pogs:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'latin1'))?.[1]

test.serial('the run directory and all in it are for root, and for the group pogs where there is one', t => {
	const looked: string[] = []
	const look = (path: string): void => {
		const { mode, uid, gid } = lstatSync(path)
		looked.push(path)
		t.is(uid, process.getuid?.() ?? 0, path)
		t.is(mode & 0o007, 0, path)
		if ((mode & 0o070) !== 0) t.is(String(gid), String(groupOfPogs), path)
	}
	// What is below is mounted, and reached through here only.
	for (const name of ['', 'pogs', ...readdirSync(service.runDir)]) look(join(service.runDir, name))
	look(join(service.runDir, 'pogs/box/store'))
	t.true(looked.length > 4)
	t.is(lstatSync(service.runDir).mode & 0o777, groupOfPogs === undefined ? 0o700 : 0o710)
	t.is(lstatSync(join(service.runDir, 'api.sock')).mode & 0o777, groupOfPogs === undefined ? 0o600 : 0o660)
	t.is(lstatSync(join(service.runDir, 'pogs')).mode & 0o077, 0)
})

needs('setpriv')('another user reaches neither the API nor a log', async t => {
	const as = (...command: string[]): [string, string[]] => [
		'setpriv',
		['--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', ...command],
	]
	t.is(await output('chmod', ['755', service.directory]), '')
	t.is((await run(...as(...ask(service.runDir)))).stdout, 'EACCES\n')
	for (const path of [pog.paths.devKmsg, pog.paths.varLog, pog.paths.devLog, join(service.runDir, 'host/ctl')]) {
		t.regex((await run(...as('ls', path))).stderr, /Permission denied/, path)
	}
	// Root of a user namespace is that user still.
	const inside = await run(...as('unshare', '-Ur', ...ask(service.runDir)))
	t.regex(inside.stdout + inside.stderr, /EACCES|Operation not permitted|No space left/)
})

test.serial('root of a container that the run directory was bound into is refused by the API', async t => {
	t.regex(await output(ask(service.runDir)[0] ?? '', ask(service.runDir).slice(1)), /^200\n/)
	const inside = await run('unshare', ['-m', '-p', '-f', '--mount-proc', ...ask(service.runDir)])
	t.regex(inside.stdout, /^403\n.*A container may not use the API/)
})

needs('setpriv')('in a container its root alone gives commands and reads what is consumed', async t => {
	const user = `setpriv --reuid 1000 --regid 1000 --clear-groups`
	for (const script of [
		`${user} sh -c 'echo clear > /run/pog/ctl'`,
		`${user} cat /proc/kmsg`,
		`${user} sh -c 'echo x > /dev/kmsg'`,
		`${user} sh -c 'echo x >> /etc/syslog.conf'`,
		`${user} sh -c 'echo x > /var/log/new'`,
	]) {
		const { code, stderr } = await pog.sh(`exec ${script}`)
		t.not(code, 0, script)
		t.regex(stderr, /[Pp]ermission denied/, script)
	}
	// What anybody may do on any system: log, and read what is readable.
	await pog.out(`${user} logger -t user hello`)
	t.regex(await pog.out('cat /var/log/messages'), /user: hello\n$/)
	t.is((await pog.sh(`exec ${user} timeout 1 cat /dev/kmsg`)).stderr, '')
})

test.serial('what a container wrote is not followed by the host: links in its log lead nowhere', async t => {
	const secret = join(service.directory, 'secret')
	await output('sh', ['-c', `echo canaryofhost > "$1"; chmod 600 "$1"`, 'sh', secret])
	await pog.out(
		`ln -s ${secret} /var/log/link; ln -s ${service.directory} /var/log/dir; ln -s ${secret} /run/pog/x.conf
		printf 'include /var/log/link\\ninclude /run/pog/*.conf\\ninclude /var/log/dir/secret\\n*.* /var/log/dir/out\\n*.* /var/log/link\\n' > /etc/syslog.conf
		logger -t app line; chmod 666 /var/log/link; mv /var/log/link /var/log/moved; mv /var/log/moved /run/pog/syslog.conf; true`,
	)
	t.is(await output('cat', [secret]), 'canaryofhost\n')
	t.is(lstatSync(secret).mode & 0o777, 0o600)
	t.false(readdirSync(service.directory).includes('out'))
	t.notRegex(JSON.stringify(await pog.info()), /canaryofhost/)
	t.notRegex(await pog.out('cat /etc/syslog.conf /run/pog/status /run/pog/log'), /canaryofhost/)
})
