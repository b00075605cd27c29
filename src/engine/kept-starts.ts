/**
 * Container starts that are under way, on disk, for the engine that comes after this one.
 *
 *     RUN/starts/NAME.json       one start: the POG's name is the file's
 *
 * What a start needs is in the bundle, which its edited config.json says again; here is only which bundle, and how far it has come.
 * Invariant: a file is there from before the runtime is let go on until before it is answered that its container has its log.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/** How the next engine finds a start again. */
export interface StartPlace {
	readonly containerId: string
	readonly bundle: string
	/** The runtime's base name. */
	readonly runtime: string
}

export interface KeptStart extends StartPlace {
	/** Its POG is whole, and may be mounted somewhere already. */
	readonly made: boolean
}

const FILE_MODE = 0o600
const ENDING = '.json'

export class KeptStarts {
	readonly #directory: string

	/** Those that are under way. */
	readonly #places = new Map<string, StartPlace>()

	/** `fresh`: whoever waited for an earlier engine has been told by the kernel that it is gone. */
	constructor(runDir: string, fresh: boolean) {
		this.#directory = `${runDir}/starts`
		if (fresh) this.remove()
		mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
	}

	begin(name: string, place: StartPlace, made: boolean): void {
		this.#places.set(name, place)
		this.#write(name, { ...place, made })
	}

	/** The POG of a start is whole. One that nobody waits for any more is not written down again. */
	made(name: string, place: StartPlace): void {
		if (this.#places.get(name) === place) this.#write(name, { ...place, made: true })
	}

	#write(name: string, start: KeptStart): void {
		const path = this.#path(name)
		writeFileSync(`${path}.new`, JSON.stringify(start), { mode: FILE_MODE })
		renameSync(`${path}.new`, path)
	}

	/** Nobody waits for it any more; `place`: unless another start of that name is under way. */
	forget(name: string, place?: StartPlace): void {
		if (place !== undefined && this.#places.get(name) !== place) return
		this.#places.delete(name)
		rmSync(this.#path(name), { force: true })
	}

	/** What an earlier engine left; what cannot be understood is removed. */
	take(): { readonly name: string; readonly start: KeptStart }[] {
		const found: { name: string; start: KeptStart }[] = []
		for (const file of readdirSync(this.#directory)) {
			const name = file.endsWith(ENDING) ? file.slice(0, -ENDING.length) : undefined
			const start = name === undefined ? undefined : parse(`${this.#directory}/${file}`)
			if (name !== undefined && start !== undefined) found.push({ name, start })
			else rmSync(`${this.#directory}/${file}`, { force: true })
		}
		return found
	}

	/** The service ends: nobody comes after it. */
	remove(): void {
		rmSync(this.#directory, { recursive: true, force: true })
	}

	#path(name: string): string {
		return `${this.#directory}/${name}${ENDING}`
	}
}

function parse(path: string): KeptStart | undefined {
	try {
		const start = JSON.parse(readFileSync(path, 'utf8')) as Partial<KeptStart>
		const { containerId, bundle, runtime, made } = start
		const whole = [containerId, bundle, runtime].every(field => typeof field === 'string') && typeof made === 'boolean'
		return whole ? (start as KeptStart) : undefined
	} catch {
		return undefined
	}
}
