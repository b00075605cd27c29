/**
 * The composition root: starts a service in a run directory and stops it again. Everything is made here and handed down.
 */
import { mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { apiSocketPath } from '../control/calls.ts'
import { startApi } from '../control/api.ts'
import { loadFuseNative } from '../fuse/native-package.ts'
import { EAGAIN, errnoName } from '../lib/errno.ts'
import { close } from '../sys/io.ts'
import { lockDirectory } from '../sys/lock.ts'
import { mountFuse, unmount } from '../sys/mount.ts'
import { listenStream } from '../sys/seccomp-socket.ts'
import { seccompSocketPath } from '../attach/container-process.ts'
import { BundleAttacher } from './bundle-attacher.ts'
import { runHostCommand } from './host-commands.ts'
import { Lifecycle } from './lifecycle.ts'
import type { Log } from './log.ts'
import type { ShardEvent, Transport } from './messages.ts'
import { EngineService } from './pog-service.ts'
import { watchPolicy } from './policy.ts'
import { ShardClient } from './shard-client.ts'
import { releaseLeftovers } from './store.ts'

export interface ServeOptions {
	runDir: string
	etcDir: string
	transport: Transport
	log: Log
	/** The data plane ended by itself: the process has nothing left to do. */
	onFatal: (cause: unknown) => void
}

export interface Service {
	/** Ends the API, gives back every POG, mount and socket. */
	stop(): Promise<void>
}

/** Where the script that containers see as /run/pog/pogctl lies: beside `src` and `dist` alike. */
const POGCTL_INSIDE = new URL('../../mount/pogctl-inside.sh', import.meta.url)

/** Starts the service; or what stands against it. */
export async function serve(options: ServeOptions): Promise<{ value: Service } | { problem: string }> {
	const { runDir, etcDir, transport, log } = options
	const missing = transport === 'fuse-native' ? loadFuseNative() : undefined
	if (typeof missing === 'string') return { problem: missing }
	mkdirSync(runDir, { recursive: true, mode: 0o700 })
	const lock = lockDirectory(runDir)
	if (lock === -EAGAIN) {
		return { problem: `Another pogshim serves ${runDir}: stop it, or choose another --run-dir` }
	}
	if (lock < 0) return { problem: `Cannot lock ${runDir}: ${errnoName(lock)}` }
	const leftovers = releaseLeftovers(runDir)
	unmountControl(runDir)
	if (leftovers.length > 0) log('warn', 'removed what a service that was killed left', { pogs: leftovers.join(' ') })
	let stopping = false
	const features: Record<string, string | number | boolean> = { transport }
	const policy = watchPolicy(etcDir, log, next => {
		const { devkmsg, defaultConf, maxRingBytes } = next
		void shard.ask('policy', { devkmsg, defaultConf, maxRingBytes })
	})
	const shard = new ShardClient(
		{ transport, policy: policy.current, pogctl: readFileSync(POGCTL_INSIDE) },
		event => {
			if (event.event === 'hostCommand') void obey(event.command, event.line)
			else if (event.event === 'resized') void lifecycle.resized(event.id)
			else if (event.event === 'noticed') service.noticed(event)
			else if (event.event === 'exited') void lifecycle.processEnded(event.id)
			else hear(event, log, features)
		},
		cause => {
			if (!stopping) options.onFatal(cause)
		},
	)
	const service = new EngineService(shard, {
		runDir,
		restarts: 0,
		startedAtMs: Date.now(),
		policy,
		transport,
		features,
	})
	const lifecycle = new Lifecycle(service, () => policy.current)
	const host = {
		service,
		lifecycle,
		bundles: new BundleAttacher({ lifecycle, runDir, confDir: `${etcDir}/conf.d`, log }),
	}
	const obey = async (command: number, line: string): Promise<void> => {
		await shard.ask('answerControl', { command, line: await runHostCommand(host, line) })
	}
	const api = await startApi({
		service,
		socketPath: apiSocketPath(runDir),
		onBug: (what, error) =>
			log('error', 'the API failed', { request: what, cause: String(error instanceof Error ? error.stack : error) }),
	})
	if ('problem' in api) {
		stopping = true
		await shard.ask('stop', null)
		await policy.close()
		close(lock)
		return api
	}
	const control = await mountControl(runDir, shard)
	if (control !== undefined) log('warn', control)
	const syslog = await openSyslogDoor(runDir, shard)
	if (syslog !== undefined) log('warn', syslog)
	return {
		value: {
			async stop() {
				stopping = true
				await api.value.close()
				await policy.close()
				await service.close()
				unmountControl(runDir)
				rmSync(seccompSocketPath(runDir), { force: true })
				close(lock)
			},
		},
	}
}

/** Listens for containers' seccomp listeners; or what stands against it. Only syslog(2) needs it. */
async function openSyslogDoor(runDir: string, shard: ShardClient): Promise<string | undefined> {
	const path = seccompSocketPath(runDir)
	rmSync(path, { force: true })
	const socketFd = listenStream(path)
	if (socketFd < 0) return `Cannot listen at ${path}: ${errnoName(socketFd)}; syslog(2) will not be answered`
	const served = await shard.ask('serveSyslog', { socketFd })
	return 'error' in served ? served.error : undefined
}

/** Mounts the host's control file at `RUN/host`; or what stands against it. Everything but runtimes works without it. */
async function mountControl(runDir: string, shard: ShardClient): Promise<string | undefined> {
	const target = `${runDir}/host`
	mkdirSync(target, { recursive: true, mode: 0o700 })
	const mounted = mountFuse(target, { fsname: 'pogs:host' })
	if (typeof mounted === 'number')
		return `Cannot mount ${target}: ${errnoName(mounted)}; runtime wrappers and hooks will not work`
	const served = await shard.ask('serveControl', { fuseFd: mounted.fd })
	return 'error' in served ? served.error : undefined
}

function unmountControl(runDir: string): void {
	const target = `${runDir}/host`
	while (unmount(target, true) === 0) {}
	try {
		rmdirSync(target)
	} catch {}
}

type OtherEvent = Exclude<ShardEvent, { event: 'hostCommand' | 'exited' | 'resized' | 'noticed' }>

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
