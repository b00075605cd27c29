/**
 * The composition root: starts a service in a run directory and stops it again. Everything is made here and handed down.
 */
import { close as closeFile, mkdirSync, readFileSync, rmSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'
import type { Api } from '../control/api.ts'
import { apiSocketPath } from '../control/calls.ts'
import { loadFuseNative } from '../fuse/native-package.ts'
import { EAGAIN, errnoName } from '../lib/errno.ts'
import { close } from '../sys/io.ts'
import { lockDirectory } from '../sys/lock.ts'
import { Calm } from './calm.ts'
import { ContainerStarts } from './container-starts.ts'
import { openApiSocket, openControl, openLxcDoor, openSyslogDoor, removeApiSocket, removeOtherDoors } from './doors.ts'
import type { Upbringing } from '../sys/upbringing.ts'
import { FdStore } from './fd-store.ts'
import { groupId, openTo, refusalOf } from './peers.ts'
import { runHostCommand } from './host-commands.ts'
import { KeptStarts } from './kept-starts.ts'
import { Lifecycle } from './lifecycle.ts'
import type { Log } from './log.ts'
import type { ShardEvent } from './messages.ts'
import type { Transport } from './transports.ts'
import { EngineService } from './pog-service.ts'
import { watchPolicy } from './policy.ts'
import { reattach } from './reattach.ts'
import { readSavedEngine, readSavedPogs } from './saved-pogs.ts'
import { ShardClient } from './shard-client.ts'
import { nowUs, type Phases } from './standby.ts'
import { giveBack, takeOver } from './takeover.ts'
import { checkState, upgrade } from './upgrade.ts'

export interface ServeOptions {
	runDir: string
	etcDir: string
	transport: Transport
	/** The process that was started as the service: ours, or our keeper's. */
	leader: number
	log: Log
	/** What the keeper gave us. */
	upbringing: Upbringing
	/** Gets when the POGs were served, and when everything was. */
	phases: Phases
	/** The shard's thread, when it was started already. */
	shardThread?: Worker | undefined
	/** The path of pogshim, as the next engine is started by it. */
	program: string
	/** Everything is suspended for the next engine: the process ends with code 0. */
	onReplaced: () => void
	/** The data plane ended by itself: the process has nothing left to do. */
	onFatal: (cause: unknown) => void
}

export interface Service {
	/** How many engines took over from one before; 0 for the first. */
	readonly restarts: number
	/**
	 * Suspends everything for an engine of the version that is installed, as `onReplaced` then tells; or why it does not: then
	 * nothing has changed.
	 */
	leave(): Promise<string | undefined>
	/** Ends the API, gives back every POG, mount and socket. */
	stop(): Promise<void>
}

/** Where the script that containers see as /run/pog/pogctl lies: beside `src` and `dist` alike. */
const POGCTL_INSIDE = new URL('../../mount/pogctl-inside.sh', import.meta.url)

/** What was received and not looked at: of messages, calls, requests. */
const STAGING = ['staging', 'staging-calls', 'staging-request']
const BEATS_A_PERIOD = 3
const LOCK_AGAIN_MS = 100

/** Starts the service, or goes on with an earlier engine's; or what stands against it. */
export async function serve(options: ServeOptions): Promise<{ value: Service } | { problem: string }> {
	const { runDir, etcDir, transport, log } = options
	const { inherited, notifySocket, watchdogUs } = options.upbringing
	const missing = transport === 'fuse-native' ? loadFuseNative() : undefined
	if (typeof missing === 'string') return { problem: missing }
	mkdirSync(runDir, { recursive: true, mode: 0o700 })
	const group = groupId()
	if (group !== null) openTo(group, runDir, 0o710)
	let lock = lockDirectory(runDir)
	// What a keeper gave us was the engine's before, whose remains may hold the lock until we answer what they wait for (`keeper/remains.ts`).
	if (lock === -EAGAIN && inherited.size === 0) {
		return { problem: `Another pogshim serves ${runDir}: stop it, or choose another --run-dir` }
	}
	if (lock < 0 && lock !== -EAGAIN) return { problem: `Cannot lock ${runDir}: ${errnoName(lock)}` }
	const state = checkState(runDir)
	// Without anything kept there is nothing to lose but what is of no use to us.
	if ('problem' in state && inherited.size > 0) return state
	const features: Record<string, string | number | boolean> = {
		transport,
		keeper: notifySocket === null ? 'none' : 'there',
	}
	const fdStore = new FdStore(notifySocket, problem => {
		// Told once: every sign of life would tell it again.
		if (features['keeper'] !== 'gone') log('error', problem)
		features['keeper'] = 'gone'
	})
	const before = readSavedEngine(runDir)
	let stopping = false
	/** Host commands come when the control file is served, which is last. */
	let commands = 0
	let api: Api | undefined
	let obey = (_command: number, _line: string): Promise<void> => Promise.resolve()
	const policy = watchPolicy(etcDir, log, next => {
		const { devkmsg, passthrough, defaultConf, maxRingBytes } = next
		void shard.ask('policy', { devkmsg, passthrough, defaultConf, maxRingBytes })
		tellStandby()
	})
	/** The next engine is loaded beforehand, unless the host has no memory for it, or a process takes its mounts with it anyway. */
	const tellStandby = (before = ''): void => {
		const wanted = transport === 'kernel' && policy.current.standby
		fdStore.notify(`${before}X_POGS_STANDBY=${wanted ? 1 : 0}`)
	}
	const stagingPath = transport === 'kernel' ? `${runDir}/staging` : null
	if (before === undefined) for (const name of STAGING) rmSync(`${runDir}/${name}`, { force: true })
	const shard = new ShardClient(
		{
			transport,
			leader: options.leader,
			awaited: inherited.size > 0,
			policy: policy.current,
			pogctl: readFileSync(POGCTL_INSIDE),
			notifySocket,
			stagingPath,
		},
		event => {
			if (event.event === 'hostCommand') void obey(event.command, event.line)
			else if (event.event === 'introduced') void lifecycle.introduced(event.id, event.pid)
			else if (event.event === 'resized') void lifecycle.resized(event.id)
			else if (event.event === 'spent') closeFile(event.fd, () => {})
			else if (event.event === 'noticed') service.noticed(event)
			else if (event.event === 'exited') lifecycle.processEnded(event.id)
			else hear(event, log, features)
		},
		cause => {
			if (!stopping) options.onFatal(cause)
		},
		options.shardThread,
	)
	const service = new EngineService(shard, {
		runDir,
		fdStore,
		restarts: before === undefined ? 0 : before.restarts + 1,
		startedAtMs: before?.startedAtMs ?? Date.now(),
		policy,
		transport,
		features,
		calm: new Calm(),
		upgrade: () =>
			upgrade({
				runDir,
				program: options.program,
				kept: notifySocket !== null && transport === 'kernel',
				log,
				suspend: () => {
					stopping = true
					return shard.ask('suspend', null)
				},
				commands: () => commands,
				api: () => api,
				end: options.onReplaced,
			}),
	})
	service.table.countFrom(before?.lastId ?? 0)
	service.saveEngine()
	const lifecycle = new Lifecycle(service, () => policy.current)
	const taken = await takeOver({ service, runDir, inherited, fdStore, transport }, readSavedPogs(runDir))
	options.phases.set('served', nowUs())
	// What is awaited is there; the rest may take its time.
	if (inherited.size > 0 || taken.entries.length > 0) tellStandby('X_POGS_SERVES=1\n')
	for (const { name, why } of taken.removed) log('warn', 'removed what an earlier service left', { pog: name, why })
	// The POGs are served by now; what the rest loads takes longer than everything before.
	const [{ startApi }, { BundleAttacher }] = await Promise.all([
		import('../control/api.ts'),
		import('./bundle-attacher.ts'),
	])
	const kept = new KeptStarts(runDir, !inherited.has('host'))
	const starts = new ContainerStarts(lifecycle, kept, log)
	const host = {
		service,
		lifecycle,
		starts,
		bundles: new BundleAttacher({ lifecycle, starts, runDir, confDir: `${etcDir}/conf.d`, log }),
	}
	obey = async (command, line) => {
		commands++
		await shard.ask('answerControl', { command, line: await runHostCommand(host, line) })
		commands--
	}
	const keeping = { runDir, inherited, fdStore, group }
	const socket = openApiSocket(keeping)
	const opened =
		'problem' in socket
			? socket
			: await startApi({
					service,
					socketPath: apiSocketPath(runDir),
					fd: socket.fd,
					refuses: fd => refusalOf(fd, group),
					onBug: (what, error) =>
						log('error', 'the API failed', {
							request: what,
							cause: String(error instanceof Error ? error.stack : error),
						}),
				})
	if ('problem' in opened) {
		stopping = true
		await shard.ask('stop', null)
		await policy.close()
		if (lock >= 0) close(lock)
		return opened
	}
	// Before the first request: there may be POGs from now on, which are not to end with an engine that dies before it is ready.
	fdStore.notify('X_POGS_SERVES=1')
	api = opened.value
	host.bundles.resume()
	for (const open of [openControl, openSyslogDoor, openLxcDoor]) {
		const problem = await open(keeping, shard)
		if (problem !== undefined) log('warn', problem)
	}
	giveBack(inherited, fdStore)
	// The remains go when what they wait for was answered.
	const locking = setInterval(() => {
		if (lock < 0) lock = lockDirectory(runDir)
		if (lock >= 0) clearInterval(locking)
	}, LOCK_AGAIN_MS).unref()
	// In the order in which they ended: when there are too many the oldest go.
	const byEnd = [...taken.entries].sort((a, b) => (a.removeAtMs ?? 0) - (b.removeAtMs ?? 0))
	for (const entry of byEnd) await lifecycle.resume(entry)
	options.phases.set('ready', nowUs())
	tellStandby('READY=1\n')
	// Behind READY: a container that holds us up must not keep the service from being there.
	for (const entry of taken.cutOff) if (entry.status === 'running') void reattach(service, entry, log)
	const heartbeat = beat(shard, fdStore, watchdogUs)
	return {
		value: {
			restarts: service.describe().restarts,
			async leave() {
				const outcome = await service.upgrade()
				return 'failure' in outcome ? outcome.failure.message : undefined
			},
			async stop() {
				stopping = true
				clearInterval(heartbeat)
				clearInterval(locking)
				fdStore.notify('STOPPING=1')
				await opened.value.close()
				removeApiSocket(keeping)
				await policy.close()
				await service.close()
				removeOtherDoors(keeping)
				for (const name of STAGING) rmSync(`${runDir}/${name}`, { force: true })
				kept.remove()
				if (lock >= 0) close(lock)
			},
		},
	}
}

/** Tells the keeper that we live, as long as both threads do. */
function beat(shard: ShardClient, fdStore: FdStore, watchdogUs: number): NodeJS.Timeout | undefined {
	if (watchdogUs === 0) return undefined
	const tell = async (): Promise<void> => {
		const answered = await shard.ask('ping', null)
		if ('value' in answered) fdStore.notify('WATCHDOG=1')
	}
	return setInterval(() => void tell(), watchdogUs / 1000 / BEATS_A_PERIOD).unref()
}

type OtherEvent = Exclude<
	ShardEvent,
	{ event: 'hostCommand' | 'exited' | 'introduced' | 'resized' | 'spent' | 'noticed' }
>

function hear(event: OtherEvent, log: Log, features: Record<string, string | number | boolean>): void {
	switch (event.event) {
		case 'ready':
			return
		case 'log':
			return log(event.level, event.message, event.fields)
		case 'negotiated':
			Object.assign(features, { fuse: event.protocol }, event.features)
			return
		case 'gone':
			return log('warn', 'a connection is gone: its mount was removed', { id: event.id })
	}
}
