/**
 * A kernel that sends nothing again (before Linux 6.9), played by not asking for FUSE_HAS_RESEND: when the engine is killed, calls
 * under way end with an error, none hangs, and the next ones are served.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { EINTR } from '../../src/lib/errno.ts'
import { needs, run, start, TOP, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

/** Where a request was taken and not looked at, looked at, done, and about to be answered. */
const POINTS = ['begin-before', 'begin-after', 'commit-after', 'done-after', 'send-struct-before', 'send-struct-after']
const READ_POINTS = ['begin-before', 'reading-after', 'send-data-before', 'send-data-after']
const WITHIN_MS = 15_000

let service: Service
let pog: Pog
let points: string

test.before(async () => {
	points = mkdtempSync(join(tmpdir(), 'pogs-crash-'))
	service = await startService({ env: { POGS_TEST_CRASH: points, POGS_TEST_WITHHOLD: 'FUSE_HAS_RESEND' } })
	pog = await service.create('old', { conf: '*.* /var/log/messages\n' })
})

test.after.always(async () => {
	await service?.stop()
	rmSync(points, { recursive: true, force: true })
})

async function restarts(): Promise<number> {
	for (;;) {
		const described = await service.describe().catch(() => undefined)
		if (described !== undefined) return described.restarts
	}
}

needs('sh')(
	'whatever the engine is killed at, a call ends, with an error at most, and the next one is served',
	async t => {
		t.timeout((POINTS.length + READ_POINTS.length) * 2 * WITHIN_MS)
		await pog.send('<13>t: first')
		t.is((await service.describe()).features['resend'], false)
		const { devKmsg, varLog } = pog.paths
		const cases = [
			...POINTS.map(point => [point, `echo '<6>x' >${devKmsg}`] as const),
			...READ_POINTS.map(point => [point, `dd if=${devKmsg} bs=8192 count=1`] as const),
		]
		for (const [point, command] of cases) {
			const before = await restarts()
			writeFileSync(join(points, point), '')
			const { timedOut, stderr } = await run('sh', ['-c', command], { timeoutMs: WITHIN_MS })
			t.false(timedOut, `${point}: "${command}" hangs`)
			t.false(existsSync(join(points, point)), `${point} was not reached`)
			if (!/output error|I\/O error|nterrupted/.test(stderr)) t.log(`${point}: "${command}" is not disturbed`)
			t.is(await restarts(), before + 1, point)
			await pog.send(`<13>t: after ${point}`)
			await until('the next call is served', async () =>
				(await pog.cat(`${varLog}/messages`)).includes(`after ${point}`),
			)
		}
	},
)

needs('perl')(
	'a read that waits ends with EINTR, and a command to the control file fails instead of waiting',
	async t => {
		// Programs of the shell, and python, call again by themselves.
		const script = 'open F, "<", $ARGV[0]; 1 while defined sysread F, $b, 8192; print "errno ", $! + 0'
		const reader = start('perl', ['-e', script, pog.paths.procKmsg])
		const control = start('cat', [join(service.runDir, 'host/ctl')])
		await new Promise(resolve => setTimeout(resolve, 500))
		const before = await restarts()
		process.kill((await service.describe()).engine.pid, 'SIGKILL')
		await until('another engine answers', async () => (await restarts()) > before, WITHIN_MS)
		const ended = await reader.ended(WITHIN_MS)
		t.false(ended.timedOut)
		t.is(ended.stdout, `errno ${EINTR}`)
		await control.stop()
		const again = await run('cat', [join(service.runDir, 'host/ctl')], { timeoutMs: WITHIN_MS })
		t.false(again.timedOut, 'the control file is served again')
		const pogctl = process.env['POGS_TEST_DIST']
			? [join(TOP, 'dist/bin/pogctl.js')]
			: [`--import=${import.meta.resolve('tsx')}`, join(TOP, 'src/bin/pogctl.ts')]
		const { stdout } = await run(process.execPath, [...pogctl, '--run-dir', service.runDir, 'doctor'])
		t.regex(stdout, /^note +resend +false: .*EIO\n +-> Linux 6\.9/m)
	},
)
