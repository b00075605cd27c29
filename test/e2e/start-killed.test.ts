/**
 * The engine is killed while a container starts: at any moment between the preparation of its bundle and its first program. The next
 * one sees the start through, and nobody notices but by a pause.
 *
 * Source of truth: what the container's own program finds mounted, logs, and reads. The killing is done by a program that stands where
 * the runtime is expected, so that it happens after the preparation.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { PogInfo } from '../../src/pog/info.ts'
import { BUSYBOX } from '../helpers/containers.ts'
import { find, needs, output, until } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'
import { Runtime } from '../helpers/starts.ts'

/** Seconds from the moment that the runtime is let go on; a start takes some 0.05. */
const DELAYS = ['0', '0.004', '0.01', '0.02', '0.03', '0.04', '0.06']
const OWN = / (\/\S+) (?:\S+ )+- (?:fuse\.pogs \S+|tmpfs pogs) /g
const ALL = ['/dev/kmsg', '/dev/log', '/etc/syslog.conf', '/proc/kmsg', '/run/pog', '/var/log']

let service: Service

test.before(async () => {
	service = await startService({ etc: { 'pogs.conf': 'retain-count = 0\n' } })
})
test.after.always(() => service?.stop())

async function pogs(): Promise<PogInfo[]> {
	const { text } = await service.call('GET', '/v1/pogs')
	return (JSON.parse(text) as PogInfo[]).filter(({ id }) => id > 0)
}

/** The engine that serves, when one does. */
async function engine(): Promise<{ pid: number; restarts: number }> {
	for (;;) {
		const described = await service.describe().catch(() => undefined)
		if (described !== undefined) return { pid: described.engine.pid, restarts: described.restarts }
	}
}

/** A runtime of the same name that kills a process while it does its work. */
function killer(name: string): string {
	const directory = join(service.directory, `killer-${name}`)
	mkdirSync(directory)
	const script = `#!/bin/sh
case " $* " in *" run "*) if [ "$POGS_TEST_DELAY" = 0 ]; then kill -9 "$POGS_TEST_KILL"; else (sleep "$POGS_TEST_DELAY"; kill -9 "$POGS_TEST_KILL") >/dev/null 2>&1 & fi ;; esac
exec ${find(name) ?? name} "$@"
`
	writeFileSync(join(directory, name), script, { mode: 0o755 })
	return join(directory, name)
}

for (const name of ['runc', 'crun']) {
	needs(BUSYBOX, name)(
		`${name}: a container starts with its own log whenever the engine is killed meanwhile`,
		async t => {
			t.timeout(DELAYS.length * 40_000)
			const runtime = new Runtime(service, killer(name))
			try {
				for (const [n, delay] of DELAYS.entries()) {
					const id = `killed-${name}-${n}`
					// What was sent to /dev/log waits in its socket while nobody serves.
					const arrived = `n=0; until busybox grep -q canary- /var/log/messages || [ $n = 100 ]; do n=$((n + 1)); sleep 0.05; done`
					await runtime.write(
						`cat /proc/self/mountinfo; logger canary-${id}; ${arrived}; cat /var/log/messages; echo "<4>kmsg-${id}" >/dev/kmsg; busybox dmesg`,
					)
					const before = await engine()
					process.env['POGS_TEST_DELAY'] = delay
					process.env['POGS_TEST_KILL'] = String(before.pid)
					const { code, stdout, stderr } = await runtime.call('run', id)
					t.is(code, 0, `${delay}: ${stderr}`)
					t.deepEqual([...stdout.matchAll(OWN)].map(match => match[1] ?? '').sort(), ALL, delay)
					t.true(stdout.includes(`: canary-${id}\n`), delay)
					t.true(stdout.includes(`] kmsg-${id}\n`), delay)
					await until('the engine was killed', async () => (await engine()).restarts === before.restarts + 1, 20_000)
					await until('its POG is freed', async () => (await pogs()).length === 0, 20_000)
				}
			} finally {
				await runtime.close()
			}
		},
	)
}

needs(BUSYBOX, 'runc')('a preparation that is asked again while the first is under way is the same start', async t => {
	const runtime = new Runtime(service, 'runc')
	try {
		// What a wrapper does whose question an engine did not live to answer: the next one goes on with the start, and is asked once more.
		await runtime.write('busybox dmesg; cat /proc/self/mountinfo')
		const ctl = join(service.runDir, 'host/ctl')
		const line = `prepare\t${runtime.bundle}\tasked-twice\trunc`
		const ask = `exec 3<>${ctl} 4<>${ctl}; echo "${line}" >&3; echo "${line}" >&4; read -r a <&3; read -r b <&4; echo "$a/$b"`
		t.is(await output('sh', ['-c', ask]), 'ok/ok\n')
		const state = join(service.directory, 'asked-state')
		const stdout = await output('runc', ['--root', state, 'run', '--bundle', runtime.bundle, 'asked-twice'])
		t.deepEqual([...stdout.matchAll(OWN)].map(match => match[1] ?? '').sort(), ALL)
		await until('its POG is freed', async () => (await pogs()).length === 0, 20_000)
	} finally {
		await runtime.close()
	}
})
