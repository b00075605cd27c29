/**
 * A view, a file of /var/log that shows records of the ring, behaves as a regular file: each claim by the real program.
 *
 * Source of truth: what these programs do on a file of ext4 or tmpfs. The messages are written by logger(1) or by the API's
 * side of /dev/log; the lines around them have the form of RFC 3164, `Mmm dd hh:mm:ss HOST TAG: text`.
 */
import { writeFileSync } from 'node:fs'
import test from 'ava'
import { find, needs, output, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

const CONF = '*.*;syslog.none /var/log/messages\nauth,authpriv.* /var/log/auth.log\n'
let count = 0

async function fresh(messages = 5): Promise<Pog> {
	const pog = await service.create(`view-${++count}`, { conf: CONF, hostname: 'box' })
	await say(pog, ...Array.from({ length: messages }, (_, n) => `message ${n + 1}`))
	return pog
}

/** Sends messages and waits until they are accepted. */
async function say(pog: Pog, ...texts: string[]): Promise<void> {
	const before = (await pog.info()).accepted.devlog
	await pog.send(...texts.map(text => `<14>app: ${text}`))
	await until('the messages are accepted', async () => (await pog.info()).accepted.devlog === before + texts.length)
}

/** Only the messages' own words. */
function texts(lines: string): string[] {
	return lines
		.split('\n')
		.filter(line => line !== '')
		.map(line => line.replace(/^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d box app: /, ''))
}

const FIVE = [1, 2, 3, 4, 5].map(n => `message ${n}`)
const FILE = '/var/log/messages'

test.serial('cat shows the lines in the form of RFC 3164, also through dd, sed, od and python', async t => {
	const pog = await fresh()
	const shown = await pog.out(`cat ${FILE}`)
	t.regex(shown, /^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d box app: message \d\n){5}$/)
	t.deepEqual(texts(shown), FIVE)
	t.is(await pog.out(`dd if=${FILE} bs=7 2>/dev/null`), shown)
	t.is(await pog.out(`sed -n p ${FILE}`), shown)
	t.is(await pog.out(`od -An -c ${FILE} | wc -l`), await output('sh', ['-c', 'od -An -c | wc -l'], { input: shown }))
	t.is(await pog.out(`sort -r ${FILE} | head -n 1`), shown.split('\n').slice(-2).join('\n'))
})

test.serial('only what a rule selects is in its file', async t => {
	const pog = await fresh(0)
	await pog.send('<38>login: in', '<14>app: not')
	await until('both are accepted', async () => (await pog.info()).accepted.devlog === 2)
	t.regex(await pog.out('cat /var/log/auth.log'), /^[^\n]* box login: in\n$/)
	t.is((await pog.out(`cat ${FILE}`)).split('\n').length, 3)
	t.deepEqual((await pog.out('ls /var/log')).trim().split('\n').sort(), ['auth.log', 'messages'])
})

test.serial('wc -c, stat and ls agree with what cat reads', async t => {
	const pog = await fresh()
	const size = (await pog.out(`cat ${FILE}`)).length
	t.is(Number(await pog.out(`wc -c < ${FILE}`)), size)
	t.is(Number((await pog.out(`wc -c ${FILE}`)).split(' ')[0]), size)
	t.is(Number(await pog.out(`stat -c %s ${FILE}`)), size)
	t.is(Number(await pog.out(`wc -l < ${FILE}`)), 5)
	t.regex(await pog.out(`ls -l ${FILE}`), new RegExp(`^-rw-r----- +1 root +\\w+ +${size} `))
})

test.serial('the inode number stays, times move, find finds', async t => {
	const pog = await fresh(1)
	const before = await pog.out(`stat -c '%i %Y' ${FILE}`)
	await say(pog, 'next')
	const after = await pog.out(`stat -c '%i %Y' ${FILE}`)
	t.is(after.split(' ')[0], before.split(' ')[0])
	t.true(Math.abs(Number(after.split(' ')[1]) - Date.now() / 1_000) < 60)
	t.is(await pog.out('find /var/log -name messages -size -2 -type f'), `${FILE}\n`)
})

test.serial('head, tail -n and tail -c cut at the right places', async t => {
	const pog = await fresh()
	const shown = await pog.out(`cat ${FILE}`)
	t.deepEqual(texts(await pog.out(`head -n 2 ${FILE}`)), FIVE.slice(0, 2))
	t.deepEqual(texts(await pog.out(`tail -n 2 ${FILE}`)), FIVE.slice(3))
	t.is(await pog.out(`tail -c 10 ${FILE}`), shown.slice(-10))
	t.is(await pog.out(`tail -c +11 ${FILE}`), shown.slice(10))
	t.is(await pog.out(`head -c 10 ${FILE}`), shown.slice(0, 10))
})

