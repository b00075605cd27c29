/**
 * Makes a POG for a container that a runtime is about to create, and puts it into the container's OCI bundle; or tells a
 * hook what to mount, where there is no wrapper.
 *
 * Invariant: after a failure there is no POG, and no container that runs without one.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { seccompSocketPath } from '../attach/container-process.ts'
import { idMapOfConfig } from '../attach/id-map.ts'
import { copyLowerVarLog } from '../attach/lower.ts'
import { attachRunning, type RunningContainer } from '../attach/attach-running.ts'
import { placesMissing, readBundle, rootOf, writeBundle } from '../attach/oci/bundle.ts'
import type { OciConfig } from '../attach/oci/config.ts'
import { editBundle } from '../attach/oci/edit-bundle.ts'
import { ownerOf } from '../attach/oci/owner.ts'
import { type ContainerSettings, readSettings } from '../attach/oci/settings.ts'
import type { Failure, Outcome } from '../control/service.ts'
import type { PogInfo } from '../pog/info.ts'
import type { ContainerStarts, Start } from './container-starts.ts'
import type { ContainerSpec, Lifecycle } from './lifecycle.ts'
import type { Log } from './log.ts'
import { isSocketPath } from '../sys/unix-sockets.ts'
import { pathsOf } from './store.ts'

/** When these runtimes connect to the listener's socket: all is mounted, or nothing is yet. Of others nothing is known. */
const MEETING: Readonly<Record<string, 'mounted' | 'early'>> = { runc: 'mounted', crun: 'early' }
const MAX_TOLD_LEFT = 10
const HOOK_PATH = fileURLToPath(new URL('../../mount/pogs-hook', import.meta.url))

export interface BundleAttacherOptions {
	readonly lifecycle: Lifecycle
	readonly starts: ContainerStarts
	readonly runDir: string
	/** Directory of the only files that a container's `pogs.conf` setting may name. */
	readonly confDir: string
	readonly log: Log
}

interface Plan {
	/** Of the POG. */
	readonly name: string
	/** What is to be written. */
	readonly config: OciConfig
	/** The runtime waits for us where it brings its listener. */
	readonly waits: boolean
	readonly make: () => Promise<Outcome<PogInfo>>
	readonly start: Start
}

export class BundleAttacher {
	readonly #options: BundleAttacherOptions
	/** Containers without the wrapper between their two hooks, by id. */
	readonly #hooked = new Map<string, RunningContainer>()

	constructor(options: BundleAttacherOptions) {
		this.#options = options
	}

	/**
	 * Before `create`: `config.json` with a POG in it. The POG itself is made meanwhile, where the runtime waits for it later
	 * (`container-starts.ts`).
	 */
	async prepare(bundle: string, containerId: string, runtime: string): Promise<Outcome<string>> {
		const planned = this.#plan(bundle, containerId, runtime)
		if (planned === undefined) return { value: '' }
		if ('failure' in planned) return planned
		const { lifecycle, starts, log } = this.#options
		const { name, config, waits, make, start } = planned.value
		const early = waits ? undefined : await make()
		if (early !== undefined && 'failure' in early) return early
		const problem = writeBundle(bundle, config)
		if (problem !== undefined) {
			if (!waits) await lifecycle.discard(containerId)
			return failure(problem.problem)
		}
		if (waits) starts.expect(name, start, { containerId, bundle, runtime })
		log('info', 'prepared', { container: containerId, pog: name, runtime })
		return { value: '' }
	}

	/** Goes on with the starts that an earlier engine had prepared and not seen through: their runtimes wait, or will. */
	resume(): void {
		const { lifecycle, starts, log } = this.#options
		for (const { name, start: kept } of starts.kept.take()) {
			const { containerId, bundle, runtime, made } = kept
			const planned = this.#plan(bundle, containerId, runtime)
			const plan = planned !== undefined && 'value' in planned ? planned.value : undefined
			// Its POG has been removed since; or, where the runtime makes the mounts, it runs and has all it waited for.
			const isOver =
				(made && !lifecycle.knows(containerId)) ||
				(plan !== undefined && plan.start.mounts === undefined && lifecycle.isRunning(name))
			if (plan?.name !== name || isOver) {
				starts.kept.forget(name)
				if (!isOver) log('warn', 'a start that was under way is given up', { container: containerId, pog: name })
				continue
			}
			const { start } = plan
			const make = made ? (): Promise<Outcome<PogInfo>> => lifecycle.show(containerId) : start.make
			starts.expect(name, { ...start, make }, { containerId, bundle, runtime }, made)
			log('info', 'goes on with a start', { container: containerId, pog: name })
		}
	}

