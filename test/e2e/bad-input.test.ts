/**
 * Input of any shape, from every side: datagrams, kmsg writes, configurations, API calls. Each is answered by a clear error or
 * kept; the service goes on, and another POG notices nothing.
 *
 * Random bytes come from fast-check, which prints the seed of a failure; FC_NUM_RUNS makes the runs longer.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { needs, output, PYTHON, run, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service
let bystander: Pog

test.before(async () => {
	service = await startService()
	bystander = await service.create('bystander', { conf: '*.* /var/log/messages\n' })
	await bystander.send('<14>app: untouched')
})
test.after.always(() => service?.stop())

const RUNS = Number(process.env['FC_NUM_RUNS'] ?? 30)
const engine = async (): Promise<string> => {
	const { engine: process, restarts } = await service.describe()
	return `${process.pid} after ${restarts} restarts`
}

/** Runs `attack`, then looks: the same engine process answers, and the other POG has what it had. */
async function survives(t: ExecutionContext, attack: () => Promise<void>): Promise<void> {
	const before = await engine()
	await attack()
	t.is(await engine(), before)
	t.regex(await bystander.out('cat /var/log/messages; cat /run/pog/stats | head -c 1'), /^[^\n]*untouched\n.$/s)
	const { accepted } = await bystander.info()
	t.is(accepted.devlog + accepted.kmsg + accepted.file, 1)
}

test.serial('datagrams of random bytes, of any size', async t => {
	const pog = await service.create('datagrams')
	await survives(t, async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3_000 }), { minLength: 1, maxLength: 20 }), async bytes => {
				await pog.send(...bytes)
			}),
			{ numRuns: RUNS },
		)
		for (const size of [1_023, 1_024, 1_025, 8_192, 65_535, 65_536, 65_537, 131_072, 180_000]) {
			await pog.send(randomBytes(size), Buffer.concat([Buffer.from('<14>big: '), Buffer.alloc(size, 0x61)]))
		}
		const odd = [
			'',
			'\0',
			'\n',
			'<',
			'<>',
			'<14>',
			'<999>x',
			'<-1>x',
			'<14>1 - - - - - -',
			'<14>1 ',
			'<14>\0\0',
			'<14>a[',
			'a[:',
		]
		await pog.send(...odd)
	})
	const { accepted, drops } = await pog.info()
	const told = accepted.devlog + drops.refused + drops.oversized
	t.true(told > RUNS, `every datagram is accounted for: ${JSON.stringify({ accepted, drops })}`)
	await pog.send('<14>app: the last one')
	t.regex(await pog.out('cat /run/pog/log | tail -n 1'), /the last one\n$/)
})

