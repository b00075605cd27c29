/**
 * A container's syslog.conf is live: whatever saves the file takes effect at close, for this container only, from the next record
 * on; what is wrong with it is told inside; and the host's policy file is live as well.
 *
 * Source of truth: the shell, sed and vim doing the saving; sysklogd's syslog.conf(5) for what the lines mean.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { find, needs, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

const CONF = '*.* /var/log/messages\n'
let count = 0

async function fresh(conf = CONF): Promise<Pog> {
	return service.create(`conf-${++count}`, { conf, hostname: 'box' })
}

async function say(pog: Pog, ...datagrams: string[]): Promise<void> {
	const before = (await pog.info()).accepted.devlog
	await pog.send(...datagrams)
	await until('the messages are accepted', async () => (await pog.info()).accepted.devlog === before + datagrams.length)
}

/** The messages in a file, without the head of the line; nothing when there is no such file. */
async function messages(pog: Pog, path: string): Promise<string[]> {
	const { stdout } = await pog.sh(`cat ${path} 2>/dev/null`)
	return stdout
		.split('\n')
		.filter(line => line !== '' && !line.includes('pogs'))
		.map(line => line.replace(/^.* box \S+ /, ''))
}

/** Each way to save a new configuration; `$1` is the file. Afterwards auth goes to /var/log/new alone. */
const SAVERS: Readonly<Record<string, { needs: readonly string[]; file: string; script: string }>> = {
	'echo >': { needs: [], file: '/etc/syslog.conf', script: `echo 'auth.* /var/log/new' > $1` },
	'echo >>': { needs: [], file: '/etc/syslog.conf', script: `echo 'auth.* /var/log/new' >> $1` },
	'cat >': { needs: [], file: '/etc/syslog.conf', script: `printf 'auth.* /var/log/new\\n' | cat > $1` },
	cp: { needs: [], file: '/etc/syslog.conf', script: `echo 'auth.* /var/log/new' > /run/c; cp /run/c $1` },
	tee: { needs: [], file: '/etc/syslog.conf', script: `echo 'auth.* /var/log/new' | tee $1` },
	dd: { needs: [], file: '/etc/syslog.conf', script: `echo 'auth.* /var/log/new' | dd of=$1 bs=3 2>/dev/null` },
	'sed -i': { needs: ['sed'], file: '/run/pog/syslog.conf', script: `sed -i 's|^.*$|auth.* /var/log/new|' $1` },
	'mv over it': {
		needs: [],
		file: '/run/pog/syslog.conf',
		script: `echo 'auth.* /var/log/new' > /run/pog/.next && mv /run/pog/.next $1`,
	},
	'vim (in /etc)': { needs: ['vim'], file: '/etc/syslog.conf', script: vim() },
	'vim (in /run/pog)': { needs: ['vim'], file: '/run/pog/syslog.conf', script: vim() },
	'vim with a backup': { needs: ['vim'], file: '/run/pog/syslog.conf', script: vim('set backup backupcopy=no |') },
}

function vim(settings = ''): string {
	const program = find('vim') ? 'vim' : 'vim.tiny'
	return `HOME=/nonexistent ${program} -u NONE -es -c "${settings} %s#^.*#auth.* /var/log/new#" -c wq $1 </dev/null >/dev/null 2>&1`
}

for (const [name, saver] of Object.entries(SAVERS)) {
	const wanted = saver.needs.map(program => (program === 'vim' && !find('vim') ? 'vim.tiny' : program))
	needs(...wanted)(`${name} on ${saver.file} takes effect at once, for this container only`, async t => {
		const [pog, other] = [await fresh(), await fresh()]
		await say(pog, '<38>app: before')
		await pog.out(`set -- ${saver.file}; ${saver.script}`)
		await say(pog, '<38>app: after', '<14>app: neither')
		await say(other, '<38>app: other')
		t.deepEqual(await messages(pog, '/var/log/new'), ['after'])
		const appended = name === 'echo >>'
		t.deepEqual((await pog.out('grep . /var/log/messages || true')).match(/before|after|neither/g), [
			'before',
			...(appended ? ['after', 'neither'] : []),
		])
		t.deepEqual(await messages(other, '/var/log/messages'), ['other'])
		t.deepEqual(await messages(other, '/var/log/new'), [])
		t.regex(await pog.out('cat /etc/syslog.conf'), /auth\.\* \/var\/log\/new\n$/)
		t.is(await pog.out('cmp /etc/syslog.conf /run/pog/syslog.conf && echo same'), 'same\n')
		t.is(await other.out('cat /etc/syslog.conf'), CONF)
		t.is((await pog.info()).conf.state, 'own')
	})
}

