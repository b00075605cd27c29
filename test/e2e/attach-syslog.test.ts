/**
 * A container that ran before it had a POG keeps its way to syslog(2): where that leads to the host's kernel log, `pogctl attach`, `ls`, `show`
 * and `doctor` say so; where it does not, none of them does.
 *
 * Source of truth: what busybox dmesg, which makes the system call, shows in the container.
 */
import { join } from 'node:path'
import test from 'ava'
import { BUSYBOX, type Container, makeRoot, oci, unshared } from '../helpers/containers.ts'
import { type Ended, needs, output, run, TOP } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

const HOST_WORD = `hostcanary${process.pid}`
const WARNING = /syslog\(2\)/

let service: Service

test.before(async () => {
	service = await startService({ etc: { 'pogs.conf': 'retain-count = 0\n' } })
	await output('sh', ['-c', `echo '<14>${HOST_WORD}' >/dev/kmsg`])
})
test.after.always(() => service?.stop())

function pogctl(...argv: readonly string[]): Promise<Ended> {
	const tsx = `--import=${import.meta.resolve('tsx')}`
	return run(process.execPath, [tsx, join(TOP, 'src/bin/pogctl.ts'), '--run-dir', service.runDir, ...argv])
}

async function withContainer(made: Promise<Container>, body: (container: Container) => Promise<void>): Promise<void> {
	const container = await made
	try {
		await body(container)
	} finally {
		await container.stop()
	}
}

needs(BUSYBOX, 'unshare')(
	"a container with CAP_SYSLOG reads the host's log by syslog(2), and that is said",
	async t => {
		await withContainer(unshared(makeRoot(service.directory)), async container => {
			const attached = await pogctl('attach', 'open', '--pid', String(container.pid))
			t.is(attached.code, 0)
			t.regex(attached.stdout, /^mounted \/dev\/kmsg$/m)
			t.regex(
				attached.stderr,
				/^pogctl: warning: syslog\(2\) shows the host's kernel log.*CAP_SYSLOG\n {2}-> .*--cap-add SYSLOG/,
			)
			t.true((await container.sh('busybox dmesg')).includes(HOST_WORD), 'it does')
			const ls = await pogctl('ls')
			t.regex(ls.stdout, /^ +\d+ +open .* running! /m)
			t.regex(ls.stderr, /^! syslog\(2\) .*"pogctl show open"/)
			t.regex(
				(await pogctl('show', 'open')).stdout,
				/^syslog\(2\) +shows the host's kernel log.*\n +-> start it without/m,
			)
			const doctor = await pogctl('doctor')
			t.is(doctor.code, 1)
			t.regex(doctor.stdout, /^LEAK +open +syslog\(2\) shows the host's kernel log/m)
		})
	},
)

needs(BUSYBOX, 'runc')('a container that cannot is not spoken of', async t => {
	await withContainer(oci('runc', makeRoot(service.directory)), async container => {
		const attached = await pogctl('attach', 'closed', '--pid', String(container.pid))
		t.is(attached.code, 0)
		t.is(attached.stderr, '')
		t.false((await container.sh('busybox dmesg 2>&1 || :')).includes(HOST_WORD))
		const said = await Promise.all([pogctl('ls'), pogctl('show', 'closed'), pogctl('doctor')])
		for (const { stdout, stderr } of said) t.notRegex(`${stdout}${stderr}`.replace(/.*dmesg_restrict.*/g, ''), WARNING)
	})
})
