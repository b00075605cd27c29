/**
 * pogctl as a child process against a double: what it prints, to the byte, and how it exits.
 */
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { start } from './harness.ts'
import { fill, launch, pogctl } from './launch.ts'

const MAN_PAGE = new URL('../../docs/man/pogctl.1', import.meta.url)

const REACH =
	/^pogctl: Cannot reach pogshim at .*\/api.sock: is it running\? Start it with "pogshim" or name another with --run-dir\n$/

test('ls and show print tables, and JSON for machines', async t => {
	const running = await start(t)
	fill(running)
	const [ls, lsJson, show, service, serviceJson] = await Promise.all([
		pogctl(running, 'ls'),
		pogctl(running, '--json ls'),
		pogctl(running, 'show web'),
		pogctl(running, 'show'),
		pogctl(running, 'show --json'),
	])
	t.deepEqual(ls, {
		code: 0,
		stderr: '',
		stdout: `POG  NAME      CONTAINER     STATUS       RING  RECORDS  DROPS  CONF
  0  host      -             host       0/256k        0      0  default
  1  web       0123456789ab  running  1.5k/64k        2     10  own (1 error)
  2  database  -             created    0/256k        0      0  default
`,
	})
	t.like((JSON.parse(lsJson.stdout) as unknown[])[1], { name: 'web', containerId: '0123456789abcdef' })
	t.is(
		show.stdout,
		`Name           web
POG id         1
Status         running
Container      0123456789abcdef
Created        2025-11-21T22:00:00.000Z
Ring           1.5k of 64k used, 2 records kept of 12
Accepted       kmsg 0, devlog 12, file 0, kernel 0, pogs 0, control 0
Configuration  own, 1 rule, 1 error
  syslog.conf:2:6: error: Unknown severity "wrn", expected one of emerg, alert, crit
Drops
  REASON       COUNT  MEANING
  overwritten     10  older records made room for newer ones in the ring
  truncated        0  records cut at the longest length a record may have
  ratelimited      0  writes beyond the rate limit
  refused          0  writes that the interface refuses (too long, device off)
  oversized        0  datagrams longer than the intake accepts
  unrouted         0  records that no rule of the configuration sends to a file
  lost             0  records of a ring that could not be read back whole
Views
  FILE                    SIZE  RECORDS
  /var/log/^[[2Jmessages    1k        2
Bind
  /var/log          /run/pogs/pogs/web/mnt/var/log
  /proc/kmsg        /run/pogs/pogs/web/mnt/proc/kmsg
  /dev/kmsg         /run/pogs/pogs/web/mnt/dev/kmsg
  /dev/log          /run/pogs/pogs/web/store/dev/log
  /etc/syslog.conf  /run/pogs/pogs/web/mnt/etc/syslog.conf
  /run/pog          /run/pogs/pogs/web/mnt/run/pog
`,
	)
	t.is(
		service.stdout,
		`Version        0.1.0
Run directory  /run/pogs
Engine         pid 4242, since 2025-11-21T22:00:00.000Z
Restarts       1
Uptime         61 s
POGs           2
Features
  fuse         7.45
  passthrough  true
`,
	)
	t.like(JSON.parse(serviceJson.stdout), { version: '0.1.0', restarts: 1, engine: { pid: 4242 } })
})

test('show says which calls were denied, and nothing where none was', async t => {
	const running = await start(t)
	fill(running)
	const before = await pogctl(running, 'show web')
	t.notRegex(before.stdout, /^Denied/m)
	Object.assign(running.double.pogs.get('web')?.denied ?? {}, { files: 3, views: 1 })
	const { stdout } = await pogctl(running, 'show web')
	t.regex(stdout, /^Denied\n {2}REASON +COUNT +MEANING\n {2}files +3 +opens beyond .*\n {2}views +1 +.*\nViews$/m)
})