test.serial('a half-written configuration is not used before it is closed', async t => {
	const pog = await fresh()
	const writer = pog.start('exec cat > /etc/syslog.conf')
	t.teardown(() => writer.stop())
	writer.type('auth.* /var/log/ha')
	await until('half is written', async () => (await pog.out('cat /etc/syslog.conf')) === 'auth.* /var/log/ha')
	await say(pog, '<38>app: during')
	writer.child.stdin?.end('lf\n')
	t.is((await writer.ended()).code, 0)
	await say(pog, '<38>app: after')
	t.deepEqual(await messages(pog, '/var/log/messages'), ['during'])
	t.deepEqual(await messages(pog, '/var/log/half'), ['after'])
	t.deepEqual(await messages(pog, '/var/log/ha'), [])
})

test.serial('a bad line is skipped and told: in status, as syslog.err in the log, and to the host', async t => {
	const pog = await fresh()
	await pog.out("printf '*.* /var/log/messages\\nauth.wrn /var/log/a\\nmail.info /var/log/mail\\n' > /etc/syslog.conf")
	t.regex(await pog.out('cat /run/pog/status'), /syslog\.conf:2:6: error: .*wrn/)
	await until('the diagnostic is in the log', async () => (await pog.out('cat /var/log/messages')).includes('wrn'))
	const record = (await pog.records()).find(each => each.text.includes('wrn'))
	t.like(record, { facility: 5, severity: 3, origin: 'pogs' })
	t.regex(record?.text ?? '', /2:6/)
	const { conf } = await pog.info()
	t.is(conf.diagnostics.length, 1)
	t.like(conf.diagnostics[0], { line: 2, column: 6, level: 'error' })
	t.is(conf.rules, 2)
	await say(pog, '<22>mta: sent', '<38>app: in')
	t.deepEqual(await messages(pog, '/var/log/mail'), ['sent'])
	t.deepEqual(await messages(pog, '/var/log/a'), [])
	await pog.out("echo '*.* /var/log/messages' > /etc/syslog.conf")
	t.notRegex(await pog.out('cat /run/pog/status'), /wrn/)
})

test.serial('a file that cannot be parsed at all keeps the last good configuration', async t => {
	const pog = await fresh('auth.* /var/log/good\n')
	await pog.out("printf 'auth.* /var/log/bad\\n\\000\\n' > /etc/syslog.conf")
	t.is((await pog.info()).conf.state, 'kept')
	t.regex(await pog.out('cat /run/pog/status'), /error/)
	await say(pog, '<38>app: still')
	t.deepEqual(await messages(pog, '/var/log/good'), ['still'])
	t.deepEqual(await messages(pog, '/var/log/bad'), [])
	await pog.out("echo 'auth.* /var/log/repaired' > /etc/syslog.conf")
	await say(pog, '<38>app: again')
	t.deepEqual(await messages(pog, '/var/log/repaired'), ['again'])
})

test.serial('an emptied configuration logs to no file, and is told as such', async t => {
	const pog = await fresh()
	await say(pog, '<14>app: before')
	await pog.out(': > /etc/syslog.conf')
	await until('no rule is in force', async () => (await pog.info()).conf.rules === 0)
	await say(pog, '<14>app: after')
	t.regex(await pog.out('cat /run/pog/stats'), /unrouted/)
	t.true((await pog.info()).drops.unrouted > 0)
	t.true((await pog.records()).some(record => record.text.includes('after')))
})