test.serial('grep counts, prints and searches the directory', async t => {
	const pog = await fresh()
	t.is(await pog.out(`grep -c message ${FILE}`), '5\n')
	t.regex(await pog.out(`grep -n 'message 3' ${FILE}`), /^3:.*message 3\n$/)
	t.is(await pog.out('grep -rl "message 4" /var/log'), `${FILE}\n`)
})

for (const [how, option] of [
	['by descriptor', '-f'],
	['by name', '-F'],
] as const) {
	test.serial(`tail ${option} shows each line as it comes (${how})`, async t => {
		const pog = await fresh(2)
		const tail = pog.start(`exec tail ${option} -s 0.2 -n 1 ${FILE}`)
		t.teardown(() => tail.stop())
		await tail.printed('the last line', out => out.includes('message 2'))
		for (const n of [1, 2, 3]) {
			await say(pog, `later ${n}`)
			await tail.printed(`later ${n}`, out => out.includes(`later ${n}\n`), 4_000)
		}
		t.deepEqual(texts((await tail.stop()).stdout), ['message 2', 'later 1', 'later 2', 'later 3'])
		t.is(tail.stderr(), '')
	})
}

test.serial('tail -F goes on with the new file after mv and after rm', async t => {
	const pog = await fresh(1)
	// Where tail polls, it looks for a new file of the name at every fifth look.
	const tail = pog.start(`exec tail -F -s 0.2 -n 1 ${FILE}`)
	t.teardown(() => tail.stop())
	await tail.printed('the last line', out => out.includes('message 1'))
	await pog.out(`mv ${FILE} ${FILE}.1`)
	await say(pog, 'after mv')
	await tail.printed('after mv', out => out.includes('after mv\n'), 5_000)
	await pog.out(`rm ${FILE}`)
	await say(pog, 'after rm')
	await tail.printed('after rm', out => out.includes('after rm\n'), 5_000)
	t.deepEqual(texts((await tail.stop()).stdout), ['message 1', 'after mv', 'after rm'])
})

needs('less')('less prints a view, and pages it on a terminal', async t => {
	const pog = await fresh()
	t.deepEqual(texts(await pog.out(`less ${FILE} | cat`)), FIVE)
	if (!find('script')) return
	const pager = pog.start(`exec script -qec 'stty rows 20 cols 200; exec less +G ${FILE}' /dev/null`, {
		env: { TERM: 'vt100' },
	})
	t.teardown(() => pager.stop())
	await pager.printed('the last message', out => out.includes('message 5'))
	pager.type('q')
	t.is((await pager.ended(3_000)).code, 0)
})

needs('less')('less +F follows', async t => {
	const pog = await fresh(1)
	t.pass()
	if (!find('script')) return
	const pager = pog.start(`exec script -qec 'stty rows 20 cols 200; exec less +F ${FILE}' /dev/null`, {
		env: { TERM: 'vt100' },
	})
	t.teardown(() => pager.stop('SIGKILL'))
	await pager.printed('the first message', out => out.includes('message 1'))
	await say(pog, 'followed')
	await pager.printed('the line that came', out => out.includes('followed'), 5_000)
})

needs('tar')('tar packs a view whole, cp copies it', async t => {
	const pog = await fresh()
	const shown = await pog.out(`cat ${FILE}`)
	t.is(await pog.out('tar -C /var/log -cf - . 2>/dev/null | tar -xOf - ./messages'), shown)
	t.is(await pog.out(`cp ${FILE} /tmp/pogs-copy.$$ && cat /tmp/pogs-copy.$$; rm -f /tmp/pogs-copy.$$`), shown)
	t.is(await pog.out(`cp -a ${FILE} /run/copy && cat /run/copy`), shown)
	t.is(await pog.out(`cp ${FILE} /var/log/copy && cat /var/log/copy`), shown)
	t.is(await pog.out(`gzip -c ${FILE} | zcat`), shown)
})

test.serial('"> file" empties that view alone, and what comes next is in it', async t => {
	const pog = await fresh(2)
	await pog.send('<38>login: in')
	await until('it is accepted', async () => (await pog.info()).accepted.devlog === 3)
	await pog.out(`: > ${FILE}`)
	t.is(await pog.out(`cat ${FILE}; stat -c %s ${FILE}`), '0\n')
	t.regex(await pog.out('cat /var/log/auth.log'), /login: in\n$/)
	t.is((await pog.out('dmesg')).split('\n').length, 1 + (await countKmsg(pog)))
	await say(pog, 'after')
	t.deepEqual(texts(await pog.out(`cat ${FILE}`)), ['after'])
	await pog.out(`truncate -s 0 ${FILE}`)
	t.is(await pog.out(`cat ${FILE}`), '')
})