test('create, rm, clear, resize and write do what they say', async t => {
	const running = await start(t)
	const made = await pogctl(running, 'create db --ring 1m --container c1 --conf - --owner 1000', '*.* /x\n')
	t.is(
		made.stdout,
		`Created db: POG 2, ring 1m. Bind into its container:
  /var/log          /run/pogs/pogs/db/mnt/var/log
  /proc/kmsg        /run/pogs/pogs/db/mnt/proc/kmsg
  /dev/kmsg         /run/pogs/pogs/db/mnt/dev/kmsg
  /dev/log          /run/pogs/pogs/db/store/dev/log
  /etc/syslog.conf  /run/pogs/pogs/db/mnt/etc/syslog.conf
  /run/pog          /run/pogs/pogs/db/mnt/run/pog
`,
	)
	t.is(running.double.confs.get('db'), '*.* /x\n')
	t.like(running.double.pogs.get('db'), { containerId: 'c1', ring: { sizeBytes: 1_048_576 } })
	const [resized, cleared, written, lines, again, removed] = [
		await pogctl(running, 'resize db 64MiB'),
		await pogctl(running, 'clear db'),
		await pogctl(running, 'write db -p local0.err -t disk it is full'),
		await pogctl(running, 'write db --json', 'one\n\ntwo'),
		await pogctl(running, 'create db --json'),
		await pogctl(running, 'rm db none web'),
	]
	t.deepEqual(resized, { code: 0, stdout: 'db: ring 64m\n', stderr: '' })
	t.deepEqual(cleared, { code: 0, stdout: '', stderr: '' })
	t.deepEqual(written, { code: 0, stdout: '', stderr: '' })
	t.like(running.double.stored[0], { facility: 16, severity: 3, tag: 'disk', text: 'it is full' })
	t.is(lines.stdout, '{"seq":1}\n{"seq":2}\n{"seq":3}\n')
	t.deepEqual(
		running.double.stored.slice(1).map(record => record.text),
		['one', '', 'two'],
	)
	t.like(running.double.stored[1], { facility: 1, severity: 5, tag: 'pogctl' })
	t.deepEqual(again, {
		code: 1,
		stdout: '',
		stderr: '{"error":{"message":"Cannot create \\"db\\": there is one already","status":409}}\n',
	})
	t.deepEqual(removed, { code: 1, stdout: 'db\nweb\n', stderr: 'pogctl: There is no POG "none"\n' })
})

test('conf get, set, reset and check work on files and pipes', async t => {
	const running = await start(t)
	const file = join(running.runDir, 'bad.conf')
	await writeFile(file, '# one\nmail.wrn /var/log/mail\n*.info /var/log/messages\n')
	const [get, check, checkJson, missing] = await Promise.all([
		pogctl(running, 'conf get web'),
		pogctl({ runDir: '/nonexistent' }, `conf check ${file} --verbose`),
		pogctl({ runDir: '/nonexistent' }, 'conf check - --json', '*.info /var/log/messages\n'),
		pogctl(running, 'conf check /nonexistent'),
	])
	t.deepEqual(get, { code: 0, stdout: '*.* /var/log/messages\n', stderr: '' })
	t.is(check.code, 1)
	t.true(check.stdout.startsWith(`${file}:2:6: error: Unknown severity "wrn"`), check.stdout)
	t.regex(check.stdout, /\*: info and above\n$/)
	t.is(checkJson.code, 0)
	t.deepEqual(JSON.parse(checkJson.stdout), { file: 'stdin', usable: true, rules: 1, diagnostics: [] })
	t.is(missing.code, 1)
	t.regex(missing.stderr, /^pogctl: Cannot read "\/nonexistent": ENOENT/)

	const set = await pogctl(running, `conf set web ${file}`)
	t.deepEqual(set, {
		code: 1,
		stdout: `web: ${file} is in force, with 1 error\n`,
		stderr: 'syslog.conf:2:6: error: Unknown severity "wrn", expected one of emerg, alert, crit\n',
	})
	t.is((await pogctl(running, 'conf set web -', 'user.* /x\n')).stdout, 'web: stdin is in force\n')
	t.is(running.double.confs.get('web'), 'user.* /x\n')
	t.is((await pogctl(running, 'conf set web - --json', 'a\0')).code, 1)
	t.is((await pogctl(running, 'conf reset web')).code, 0)
	t.false(running.double.confs.has('web'))
})