test.serial('no record is lost between the old configuration and the new one', async t => {
	const pog = await fresh('*.*;syslog.none /var/log/one\n')
	const flood = Array.from({ length: 2_000 }, (_, n) => `<14>app: n=${n}`)
	await Promise.all([
		pog.send(...flood),
		pog.out(
			'for n in 1 2 3 4 5 6 7 8 9 10; do echo "*.*;syslog.none /var/log/file$n" > /etc/syslog.conf; sleep 0.01; done',
		),
	])
	await until('all are accepted', async () => (await pog.info()).accepted.devlog === flood.length)
	const everywhere = await pog.out('cat /var/log/one /var/log/file* | grep -c " n="')
	t.is(Number(everywhere), flood.length)
})

test.serial('blocks, options and actions do what they say', async t => {
	const pog = await fresh(`
*.*;auth.none	-/var/log/syslog
auth.*	/var/log/auth.log
*.=warning	/var/log/warnings
mail.*;mail.!err	/var/log/mail.quiet
local0.*	/var/log/five	;RFC5424
!cron
*.*	/var/log/by-cron
!*
:msg, contains, "needle"
*.*	/var/log/needles
:*
*.emerg	*
`)
	await say(
		pog,
		'<38>login: one',
		'<12>app: two',
		'<18>mta: three',
		'<22>mta: four',
		'<134>svc[7]: five',
		'<14>cron[9]: six',
		'<14>app: a needle here',
		'<8>app: all',
	)
	t.deepEqual(await messages(pog, '/var/log/syslog'), ['two', 'three', 'four', 'five', 'six', 'a needle here', 'all'])
	t.deepEqual(await messages(pog, '/var/log/auth.log'), ['one'])
	t.deepEqual(await messages(pog, '/var/log/warnings'), ['two'])
	t.deepEqual(await messages(pog, '/var/log/mail.quiet'), ['four'])
	t.regex(await pog.out('cat /var/log/five'), /^\d{4}-\d\d-\d\dT[\d:.]+\S+ box svc 7 - - five\n$/)
	t.deepEqual(await messages(pog, '/var/log/by-cron'), ['six'])
	t.deepEqual(await messages(pog, '/var/log/needles'), ['a needle here'])
})

test.serial('an include reads files of the container own tree, not of the host', async t => {
	const pog = await fresh()
	const result = await pog.sh("echo 'include /etc/passwd' > /etc/syslog.conf; cat /run/pog/status")
	t.false(result.stdout.includes('root:'))
	await say(pog, '<14>app: x')
	t.is((await pog.info()).accepted.devlog, 1)
})

test.serial('resetting goes back to the default of the host', async t => {
	const pog = await fresh()
	await pog.out("echo 'auth.* /var/log/own' > /etc/syslog.conf")
	await pog.out("echo 'conf reset' > /run/pog/ctl")
	t.is((await pog.info()).conf.state, 'default')
	t.notRegex(await pog.out('cat /etc/syslog.conf'), /own/)
})

test.serial(
	'the policy file of the host is live: it changes those on the default, at once, and nobody else',
	async t => {
		const policy = join(service.etcDir, 'syslog.conf')
		const [plain, own] = [await service.create('policy-plain', { hostname: 'box' }), await fresh()]
		const save = (text: string): void => {
			writeFileSync(`${policy}.new`, text)
			renameSync(`${policy}.new`, policy)
		}
		for (const name of ['one', 'two']) {
			save(`*.* /var/log/policy-${name}\n`)
			await until(
				`policy ${name} is in force`,
				async () => (await plain.out('cat /etc/syslog.conf')).includes(`policy-${name}`),
				10_000,
			)
			await say(plain, `<14>app: ${name}`)
			t.deepEqual(await messages(plain, `/var/log/policy-${name}`), [name])
		}
		t.is(await own.out('cat /etc/syslog.conf'), CONF)
		t.regex(await (await service.create('policy-later')).out('cat /etc/syslog.conf'), /policy-two/)
		writeFileSync(policy, '*.nonsense /var/log/x\n\0')
		await say(plain, '<14>app: three')
		t.deepEqual(await messages(plain, '/var/log/policy-two'), ['two', 'three'])
	},
)
