/**
 * Makes a POG for a container that a runtime is about to create, and puts it into the container's OCI bundle.
 *
 * Invariant: after a failure there is no POG and the bundle is as it was.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Attachable, ATTACH_ALL, pointsOf } from '../attach/oci/attachable.ts'
import { checkConfig, type OciConfig, parseConfigText, renderConfig } from '../attach/oci/config.ts'
import { editBundle } from '../attach/oci/edit-bundle.ts'
import type { Failure, Outcome, PogSpec } from '../control/service.ts'
import type { PogInfo } from '../pog/info.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Log } from './log.ts'

/** What a container's annotations and environment ask for. */
export interface Settings {
	readonly name?: string
	readonly ringBytes?: number
	readonly quotaBytes?: number
	readonly conf?: string
	readonly attach: ReadonlySet<Attachable>
	readonly owner: { uid: number; gid: number }
}

const HOOK_PATH = fileURLToPath(new URL('../../mount/pogs-hook', import.meta.url))
const MAX_CONFIG_BYTES = 16 << 20

export class BundleAttacher {
	readonly #lifecycle: Lifecycle
	readonly #runDir: string
	readonly #log: Log

	constructor(lifecycle: Lifecycle, runDir: string, log: Log) {
		this.#lifecycle = lifecycle
		this.#runDir = runDir
		this.#log = log
	}

	/** Before `create`: the POG, and `config.json` with it. Answers the POG's name. */
	async prepare(bundle: string, containerId: string, engine: string): Promise<Outcome<string>> {
		const read = await this.#read(bundle)
		if ('failure' in read) return read
		const { config, settings } = read.value
		if (settings.attach.size === 0) return { value: '' }
		const made = await this.#lifecycle.prepare(specOf(containerId, config, settings))
		if ('failure' in made) return made
		const pog = made.value
		const edited = editBundle(config, {
			pog: pog.name,
			paths: pog.paths,
			attach: settings.attach,
			hookPath: HOOK_PATH,
			runDir: this.#runDir,
		})
		if ('problem' in edited) {
			await this.#lifecycle.discard(containerId)
			return failure(edited.problem)
		}
		try {
			const beside = `${bundle}/config.json.pogs`
			await writeFile(beside, renderConfig(edited.value), { mode: 0o600 })
			await rename(beside, `${bundle}/config.json`)
		} catch (cause) {
			await this.#lifecycle.discard(containerId)
			return failure(`Cannot write "${bundle}/config.json": ${String(cause)}`)
		}
		this.#log('info', 'prepared', { container: containerId, pog: pog.name, engine })
		return { value: pog.name }
	}

	/** In a createContainer hook without the wrapper: the POG, and what the hook has to bind, as SOURCE TAB TARGET pairs. */
	async hook(containerId: string, pid: number, rootfs: string, bundle: string): Promise<Outcome<string>> {
		const read = await this.#read(bundle)
		if ('failure' in read) return read
		const { config, settings } = read.value
		const made = await this.#lifecycle.prepare(specOf(containerId, config, settings))
		if ('failure' in made) return made
		if (pid > 0) await this.#lifecycle.started(containerId, pid)
		this.#log('info', 'hooked', { container: containerId, pog: made.value.name, rootfs })
		return { value: bindsOf(made.value, settings).join('\t') }
	}

	async #read(bundle: string): Promise<Outcome<{ config: OciConfig; settings: Settings }>> {
		let text: string
		try {
			text = await readFile(`${bundle}/config.json`, 'utf8')
		} catch (cause) {
			return failure(`Cannot read "${bundle}/config.json": ${String(cause)}`)
		}
		if (text.length > MAX_CONFIG_BYTES)
			return failure(`Cannot use "${bundle}/config.json": longer than ${MAX_CONFIG_BYTES} bytes`)
		const parsed = parseConfigText(text)
		if ('problem' in parsed) return failure(parsed.problem)
		const config = checkConfig(parsed.value)
		if ('problem' in config) return failure(config.problem)
		return { value: { config: config.value, settings: { attach: ATTACH_ALL, owner: { uid: 0, gid: 0 } } } }
	}
}

function bindsOf(pog: PogInfo, settings: Settings): string[] {
	return pointsOf(settings.attach).flatMap(({ source, target }) => [pog.paths[source], target])
}

function failure(message: string): Failure {
	return { failure: { status: 422, message } }
}

/** Engines' ids are long: their first characters name the POG, as in `docker ps`. */
const SHORT_ID = 12

function specOf(containerId: string, config: OciConfig, settings: Settings): PogSpec & { containerId: string } {
	const short = /^[0-9a-f]{32,}$/.test(containerId) ? containerId.slice(0, SHORT_ID) : containerId
	const name = (settings.name ?? short)
		.replace(/[^A-Za-z0-9._-]/g, '-')
		.replace(/^[.-]+/, '')
		.slice(0, 64)
	const hostname = config.hostname
	return {
		name: name === '' ? 'container' : name,
		containerId,
		owner: settings.owner,
		...(hostname === undefined || hostname === null || hostname === '' ? {} : { hostname }),
		...(settings.ringBytes === undefined ? {} : { ringBytes: settings.ringBytes }),
		...(settings.quotaBytes === undefined ? {} : { quotaBytes: settings.quotaBytes }),
		...(settings.conf === undefined ? {} : { conf: settings.conf }),
	}
}
