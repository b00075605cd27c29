/**
 * Hostile containers and one that suffers: four POGs whose containers do one kind of harm as hard as they can, a fifth in
 * which a well-behaved program writes a line to each of its logs every two milliseconds and takes the time.
 *
 * Each container is a session of its own, as is the service: what the kernel's fairness between groups (autogroup, or the
 * cgroups that container runtimes make) gives each of them in real life. Invariant: who sent what is counted at the sender,
 * so that a loss is seen whatever the service says.
 */
import { mkdtempSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { PogInfo } from '../../src/pog/info.ts'
import { build, isMissing, type Missing, PROJECT } from '../harness/build.ts'
import { run } from '../harness/process.ts'
import type { Service } from '../harness/service.ts'

/** What storm.c can do, and by how many processes in each of the containers. */
export const STORMS: Readonly<Record<string, number>> = {
	datagrams: 4,
	'huge-datagrams': 2,
	'fork-senders': 8,
	'kmsg-writes': 4,
	'kmsg-opens': 4,
	names: 4,
	directories: 2,
	deep: 2,
	opens: 8,
	reads: 4,
	whole: 4,
	reports: 4,
	pollers: 1,
	waiters: 1,
	configurations: 2,
	commands: 2,
	texts: 2,
	patterns: 2,
	resizes: 2,
	listings: 2,
	unseen: 2,
	oddities: 4,
	quota: 4,
	appends: 2,
	handles: 2,
}

/** How one way to log served the victim; times in microseconds. */
export interface Served {
	readonly sent: number
	readonly failed: number
	readonly p50: number
	readonly p99: number
	readonly most: number
}

export interface Suffered {
	readonly kmsg: Served
	readonly devlog: Served
	/** Round trips to a process that only answers: what the machine itself made everybody wait. */
	readonly peer: Served
	/** Records of the victim that are not there. */
	readonly lost: number
	/** The slowest answer of the API, in milliseconds. */
	readonly apiMs: number
	/** Resident memory of the service's process, in MiB: before, and at most. */
	readonly rssBefore: number
	readonly rssMost: number
	/** What each attacker printed. */
	readonly attackers: readonly string[]
}

export interface Arena {
	readonly service: Service
	readonly victim: PogInfo
	readonly attackers: readonly PogInfo[]
	readonly storm: string
	readonly probe: string
}

const ATTACKERS = 4
const CONF = '*.* /var/log/messages\n'
/** Until all processes of a storm have started. */
const GATHER_MS = 500

/** Compiles the programs and makes the POGs. */
export async function openArena(service: Service): Promise<Arena | Missing> {
	const [storm, probe] = [await build('storm'), await build('probe')]
	if (isMissing(storm)) return storm
	if (isMissing(probe)) return probe
	const victim = await service.create({ name: 'victim', conf: CONF, ringBytes: 16 << 20 })
	const attackers: PogInfo[] = []
	for (let i = 0; i < ATTACKERS; i++) attackers.push(await service.create({ name: `attacker${i}`, conf: CONF }))
	return { service, victim, attackers, storm: storm.path, probe: probe.path }
}

/** Runs a shell command where a container of the POG would be, as root with every capability; what it printed. */
export async function inside(service: Service, { paths }: PogInfo, script: string): Promise<string> {
	const environment = {
		POG_SCRATCH: mkdtempSync(path.join(service.runDir, 'inside-')),
		POG_VAR_LOG: paths.varLog,
		POG_PROC_KMSG: paths.procKmsg,
		POG_DEV_KMSG: paths.devKmsg,
		POG_DEV_LOG: paths.devLog,
		POG_SYSLOG_CONF: paths.syslogConf,
		POG_RUN_POG: paths.runPog,
	}
	const enter = path.join(PROJECT, 'fixtures/programs/inside.sh')
	const command = ['setsid', '-w', 'unshare', '-m', '--propagation', 'private', 'sh', enter, script]
	const { stdout } = await run(command, undefined, environment)
	return stdout
}

/** Lets attacker i do the i-th kind (the first one again when there are fewer) for some seconds. */
export async function suffer(arena: Arena, kinds: readonly string[], seconds: number): Promise<Suffered> {
	const { service, attackers, storm, probe } = arena
	const before = await service.show('victim')
	const engine = await service.engine()
	const rssBefore = residentMiB(engine)
	const storms = attackers.map((pog, i) => {
		const kind = kinds[i % kinds.length] ?? ''
		const command = `exec timeout -s KILL ${seconds + 20} ${storm} ${kind} ${seconds + 1} ${STORMS[kind] ?? 1}`
		return kind === 'none'
			? Promise.resolve('')
			: inside(service, pog, command).catch((error: unknown) => String(error))
	})
	await new Promise(resolve => setTimeout(resolve, GATHER_MS))
	const watching = watch(service, engine)
	const probed = await inside(service, before, `exec ${probe} ${seconds}`)
	const { apiMs, rssMost } = await watching.end()
	const ended = await Promise.all(storms)
	const [kmsg, devlog, peer] = probed.trim().split('\n').map(parseServed)
	if (kmsg === undefined || devlog === undefined || peer === undefined) throw new Error(`The probe printed ${probed}`)
	const after = await service.show('victim')
	const kept = after.accepted.kmsg + after.accepted.devlog - before.accepted.kmsg - before.accepted.devlog
	const overwritten = after.drops.overwritten - before.drops.overwritten
	return {
		kmsg,
		devlog,
		peer,
		lost: kmsg.sent + devlog.sent - kmsg.failed - devlog.failed - kept + overwritten,
		apiMs,
		rssBefore,
		rssMost,
		attackers: ended.map(said => said.trim()),
	}
}

function parseServed(line: string): Served {
	const [sent = 0, failed = 0, p50 = 0, p99 = 0, , most = 0] = line.split(' ').slice(1).map(Number)
	return { sent, failed, p50, p99, most }
}

function watch(service: Service, engine: number): { end(): Promise<{ apiMs: number; rssMost: number }> } {
	let apiMs = 0
	let rssMost = 0
	let going = true
	const watching = (async () => {
		while (going) {
			const began = performance.now()
			await service.show('victim')
			apiMs = Math.max(apiMs, performance.now() - began)
			rssMost = Math.max(rssMost, residentMiB(engine))
			await new Promise(resolve => setTimeout(resolve, 100))
		}
	})()
	return {
		end: async () => {
			going = false
			await watching
			return { apiMs, rssMost }
		},
	}
}

/** Anonymous memory of a process: rings are mapped files and paid for by their containers. */
export function residentMiB(pid: number): number {
	const kib = /^RssAnon:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
	return Math.round(Number(kib) / 1024)
}