	/** All that a bundle asks for, nothing done yet; undefined when it wants no POG. */
	#plan(bundle: string, containerId: string, runtime: string): Outcome<Plan> | undefined {
		const wanted = this.#read(bundle)
		if ('failure' in wanted) return wanted
		const { config, settings } = wanted.value
		const { attach } = settings
		if (attach.size === 0) return undefined
		const { lifecycle, runDir, starts } = this.#options
		const hostRoot = rootOf(bundle, config)
		const name = nameOf(containerId, settings)
		const link = `${runDir}/host/start/${name}`
		const waits = MEETING[runtime] !== undefined && attach.has('kmsg') && isSocketPath(link)
		const awaited = starts.awaited(name)
		if (awaited !== undefined && awaited !== containerId)
			return failure(`Another container with POG "${name}" is starting`)
		const spec = this.#spec(containerId, config, settings)
		const refused = 'failure' in spec ? spec : lifecycle.refusal(spec.value, awaited === containerId)
		if ('failure' in spec || refused !== undefined) return refused ?? (spec as Failure)
		const make = (): Promise<Outcome<PogInfo>> => this.#make(spec.value, config, settings, hostRoot)
		const seccomp = { listenerPath: waits ? link : seccompSocketPath(runDir), metadata: name, ours: `${runDir}/` }
		const edited = editBundle(config, {
			pog: name,
			paths: pathsOf(runDir, name),
			attach,
			hookPath: HOOK_PATH,
			runDir,
			runtime,
			leaveOut: placesMissing(hostRoot, config),
			seccomp,
			meets: waits && MEETING[runtime] === 'mounted',
		})
		if ('problem' in edited) return failure(edited.problem)
		const mounts = edited.outside.size > 0 ? { mounts: { attach, hostRoot, targets: edited.outside } } : {}
		return { value: { name, config: edited.value, waits, make, start: { containerId, make, ...mounts } } }
	}

	/**
	 * A hook without the wrapper. At createRuntime (with the pid and the bundle) the POG is made; at createContainer, when the runtime
	 * has mounted everything but not entered the root yet, it is mounted in there: the hook itself does not see mounts made since its
	 * namespace was.
	 */
	async hook(containerId: string, pid: number, rootfs: string, bundle: string): Promise<Outcome<string>> {
		const { lifecycle, log } = this.#options
		if (pid === 0) {
			// Between the two hooks another engine may have taken over.
			const hooked = this.#hooked.get(containerId) ?? lifecycle.runningContainer(containerId)
			this.#hooked.delete(containerId)
			if (hooked === undefined) return { value: '' }
			const done = await attachRunning({ ...hooked, root: rootfs })
			return 'problem' in done ? failure(done.problem) : { value: '' }
		}
		const wanted = this.#read(bundle)
		if ('failure' in wanted) return wanted
		const { config, settings } = wanted.value
		if (settings.attach.size === 0) return { value: '' }
		const spec = this.#spec(containerId, config, settings)
		if ('failure' in spec) return spec
		const made = await this.#make(spec.value, config, settings, rootOf(bundle, config))
		if ('failure' in made) return made
		const { paths, name } = made.value
		this.#hooked.set(containerId, { pid, paths, attach: settings.attach })
		await lifecycle.started(containerId, pid)
		log('info', 'hooked', { container: containerId, pog: name })
		return { value: '' }
	}

	#spec(containerId: string, config: OciConfig, settings: ContainerSettings): Outcome<ContainerSpec> {
		if (settings.confPath === undefined) return { value: specOf(containerId, config, settings) }
		try {
			return { value: specOf(containerId, config, settings, readFileSync(settings.confPath, 'utf8')) }
		} catch (cause) {
			return failure(`Cannot read "${settings.confPath}" for container "${containerId}": ${String(cause)}`)
		}
	}

	async #make(
		spec: ContainerSpec,
		config: OciConfig,
		settings: ContainerSettings,
		root: string,
	): Promise<Outcome<PogInfo>> {
		const made = await this.#options.lifecycle.prepare(spec, settings.attach)
		if ('value' in made && settings.attach.has('varlog')) await this.#copyLower(spec.containerId, config, root)
		return made
	}

	/** The image's own /var/log: a daemon that expects /var/log/apache2 must find it. */
	async #copyLower(containerId: string, config: OciConfig, rootfs: string): Promise<void> {
		const { lifecycle } = this.#options
		const store = lifecycle.storeOf(containerId)
		if (store === undefined) return
		const { uidMappings, gidMappings } = config.linux
		const maps = { uids: idMapOfConfig(uidMappings), gids: idMapOfConfig(gidMappings) }
		const { left, leftEntries } = copyLowerVarLog({ rootfs, store, owner: ownerOf(config), ...maps })
		for (const { path, reason } of left.slice(0, MAX_TOLD_LEFT)) {
			await lifecycle.tell(containerId, `/var/log/${path} of the image is left out: ${reason}`)
		}
		if (leftEntries > MAX_TOLD_LEFT)
			await lifecycle.tell(containerId, `${leftEntries} files of the image's /var/log are left out`)
	}

	#read(bundle: string): Outcome<{ config: OciConfig; settings: ContainerSettings }> {
		const config = readBundle(bundle)
		if ('problem' in config) return failure(config.problem)
		const settings = readSettings(config.value, this.#options.confDir)
		if ('problem' in settings) return failure(settings.problem)
		return { value: { config: config.value, settings: settings.value } }
	}
}

function failure(message: string): Failure {
	return { failure: { status: 422, message } }
}

/** Engines' ids are long: their first characters name the POG, as in `docker ps`. */
const SHORT_ID = 12

function nameOf(containerId: string, settings: ContainerSettings): string {
	const short = /^[0-9a-f]{32,}$/.test(containerId) ? containerId.slice(0, SHORT_ID) : containerId
	const legal = short
		.replace(/[^A-Za-z0-9._-]/g, '-')
		.replace(/^[.-]+/, '')
		.slice(0, 64)
	return settings.name ?? (legal === '' ? 'container' : legal)
}

function specOf(containerId: string, config: OciConfig, settings: ContainerSettings, conf?: string): ContainerSpec {
	const { hostname } = config
	return {
		name: nameOf(containerId, settings),
		containerId,
		owner: ownerOf(config),
		...(hostname ? { hostname } : {}),
		...(settings.ringBytes === undefined ? {} : { ringBytes: settings.ringBytes }),
		...(settings.quotaBytes === undefined ? {} : { quotaBytes: settings.quotaBytes }),
		...(settings.ratePerSecond
			? { rate: { perSecond: settings.ratePerSecond, burst: 2 * settings.ratePerSecond } }
			: {}),
		...(conf === undefined ? {} : { conf }),
	}
}
