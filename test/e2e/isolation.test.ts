/**
 * Isolation in its basic form: a word of its own is written by every write path of one POG, and looked for on every read path of
 * the other, of the machine's own kernel log, and (as a check of the check) of the first.
 */
import test from 'ava'
import { run, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service
let red: Pog
let blue: Pog

const CONF = '*.*;syslog.none /var/log/messages\nlocal3.* /var/log/local\n'

/** Ways in: shell in the container, `$1` is the word. */
const WRITES: Readonly<Record<string, string>> = {
	'/dev/kmsg': 'echo "<14>kmsg: $1" > /dev/kmsg',
	'/dev/log': 'logger -t devlog "$1"',
	'/dev/log, RFC 5424': 'logger --rfc5424 -t devlog5 "$1"',
	'a view, appended': 'echo "$1" >> /var/log/messages',
	'an own file': 'echo "$1" > /var/log/app.log',
	'a file name': ': > "/var/log/name-$1"',
	'ctl write': 'echo "write <13>ctl $1" > /run/pog/ctl',
	'its configuration': 'echo "# $1" >> /etc/syslog.conf',
	pogctl: '/run/pog/pogctl write "pogctl $1"',
}

/** Ways out: shell in the container. */
const READS: Readonly<Record<string, string>> = {
	'/dev/kmsg': 'timeout 1 cat /dev/kmsg; true',
	'/proc/kmsg': 'timeout 1 cat /proc/kmsg; true',
	dmesg: 'dmesg',
	'all of /var/log': 'find /var/log; cat $(find /var/log -type f)',
	'/etc/syslog.conf': 'cat /etc/syslog.conf',
	'/run/pog': 'find /run/pog; cat /run/pog/syslog.conf /run/pog/status /run/pog/stats /run/pog/log',
	'pogctl read': '/run/pog/pogctl read; /run/pog/pogctl conf get; /run/pog/pogctl status',
}

const word = (pog: Pog, n: number): string => `canary${pog.name}${n}end`
const WAYS = Object.keys(WRITES)

test.before(async () => {
	service = await startService()
	red = await service.create('red', { conf: CONF, hostname: 'box' })
	blue = await service.create('blue', { conf: CONF, hostname: 'box' })
	for (const pog of [red, blue]) {
		for (const [n, way] of WAYS.entries()) await pog.out(`set -- ${word(pog, n)}; ${WRITES[way] ?? ''}`)
		await until('the datagrams are accepted', async () => (await pog.info()).accepted.devlog >= 2)
	}
})
test.after.always(() => service?.stop())

async function everythingOf(pog: Pog, way: string): Promise<string> {
	const { stdout, stderr } = await pog.sh(READS[way] ?? '')
	return stdout + stderr
}

for (const way of Object.keys(READS)) {
	test.serial(`${way} shows no word of the other POG`, async t => {
		t.notRegex(await everythingOf(red, way), /canaryblue/)
		t.notRegex(await everythingOf(blue, way), /canaryred/)
	})
}

test.serial('each word is found where it was written: the search can find', async t => {
	for (const pog of [red, blue]) {
		let all = ''
		for (const way of Object.keys(READS)) all += await everythingOf(pog, way)
		for (const [n, way] of WAYS.entries()) t.true(all.includes(word(pog, n)), `${pog.name}: ${way}`)
	}
})

test.serial('the log of the machine has none of the words', async t => {
	const host = await run('dmesg', [])
	t.false(/canary(red|blue)/.test(host.stdout))
})

test.serial('the host reads both, each by its name', async t => {
	for (const [pog, other] of [
		[red, blue],
		[blue, red],
	] as const) {
		const texts = (await pog.records()).map(record => record.text).join('\n')
		t.true(texts.includes(word(pog, 0)))
		t.false(texts.includes(`canary${other.name}`))
	}
})

test.serial('clearing, rotating, resizing and configuring one leaves the other alone', async t => {
	const before = await blue.out('cat /var/log/messages; cat /etc/syslog.conf; dmesg')
	const { ring } = await blue.info()
	await red.out(
		'/run/pog/pogctl clear; mv /var/log/messages /var/log/old; echo resize 256k > /run/pog/ctl; echo "*.* /var/log/x" > /etc/syslog.conf',
	)
	t.is(await blue.out('cat /var/log/messages; cat /etc/syslog.conf; dmesg'), before)
	t.deepEqual((await blue.info()).ring, ring)
})

test.serial('a flood in one loses nothing of the other', async t => {
	const flood = Array.from({ length: 3_000 }, (_, n) => `<14>flood: ${n} ${'x'.repeat(300)}`)
	const { drops } = await blue.info()
	await Promise.all([red.send(...flood), blue.send('<14>app: in the flood')])
	await until('it is accepted', async () => (await blue.out('cat /var/log/messages')).includes('in the flood'))
	t.deepEqual((await blue.info()).drops, drops)
	t.true((await red.info()).drops.overwritten > 0)
})

test.serial('removing one ends its files and not those of the other', async t => {
	const gone = await service.create('gone', { conf: CONF })
	await gone.send('<14>app: x')
	t.is((await service.call('DELETE', '/v1/pogs/gone')).status < 300, true)
	t.not((await run('cat', [gone.paths.syslogConf])).code, 0)
	t.regex(await blue.out('cat /var/log/messages'), /in the flood\n/)
	const again = await service.create('gone', { conf: CONF })
	t.is(await again.out('cat /var/log/messages'), '')
})