needs('python3')('no datagram disappears: each is a record, and a cut one is counted once', async t => {
	const pog = await service.create('counted')
	const sizes = [0, 1, 10, 1_000, 10_000, 65_000, 66_000, 70_000, 150_000, 200_000]
	const program = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
s.connect('${pog.paths.devLog}')
sent = []
for size in ${JSON.stringify(sizes)}:
    try:
        s.send(b'<14>app: ' + b'x' * size); sent.append(size)
    except OSError:
        pass
print(sent)
`
	const sent = JSON.parse(await output(PYTHON, ['-'], { input: program })) as number[]
	t.true(sent.length >= 7)
	await until('all are accepted', async () => (await pog.info()).accepted.devlog === sent.length)
	const { drops, ring } = await pog.info()
	t.is(ring.records, sent.length)
	t.is(drops.oversized, sent.filter(size => size > 65_536).length)
	t.is(drops.refused, 0)
})

test.serial('kmsg writes of random bytes, of any size', async t => {
	const pog = await service.create('kmsg')
	const directory = join(service.directory, 'bytes')
	mkdirSync(directory, { recursive: true })
	await survives(t, async () => {
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 2_000 }), async bytes => {
				const path = join(directory, 'write')
				writeFileSync(path, bytes)
				const { code } = await run('dd', [`if=${path}`, `of=${pog.paths.devKmsg}`, 'bs=1M', 'conv=notrunc'])
				if (bytes.length > 1_024 !== (code !== 0)) throw new Error(`${bytes.length} bytes: exit ${code}`)
			}),
			{ numRuns: RUNS },
		)
		for (const size of [65_536, 1 << 20, 4 << 20]) {
			const { code } = await run('sh', [
				'-c',
				`head -c ${size} /dev/urandom | dd of=${pog.paths.devKmsg} bs=8M iflag=fullblock`,
			])
			t.is(code, 1)
		}
	})
	await pog.out("echo '<14>the last one' > /dev/kmsg; dmesg | tail -n 1 | grep 'the last one'")
})

test.serial('configurations of random bytes, of any size', async t => {
	const pog = await service.create('confs')
	const directory = join(service.directory, 'bytes')
	mkdirSync(directory, { recursive: true })
	const path = join(directory, 'conf')
	const token = fc.constantFrom(
		'*',
		'.',
		';',
		'!',
		'=',
		'auth',
		'err',
		' ',
		'\t',
		'\n',
		'\\\n',
		'/var/log/x',
		'@',
		'|',
		':msg, ',
		'"',
		'#!',
		'+',
		'-',
		'include ',
		'\0',
		'\xff',
	)
	const texts = fc.oneof(
		fc.uint8Array({ maxLength: 4_000 }),
		fc.array(token, { maxLength: 200 }).map(parts => Buffer.from(parts.join(''), 'latin1')),
	)
	await survives(t, async () => {
		await fc.assert(
			fc.asyncProperty(texts, async bytes => {
				writeFileSync(path, bytes)
				await output('cp', [path, pog.paths.syslogConf])
			}),
			{ numRuns: RUNS },
		)
		for (const size of [1 << 16, 1 << 20, (1 << 20) + 1, 4 << 20]) {
			for (const bytes of [
				randomBytes(size),
				Buffer.alloc(size, '*.* /var/log/x\n'),
				Buffer.alloc(size, 'a'),
				Buffer.alloc(size, '\n'),
			]) {
				writeFileSync(path, bytes)
				await run('cp', [path, pog.paths.syslogConf], { timeoutMs: 20_000 })
			}
		}
		// Regular expressions made to backtrack for ever.
		writeFileSync(path, ':msg, ereregex, "(a+)+(b+)+c"\n*.* /var/log/x\n:msg, regex, "\\(a*\\)*b"\n*.* /var/log/y\n')
		await run('cp', [path, pog.paths.syslogConf])
		await pog.send(`<14>app: ${'a'.repeat(1_000)}`, `<14>app: ${'ab'.repeat(500)}`)
	})
	t.is((await pog.sh('cat /run/pog/status')).code, 0)
})

const WORDS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD']

test.serial('API calls of any shape are answered with a client error, never a server error', async t => {
	await survives(t, async () => {
		const part = fc.oneof(
			fc.constantFrom(
				'v1',
				'pogs',
				'bystander',
				'records',
				'conf',
				'ring',
				'clear',
				'nobody',
				'..',
				'%00',
				'%2e%2e',
				'',
			),
			fc.webSegment(),
		)
		const body = fc.oneof(
			fc.constant(undefined),
			fc.json(),
			fc.string().filter(text => text !== ''),
			fc.uint8Array({ minLength: 1 }),
			fc
				.record(
					{ name: fc.anything(), ringBytes: fc.anything(), conf: fc.anything(), quotaBytes: fc.anything() },
					{ requiredKeys: [] },
				)
				.map(
					value =>
						JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each)) ?? 'null',
				),
		)
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(...WORDS),
				fc.array(part, { maxLength: 5 }),
				body,
				async (method, parts, content) => {
					const path = `/${parts.join('/')}`
					// What would be right, and so change the bystander.
					if (parts.includes('bystander') && method !== 'GET' && method !== 'HEAD') return
					const answer = await service.call(method, path, content)
					if (answer.status >= 500) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
				},
			),
			{ numRuns: 5 * RUNS },
		)
		const names = ['', '.', '..', '../x', 'a/b', '-x', ' ', 'x'.repeat(65), '\0', '\u00e9', null, 5, {}, []]
		for (const name of names) t.is((await service.call('POST', '/v1/pogs', { name })).status, 400, JSON.stringify(name))
		for (const ringBytes of [0, -1, 1, 1e12, '64k', null, 1.5]) {
			t.is((await service.call('POST', '/v1/pogs', { name: 'never', ringBytes })).status, 400, String(ringBytes))
		}
		t.is((await service.call('POST', '/v1/pogs', { name: 'bystander' })).status, 409)
		t.is((await service.call('GET', '/v1/pogs/nobody')).status, 404)
		t.is((await service.call('DELETE', '/v1/pogs/nobody')).status, 404)
		const huge = await service
			.call('POST', '/v1/pogs', 'x'.repeat(8 << 20))
			.catch((error: unknown) => ({ status: 413, text: String(error) }))
		t.is(huge.status, 413)
	})
})

test.serial('a caller that leaves in the middle costs nothing', async t => {
	await survives(t, async () => {
		const socket = join(service.runDir, 'api.sock')
		for (const bytes of [
			'GET /v1/service HTTP/1.1\r\nHost: x',
			'POST /v1/pogs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"na',
			'\0\0\0\0',
			'x'.repeat(100_000),
		]) {
			await run(
				'perl',
				[
					'-e',
					'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, pack_sockaddr_un($ARGV[0])) or die; syswrite(S, join "", <STDIN>);',
					socket,
				],
				{ input: bytes },
			)
		}
	})
})

test.serial('ctl answers every wrong command with an error', async t => {
	const pog = await service.create('ctl')
	const commands = [
		'',
		'nonsense',
		'resize',
		'resize x',
		'resize -5',
		'conf',
		'conf bogus',
		'clear now please',
		'x'.repeat(5_000),
		'\u00ff\u0001',
	]
	await survives(t, async () => {
		for (const command of commands) {
			const answer = await pog.sh(
				'exec 3<>/run/pog/ctl; head -c 100000 > /run/command; cat /run/command >&3; echo "$?"; head -n 1 <&3',
				{ input: `${command}\n` },
			)
			t.regex(answer.stdout, /^1\nerror .+\n$/, JSON.stringify(command.slice(0, 40)))
		}
	})
	// Beyond the bounds of a ring is not wrong: the answer tells what it became.
	t.is(await pog.out("exec 3<>/run/pog/ctl; echo 'resize 999999999999999' >&3; cat <&3"), 'ok 67108864\n')
	t.is(await pog.out('exec 3<>/run/pog/ctl; echo clear >&3 && head -n 1 <&3 | cut -c 1-2'), 'ok\n')
})

test.serial('the files of /run/pog refuse what makes no sense', async t => {
	const pog = await service.create('files')
	await survives(t, async () => {
		for (const script of [
			'echo x > /run/pog/stats',
			'echo x > /run/pog/status',
			'echo x > /run/pog/pogctl',
			'rm /run/pog/ctl',
			'rm /run/pog/pogctl',
			'mv /run/pog/ctl /run/pog/other',
			'mv /run/pog/stats /run/pog/syslog.conf',
			'rmdir /run/pog',
			'mknod /run/pog/null c 1 3',
			'mknod /var/log/null c 1 3',
			'mknod /var/log/disk b 254 0',
			'ln /run/pog/ctl /run/pog/hard',
			`mkdir /var/log/${'x'.repeat(256)}`,
			'cat /var/log',
			'rmdir /var/log/messages',
			'mkdir /var/log/auth.log',
		]) {
			t.not((await pog.sh(script)).code, 0, script)
		}
		t.is((await pog.sh('cat /run/pog/stats /run/pog/status > /dev/null && [ -x /run/pog/pogctl ]')).code, 0)
	})
})
