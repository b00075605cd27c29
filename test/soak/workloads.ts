/**
 * What goes on during a soak: each workload is a loop of its own that does one thing, waits, and does it again, by real programs
 * and real calls. None opens a path below a mount in this process.
 *
 * A workload answers how often it failed: that a POG is gone meanwhile is no failure, since others remove them.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import type { Client } from '../../src/control/client.ts'
import type { PogPaths } from '../../src/pog/info.ts'
import { fixtureProgram, PYTHON, run, start, TOP } from '../helpers/running.ts'

export interface Soak {
	readonly runDir: string
	readonly client: Client
	/** POGs that stay from the beginning to the end. */
	readonly residents: readonly { name: string; paths: PogPaths }[]
	/** Aborted at the end. */
	readonly over: AbortSignal
	/** Says that something went wrong. */
	readonly failed: (what: string) => void
}

interface Workload {
	/** Between two turns. */
	readonly pauseMs: number
	readonly turn: (soak: Soak, n: number) => Promise<void>
}

const LIMIT = { timeoutMs: 60_000 }
const CONFS = [
	'*.* /var/log/messages\n',
	'*.*;kern.none -/var/log/messages;RFC5424\nkern.* /var/log/kern.log\n',
	'mail.* /var/log/mail/mail.log\n*.wrong /x\n*.err /var/log/errors ;rotate=64k:3\n',
	':msg, contains, "never" stop\n*.* /var/log/all\n',
]

const pogctl = (soak: Soak, ...args: string[]): [string, string[]] => [
	join(TOP, 'dist/bin/pogctl'),
	['--run-dir', soak.runDir, ...args],
]

function one<T>(list: readonly T[], n: number): T {
	return list[n % list.length] as T
}

/** Runs a shell script that must succeed. */
async function sh(soak: Soak, what: string, script: string, args: readonly string[]): Promise<void> {
	const { code, stderr, timedOut } = await run('sh', ['-c', script, 'sh', ...args], LIMIT)
	if (code !== 0 && !soak.over.aborted) soak.failed(`${what}: ${timedOut ? 'hangs' : code} ${stderr.slice(-300)}`)
}

/** Runs a program for a while, then ends it. */
async function awhile(command: string, args: readonly string[], ms: number, over: AbortSignal): Promise<void> {
	const running = start(command, args)
	await delay(ms, undefined, { signal: over }).catch(() => undefined)
	await running.stop()
}

