/**
 * Makes a POG for a container that a runtime is about to create, and puts it into the container's OCI bundle; or tells a
 * hook what to mount, where there is no wrapper.
 *
 * Invariant: after a failure there is no POG and the bundle is as it was.
 */
import { readFile } from 'node:fs/promises'
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
import type { Failure, Outcome, PogSpec } from '../control/service.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Log } from './log.ts'

const MAX_TOLD_LEFT = 10
const HOOK_PATH = fileURLToPath(new URL('../../mount/pogs-hook', import.meta.url))

export interface BundleAttacherOptions {
	readonly lifecycle: Lifecycle
	readonly runDir: string
	/** Directory of the only files that a container's `pogs.conf` setting may name. */
	readonly confDir: string
	readonly log: Log
}

export class BundleAttacher {
	readonly #options: BundleAttacherOptions
	/** Containers without the wrapper between their two hooks, by id. */
	readonly #hooked = new Map<string, RunningContainer>()

	constructor(options: BundleAttacherOptions) {
		this.#options = options
	}

	/** Before `create`: the POG, and `config.json` with it. Answers the POG's name; empty when the container wants none. */
	async prepare(bundle: string, containerId: string, runtime: string): Promise<Outcome<string>> {
		const wanted = this.#read(bundle)
		if ('failure' in wanted) return wanted
		const { config, settings } = wanted.value
		if (settings.attach.size === 0) return { value: '' }
		const { lifecycle, runDir, log } = this.#options
		const made = await this.#make(containerId, config, settings, rootOf(bundle, config))
		if ('failure' in made) return made
		const pog = made.value
		const { attach } = settings
		const leaveOut = placesMissing(rootOf(bundle, config), config)
		const seccomp = { listenerPath: seccompSocketPath(runDir), metadata: pog.name }
		const plan = { pog: pog.name, paths: pog.paths, attach, hookPath: HOOK_PATH, runDir, runtime, leaveOut, seccomp }
		const edited = editBundle(config, plan)
		const problem = 'problem' in edited ? edited : writeBundle(bundle, edited.value)
		if (problem !== undefined) {
			await lifecycle.discard(containerId)
			return failure(problem.problem)
		}
		log('info', 'prepared', { container: containerId, pog: pog.name, runtime })
		return { value: pog.name }
	}

	/**
	 * A hook without the wrapper. At createRuntime (with the pid and the bundle) the POG is made; at createContainer, when the runtime
	 * has mounted everything but not entered the root yet, it is mounted in there: the hook itself does not see mounts made since its
	 * namespace was.
	 */
	async hook(containerId: string, pid: number, rootfs: string, bundle: string): Promise<Outcome<string>> {
		const { lifecycle, log } = this.#options
		if (pid === 0) {
			const hooked = this.#hooked.get(containerId)
			this.#hooked.delete(containerId)
			if (hooked === undefined) return { value: '' }
			const done = await attachRunning({ ...hooked, root: rootfs })
			return 'problem' in done ? failure(done.problem) : { value: '' }
		}
		const wanted = this.#read(bundle)
		if ('failure' in wanted) return wanted
		const { config, settings } = wanted.value
		if (settings.attach.size === 0) return { value: '' }
		const made = await this.#make(containerId, config, settings, rootOf(bundle, config))
		if ('failure' in made) return made
		const { paths, name } = made.value
		this.#hooked.set(containerId, { pid, paths, attach: settings.attach })
		await lifecycle.started(containerId, pid)
		log('info', 'hooked', { container: containerId, pog: name })
		return { value: '' }
	}

	async #make(
		containerId: string,
		config: OciConfig,
		settings: ContainerSettings,
		root: string,
	): ReturnType<Lifecycle['prepare']> {
		let conf: string | undefined
		if (settings.confPath !== undefined) {
			try {
				conf = await readFile(settings.confPath, 'utf8')
			} catch (cause) {
				return failure(`Cannot read "${settings.confPath}" for container "${containerId}": ${String(cause)}`)
			}
		}
		const made = await this.#options.lifecycle.prepare(specOf(containerId, config, settings, conf))
		if ('value' in made && settings.attach.has('varlog')) await this.#copyLower(containerId, config, root)
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

function specOf(
	containerId: string,
	config: OciConfig,
	settings: ContainerSettings,
	conf: string | undefined,
): PogSpec & { containerId: string } {
	const short = /^[0-9a-f]{32,}$/.test(containerId) ? containerId.slice(0, SHORT_ID) : containerId
	const legal = short
		.replace(/[^A-Za-z0-9._-]/g, '-')
		.replace(/^[.-]+/, '')
		.slice(0, 64)
	const { hostname } = config
	return {
		name: settings.name ?? (legal === '' ? 'container' : legal),
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