/** What /dev/kmsg has: emptying a view does not change it. */
async function countKmsg(pog: Pog): Promise<number> {
	return Number(await pog.out('dmesg | wc -l'))
}

test.serial('rm empties a view; the next record makes the file again', async t => {
	const pog = await fresh(2)
	await pog.out(`rm ${FILE}`)
	t.is((await pog.sh(`cat ${FILE}`)).stdout, '')
	await say(pog, 'after')
	t.deepEqual(texts(await pog.out(`cat ${FILE}`)), ['after'])
})

test.serial('mv freezes a view under its new name, and the old name starts afresh', async t => {
	const pog = await fresh(2)
	await pog.out(`mv ${FILE} ${FILE}.1`)
	await say(pog, 'after')
	t.deepEqual(texts(await pog.out(`cat ${FILE}.1`)), FIVE.slice(0, 2))
	t.deepEqual(texts(await pog.out(`cat ${FILE}`)), ['after'])
	await pog.out(`rm ${FILE}.1`)
	t.is((await pog.sh(`cat ${FILE}.1`)).code, 1)
	t.deepEqual(texts(await pog.out(`cat ${FILE}`)), ['after'])
})

test.serial('an open descriptor keeps reading across mv', async t => {
	const pog = await fresh(2)
	const seen = await pog.out(`exec 3<${FILE}; mv ${FILE} ${FILE}.1; cat <&3`)
	t.deepEqual(texts(seen), FIVE.slice(0, 2))
})

test.serial('echo >> appends that line as it is, in its place', async t => {
	const pog = await fresh(1)
	await pog.out(`echo 'my own line' >> ${FILE}`)
	await say(pog, 'after')
	t.deepEqual(texts(await pog.out(`cat ${FILE}`)), ['message 1', 'my own line', 'after'])
	await pog.out(`printf 'two\\nlines\\n' >> ${FILE}`)
	t.deepEqual(texts(await pog.out(`tail -n 2 ${FILE}`)), ['two', 'lines'])
	t.is(Number(await pog.out(`stat -c %s ${FILE}`)), (await pog.out(`cat ${FILE}`)).length)
	t.is(await pog.out('cat /var/log/auth.log'), '')
})

for (const style of ['create 0640 root adm', 'copytruncate'] as const) {
	needs('logrotate')(`logrotate with "${style}" loses nothing and doubles nothing`, async t => {
		const pog = await fresh(3)
		const [conf, state] = [`${service.directory}/rotate-${count}.conf`, `${service.directory}/rotate-${count}.state`]
		writeFileSync(conf, `${FILE} {\n\trotate 3\n\t${style}\n\tnocompress\n\tsu root root\n}\n`, { mode: 0o644 })
		const rotate = `chmod 755 /var/log; logrotate -f -s ${state} ${conf}`
		await pog.out(rotate)
		await say(pog, 'second 1', 'second 2')
		await pog.out(rotate)
		await say(pog, 'third')
		t.deepEqual(texts(await pog.out(`cat ${FILE}.2 ${FILE}.1 ${FILE}`)), [
			...FIVE.slice(0, 3),
			'second 1',
			'second 2',
			'third',
		])
		t.deepEqual(texts(await pog.out(`cat ${FILE}.1`)), ['second 1', 'second 2'])
		t.deepEqual(texts(await pog.out(`cat ${FILE}`)), ['third'])
	})
}

needs('logrotate')('logrotate compresses what it rotated', async t => {
	const pog = await fresh(3)
	const conf = `${service.directory}/compress.conf`
	writeFileSync(conf, `${FILE} {\n\trotate 3\n\tcompress\n\tcreate\n\tsu root root\n}\n`, { mode: 0o644 })
	await pog.out(`chmod 755 /var/log; logrotate -f -s ${service.directory}/compress.state ${conf}`)
	t.deepEqual(texts(await pog.out(`zcat ${FILE}.1.gz`)), FIVE.slice(0, 3))
	t.is((await pog.sh(`cat ${FILE}`)).stdout, '')
})

needs('python3')('who logs and then looks finds it, however soon', async t => {
	const pog = await fresh(0)
	const program = `
import os, socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect('/dev/log')
log.send(b'<14>app: first')
file, missed, size = os.open('${FILE}', os.O_RDONLY), [0, 0], 0
for i in range(900):
    log.send(b'<14>app: %d' % i)
    now = os.stat('${FILE}').st_size
    if now <= size: missed[0] += 1
    size = now
while os.read(file, 65536): pass
for i in range(900):
    log.send(b'<14>app: again %d' % i)
    if not os.read(file, 65536).endswith(b' again %d\\n' % i): missed[1] += 1
print(missed)
`
	t.is(await pog.out(`python3 -c "$PROGRAM"`, { env: { PROGRAM: program } }), '[0, 0]\n')
})
