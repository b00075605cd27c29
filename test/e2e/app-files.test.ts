/**
 * What a container keeps in /var/log besides its views: files of its own, on the POG's tmpfs, within its quota.
 *
 * Source of truth: what these programs do on a tmpfs.
 */
import test from 'ava'
import { find, PYTHON, until } from '../helpers/programs.ts'
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

const FILE = '/var/log/messages'

test.serial('app files: create, write, read, rename, truncate, remove, link', async t => {
	const pog = await fresh(0)
	t.is(
		await pog.out(`
			cd /var/log
			mkdir -p apache2/old && echo one > apache2/access.log && echo two >> apache2/access.log
			cat apache2/access.log
			mv apache2/access.log apache2/old/access.log.1 && ls apache2 apache2/old
			ln -s apache2/old/access.log.1 link && cat link && readlink link
			truncate -s 4 link && cat link && stat -c %s apache2/old/access.log.1
			rm link && rm -r apache2
			ls | grep -v -e messages -e '\\.log$' -e syslog || true
			touch -d 2020-01-01T00:00:00Z stamped && stat -c %Y stamped && chmod 600 stamped && chown 1:2 stamped
			stat -c '%a %u %g' stamped
			: > empty && [ ! -s empty ] && cp stamped empty && ln empty hard && stat -c %h empty
		`),
		'one\ntwo\napache2:\nold\n\napache2/old:\naccess.log.1\none\ntwo\napache2/old/access.log.1\none\n4\n1577836800\n600 1 2\n2\n',
	)
})

test.serial('app files: eight processes append, no line is lost or torn', async t => {
	const pog = await fresh(0)
	await pog.out(
		`cd /var/log; for w in 1 2 3 4 5 6 7 8; do (n=0; while [ $n -lt 200 ]; do echo "w$w n$n ${'y'.repeat(60)}"; n=$((n+1)); done >> app.log) & done; wait`,
		{ timeoutMs: 30_000 },
	)
	const lines = (await pog.out('cat /var/log/app.log')).trim().split('\n')
	t.is(lines.length, 1_600)
	t.true(lines.every(line => /^w\d n\d+ y{60}$/.test(line)))
	for (let w = 1; w <= 8; w++) {
		const own = lines.filter(line => line.startsWith(`w${w} `)).map(line => Number(/n(\d+)/.exec(line)?.[1]))
		t.deepEqual(
			own,
			Array.from({ length: 200 }, (_, n) => n),
		)
	}
})

test.serial('app files: data written is data read, at any offset, also by mmap', async t => {
	const pog = await fresh(0)
	await pog.out(
		'dd if=/dev/urandom of=/run/data bs=100001 count=7 2>/dev/null; cp /run/data /var/log/data; cmp /run/data /var/log/data',
	)
	t.is(
		await pog.out(`dd if=/dev/urandom of=/run/data bs=4000 count=50 2>/dev/null
		dd if=/run/data of=/var/log/blocks bs=313 2>/dev/null
		cmp /run/data /var/log/blocks && printf XYZ | dd of=/var/log/blocks bs=1 seek=1000 conv=notrunc 2>/dev/null
		printf XYZ | dd of=/run/data bs=1 seek=1000 conv=notrunc 2>/dev/null
		cmp /run/data /var/log/blocks && dd if=/var/log/blocks bs=1 skip=1000 count=3 2>/dev/null`),
		'XYZ',
	)
	if (!find('python3')) return
	t.is(
		await pog.out(`exec ${PYTHON} -c '
import mmap
with open("/var/log/mapped", "w+b") as f:
    f.write(b"a" * 8192); f.flush()
    m = mmap.mmap(f.fileno(), 8192, mmap.MAP_PRIVATE)
    print(m[:3].decode())
'`),
		'aaa\n',
	)
})

test.serial('app files: beyond the quota there is ENOSPC, and the log itself goes on', async t => {
	const pog = await service.create('small', { conf: CONF, quotaBytes: 1 << 20 })
	const full = await pog.sh('dd if=/dev/zero of=/var/log/big bs=65536 count=64')
	t.is(full.code, 1)
	t.regex(full.stderr, /No space left on device/)
	const size = Number(await pog.out('stat -c %s /var/log/big'))
	// The tmpfs has a little more than the quota, for what the file system itself needs.
	t.true(size > 512 * 1024 && size <= (1 << 20) + 512 * 1024, `${size}`)
	await say(pog, 'still here')
	t.regex(await pog.out(`cat ${FILE}`), /still here\n$/)
	await pog.out('rm /var/log/big; dd if=/dev/zero of=/var/log/again bs=65536 count=8 2>/dev/null')
})

test.serial('df shows the space of the POG, not of the machine', async t => {
	const pog = await service.create('df', { quotaBytes: 8 << 20 })
	const kilobytes = Number((await pog.out('df -k --output=size /var/log')).trim().split('\n').at(-1))
	t.true(kilobytes >= 8 * 1024 && kilobytes <= 128 * 1024, `${kilobytes} KiB`)
})

test.serial('a directory with many names is listed whole', async t => {
	const pog = await fresh(0)
	await pog.out(
		'cd /var/log; mkdir many; cd many; n=0; while [ $n -lt 600 ]; do : > "a-name-that-is-long-enough-to-fill-pages-$n"; n=$((n+1)); done',
	)
	t.is(await pog.out('ls /var/log/many | sort -u | wc -l'), '600\n')
	await pog.out('rm -rf /var/log/many; [ ! -e /var/log/many ]')
})