export const WORKLOADS: Readonly<Record<string, Workload>> = {
	'create and remove': {
		pauseMs: 400,
		async turn(soak, n) {
			const name = `churn-${n}`
			const made = await soak.client.call('create', {
				body: { name, ringBytes: one([65_536, 262_144, 1 << 20], n), conf: one(CONFS, n), quotaBytes: 1 << 20 },
			})
			if ('failure' in made) return soak.failed(`create: ${made.failure.message}`)
			const { paths } = made.value
			const script =
				'for n in 1 2 3 4 5; do echo "<$n>churn $n" > "$1"; done; dd if=/dev/zero of="$2/own" bs=8k count=4 2>/dev/null; cat "$2"/* > /dev/null 2>&1; :'
			await sh(soak, 'in a POG that goes', script, [paths.devKmsg, paths.varLog])
			const removed = await soak.client.call('remove', { params: { name } })
			if ('failure' in removed) soak.failed(`remove: ${removed.failure.message}`)
		},
	},
	'pogctl run': {
		pauseMs: 2500,
		async turn(soak, n) {
			const script = `logger "run ${n}"; echo "<4>run ${n}" > /dev/kmsg; dmesg | tail -n 1; cat /var/log/* > /dev/null; busybox dmesg 2>/dev/null | tail -n 1; exit 7`
			const [command, args] = pogctl(soak, 'run', '--name', `run-${n}`, '--', 'sh', '-c', script)
			const { code, stderr } = await run(command, args, LIMIT)
			if (code !== 7 && !soak.over.aborted) soak.failed(`pogctl run: ${code} ${stderr.slice(-300)}`)
		},
	},
	'steady writer': {
		pauseMs: 100,
		turn: (soak, n) =>
			awhile(PYTHON, [fixtureProgram('steady-writer.py'), one(soak.residents, n).paths.devLog, '400'], 8000, soak.over),
	},
	'kmsg writes': {
		pauseMs: 300,
		turn: (soak, n) =>
			sh(
				soak,
				'kmsg',
				'n=0; while [ $n -lt 100 ]; do echo "<6>soak $n" >&3; n=$((n+1)); done 3> "$1"; dd if="$1" iflag=nonblock bs=8k of=/dev/null 2>/dev/null; :',
				[one(soak.residents, n).paths.devKmsg],
			),
	},
	'blocked readers': {
		pauseMs: 100,
		turn: (soak, n) => awhile('cat', [one(soak.residents, n).paths.devKmsg], 3000, soak.over),
	},
	'tail -F': {
		pauseMs: 100,
		turn: (soak, n) => awhile('tail', ['-F', join(one(soak.residents, n).paths.varLog, 'messages')], 7000, soak.over),
	},
	'pogctl logs -f': {
		pauseMs: 500,
		turn: (soak, n) => {
			const [command, args] = pogctl(
				soak,
				'logs',
				...(n % 3 === 0 ? ['--all'] : [one(soak.residents, n).name]),
				'-f',
				'-n',
				'5',
			)
			return awhile(command, args, 5000, soak.over)
		},
	},
	'conf edits': {
		pauseMs: 1500,
		turn: (soak, n) =>
			sh(soak, 'conf', 'printf %s "$2" > "$1"; cat "$1" > /dev/null', [
				one(soak.residents, n).paths.syslogConf,
				one(CONFS, Math.floor(n / 2)),
			]),
	},
	rotation: {
		pauseMs: 2000,
		turn: (soak, n) =>
			sh(
				soak,
				'rotation',
				'cd "$1"; mv messages messages.1 2>/dev/null; : > messages; rm -f all kern.log; cat * > /dev/null 2>&1; :',
				[one(soak.residents, n).paths.varLog],
			),
	},
	'own files': {
		pauseMs: 700,
		turn: (soak, n) =>
			sh(
				soak,
				'own files',
				'mkdir -p "$1/d" && cd "$1/d" && for n in 1 2 3 4 5 6 7 8; do echo x > f$n; mv f$n g$n; ln -sf g$n l$n; cat l$n > /dev/null; done; ls -lR .. > /dev/null; cd ..; rm -r d',
				[one(soak.residents, n).paths.varLog],
			),
	},
	resize: {
		pauseMs: 3000,
		async turn({ client, residents, failed }, n) {
			const { name } = one(residents, n)
			const done = await client.call('resize', {
				params: { name },
				body: { sizeBytes: one([65_536, 1 << 20, 262_144], n) },
			})
			if ('failure' in done) failed(`resize: ${done.failure.message}`)
		},
	},
	API: {
		pauseMs: 250,
		async turn({ client, residents, failed, over }, n) {
			const { name } = one(residents, n)
			const asked = [
				() => client.call('list', {}),
				() => client.call('show', { params: { name } }),
				() => client.call('metrics', {}),
				() => client.call('write', { params: { name }, body: { text: `by the API ${n}` } }),
				() => client.call('readConf', { params: { name } }),
				() => client.call('clear', { params: { name } }),
				() => client.call('show', { params: { name: 'nobody' } }),
			]
			const answer = await one(asked, n)()
			const wrong = 'failure' in answer && answer.failure.status !== 404 && !over.aborted
			if (wrong) failed(`API: ${answer.failure.message}`)
		},
	},
	'attach and detach': {
		pauseMs: 4000,
		async turn(soak, n) {
			const container = start('unshare', [
				'-m',
				'-p',
				'-f',
				'--kill-child',
				'--mount-proc',
				'sh',
				'-c',
				'echo up; exec sleep 60',
			])
			try {
				await container.printed('it is up', out => out.includes('up'))
				const child = (
					await run('sh', ['-c', `cat /proc/${container.pid}/task/${container.pid}/children`])
				).stdout.trim()
				for (const args of [
					['attach', `att-${n}`, '--pid', child],
					['detach', `att-${n}`],
					['rm', `att-${n}`],
				]) {
					const { code, stderr } = await run(...pogctl(soak, ...args), LIMIT)
					if (code !== 0 && !soak.over.aborted) soak.failed(`${args[0]}: ${code} ${stderr.slice(-300)}`)
				}
			} finally {
				await container.stop('SIGKILL')
			}
		},
	},
	'what is none': {
		pauseMs: 1000,
		turn: (soak, n) =>
			sh(
				soak,
				'what is none',
				'head -c 3000 /dev/urandom > "$1/junk"; dd if=/dev/urandom of="$2" bs=2000 count=1 2>/dev/null; head -c 900 /dev/urandom | dd of="$3" bs=1k 2>/dev/null; echo nonsense > "$4/ctl" 2>/dev/null; rm "$1/junk"',
				[
					one(soak.residents, n).paths.varLog,
					one(soak.residents, n).paths.devKmsg,
					one(soak.residents, n).paths.syslogConf,
					one(soak.residents, n).paths.runPog,
				],
			),
	},
}

/** Runs every workload until the end; how many turns each had. */
export async function runWorkloads(soak: Soak): Promise<Record<string, number>> {
	const turns: Record<string, number> = {}
	const loops = Object.entries(WORKLOADS).map(async ([name, { pauseMs, turn }]) => {
		for (let n = 0; !soak.over.aborted; n++) {
			try {
				await turn(soak, n)
			} catch (error) {
				if (!soak.over.aborted) soak.failed(`${name}: ${String(error).slice(0, 300)}`)
			}
			turns[name] = n + 1
			await delay(pauseMs, undefined, { signal: soak.over }).catch(() => undefined)
		}
	})
	await Promise.all(loops)
	return turns
}