test('conf edit runs the editor, checks, and never loses the text', async t => {
	const running = await start(t)
	const editor = join(running.runDir, 'editor')
	await writeFile(editor, '#!/bin/sh\nprintf "%s" "$TEXT" >> "$1"\n')
	await chmod(editor, 0o755)
	const edit = (TEXT: string, EDITOR = editor) =>
		pogctl(running, 'conf edit web', '', { EDITOR, TEXT, TMPDIR: running.runDir })
	t.deepEqual(await edit(''), { code: 0, stdout: 'web: not changed\n', stderr: '' })
	t.deepEqual(await edit('mail.* /var/log/mail\n'), {
		code: 0,
		stdout: 'web: the edited text is in force\n',
		stderr: '',
	})
	t.is(running.double.confs.get('web'), '*.* /var/log/messages\nmail.* /var/log/mail\n')
	const bad = await edit('mail.wrn /var/log/mail\n')
	t.is(bad.code, 1)
	const kept = /the edited text is in (.*)\n/.exec(bad.stderr)?.[1] ?? ''
	t.regex(await readFile(kept, 'utf8'), /mail\.wrn/)
	t.is(running.double.confs.get('web'), '*.* /var/log/messages\nmail.* /var/log/mail\n')
	const failed = await edit('', 'false')
	t.deepEqual([failed.code, failed.stderr], [1, 'pogctl: The editor "false" ended with code 1: nothing set\n'])
})

test('wrong usage exits 2, no service exits 3, in JSON too', async t => {
	const nowhere = { runDir: '/nonexistent' }
	const [unreachable, json, size, sizeJson, unknown, nothing, version] = await Promise.all([
		pogctl(nowhere, 'ls'),
		pogctl(nowhere, 'ls --json'),
		pogctl(nowhere, 'resize web 12q'),
		pogctl(nowhere, 'resize web 12q --json'),
		pogctl(nowhere, 'lss'),
		launch('/nonexistent', []).ended,
		pogctl(nowhere, '--version'),
	])
	t.is(unreachable.code, 3)
	t.regex(unreachable.stderr, REACH)
	t.is(json.code, 3)
	t.regex((JSON.parse(json.stderr) as { error: { message: string } }).error.message, /^Cannot reach pogshim/)
	t.is(size.code, 2)
	t.regex(size.stderr, /Expected bytes such as 65536, 64k, 1m or 64MiB, from 64k to 64m/)
	t.is(sizeJson.code, 2)
	t.regex((JSON.parse(sizeJson.stderr) as { error: { message: string } }).error.message, /from 64k to 64m/)
	t.is(unknown.code, 2)
	t.regex(unknown.stderr, /unknown command 'lss'\n\(Did you mean ls\?\)/)
	t.is(nothing.code, 2)
	const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
		version: string
	}
	t.deepEqual(version, { code: 0, stdout: `${manifest.version}\n`, stderr: '' })
})

test('the man page names every command and option of --help, and no other', async t => {
	const page = (await readFile(MAN_PAGE, 'utf8')).replaceAll('\\-', '-')
	const help = async (words: string): Promise<string> =>
		(await pogctl({ runDir: '/x' }, `${words} --help`.trim())).stdout
	const commandsOf = (text: string): string[] => {
		const list = /Commands:\n(.*?)(?:\n\n|$)/s.exec(text)?.[1] ?? ''
		return [...list.matchAll(/^ {2}(\w+)/gm)].map(match => match[1] ?? '').filter(name => name !== 'help')
	}
	const top = commandsOf(await help(''))
	const groups = commandsOf(await help('conf')).map(name => `conf ${name}`)
	const leaves = [...top.filter(name => name !== 'conf'), ...groups]
	t.deepEqual([...page.matchAll(/^\.SS ([a-z ]+)$/gm)].map(match => match[1] ?? '').toSorted(), leaves.toSorted())
	const sections = new Map(
		page
			.split(/^\.SS /m)
			.slice(1)
			.map(part => [part.slice(0, part.indexOf('\n')), part]),
	)
	const helps = await Promise.all(leaves.map(async name => [name, await help(name)] as const))
	for (const [name, text] of helps) {
		t.regex(text, /Examples:\n {2}\$ /, name)
		const listed = (/Options:\n(.*?)\n\n/s.exec(text)?.[1] ?? '').matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)
		const own = [...listed]
			.map(match => match[1] ?? '')
			.filter(option => !['--run-dir', '--json', '--help'].includes(option))
		const told = [...(sections.get(name) ?? '').matchAll(/^\.TP\n\.B[IR]? .*?(--[a-z-]+)/gm)].map(
			match => match[1] ?? '',
		)
		t.deepEqual(told.toSorted(), own.toSorted(), name)
	}
})
