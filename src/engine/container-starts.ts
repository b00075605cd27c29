/**
 * Containers between the preparation of their bundle and the start of their program.
 *
 * A runtime that brings a seccomp listener connects to its socket by way of a link of ours, `RUN/host/start/NAME`
 * (`vfs/control-tree.ts`), and the reading of that link waits for `meet`. runc (1.0 to 1.3, `procSeccomp` in process_linux.go) connects
 * when its first process has made and entered its mounts and waits to be let go on: the POG is mounted then, from outside, as in
 * a container that runs. No hook, no program, no mount of the runtime's is needed. crun connects before it makes anything:
 * there it only waits until the POG is served. Invariant: no program of a container begins before its log is there; where that fails,
 * the runtime is told ECANCELED and the container is not started.
 */
import { setImmediate } from 'node:timers/promises'
import {
	attachRunning,
	closeTrees,
	readyToAttach,
	type RunningContainer,
	takeTrees,
	type Trees,
} from '../attach/attach-running.ts'
import { firstInNewNamespace } from '../attach/process.ts'
import type { Failure, Outcome } from '../control/service.ts'
import type { PogInfo } from '../pog/info.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { KeptStarts, StartPlace } from './kept-starts.ts'
import type { Log } from './log.ts'

export interface Start {
	readonly containerId: string
	/** Makes the POG. */
	readonly make: () => Promise<Outcome<PogInfo>>
	/** What is to be mounted from outside; left out where the runtime's mounts are all. */
	readonly mounts?: Pick<RunningContainer, 'attach' | 'hostRoot' | 'targets'>
}

interface Expected extends Omit<Start, 'make'> {
	readonly place: StartPlace
	readonly made: Promise<Outcome<PogInfo>>
	/** What will be mounted; empty where that is the runtime's. */
	readonly trees: Promise<Trees>
	readonly timer: NodeJS.Timeout
}

/** A start that nobody comes to is forgotten. */
const FORGET_AFTER_MS = 120_000
/** From the answer until the listener has come that tells of the start. */
const KNOWN_AFTER_MS = 2_000
/** Reasons kept for those who ask why a container did not start. */
const MAX_REASONS = 64

export class ContainerStarts {
	readonly #lifecycle: Lifecycle
	readonly #log: Log
	/** By the name of the POG. */
	readonly #expected = new Map<string, Expected>()
	/** For the next engine. */
	readonly kept: KeptStarts
	/** Why the last ones failed, by the container's id. */
	readonly #reasons = new Map<string, string>()

	constructor(lifecycle: Lifecycle, kept: KeptStarts, log: Log) {
		this.kept = kept
		this.#lifecycle = lifecycle
		this.#log = log
	}

	/** Has the POG made when the runtime has been let go on, beside its own work; `meet` waits for it. */
	expect(name: string, start: Start, place: StartPlace, isMade = false): void {
		// Asked twice: by a runtime whose question an engine did not live to answer, while we go on with the start that was written down.
		const before = this.#expected.get(name)?.made
		this.#drop(name)
		this.#lifecycle.stir()
		this.kept.begin(name, place, isMade)
		const { containerId, make, mounts } = start
		const timer = setTimeout(() => this.#drop(name), FORGET_AFTER_MS).unref()
		const made = after(before, make).then(pog => {
			// It may be mounted from now on, so the next engine must not make another one.
			if ('value' in pog) this.kept.made(name, place)
			return pog
		})
		const trees = made.then(pog =>
			'failure' in pog || mounts === undefined ? new Map() : takeTrees({ ...mounts, paths: pog.value.paths }),
		)
		this.#expected.set(name, { containerId, place, made, trees, timer, ...(mounts === undefined ? {} : { mounts }) })
		if (mounts !== undefined) readyToAttach()
	}

	/** Nobody comes for it any more. */
	#drop(name: string): void {
		const dropped = this.#take(name)
		if (dropped === undefined) return
		this.kept.forget(name, dropped.place)
		void dropped.trees.then(closeTrees)
	}

	#take(name: string): Expected | undefined {
		const expected = this.#expected.get(name)
		clearTimeout(expected?.timer)
		this.#expected.delete(name)
		return expected
	}

	/** Id of the container that is about to start with a POG of that name. */
	awaited(name: string): string | undefined {
		return this.#expected.get(name)?.containerId
	}

	/** The container will not come: its POG goes, when it has been made. Whether it was expected. */
	forget(containerId: string): boolean {
		for (const [name, { containerId: expected, made }] of this.#expected) {
			if (expected !== containerId) continue
			this.#drop(name)
			void made.then(() => this.#lifecycle.discard(containerId))
			return true
		}
		return false
	}

	/** A thread of a runtime is about to bring a listener for this POG: at the container's start, or for a program run in it later. */
	async meet(name: string, thread: number): Promise<Outcome<string>> {
		const start = this.#take(name)
		if (start === undefined) {
			return this.#lifecycle.isRunning(name) ? { value: '' } : failure(`No container with POG "${name}" is starting`)
		}
		const done = await this.#begin(start, thread)
		// Before the runtime is told: a program that is run in it later is no start. Where the runtime makes the mounts no harm can come of
		// that, and until the container is known as running the question may come once more.
		const seenThrough = (): void => this.kept.forget(name, start.place)
		if (start.mounts === undefined && 'value' in done) setTimeout(seenThrough, KNOWN_AFTER_MS).unref()
		else seenThrough()
		if ('value' in done) return { value: '' }
		const { message } = done.failure
		this.#log('error', 'a container is not started, because its log cannot be mounted', { pog: name, cause: message })
		for (const oldest of this.#reasons.keys()) {
			if (this.#reasons.size < MAX_REASONS) break
			this.#reasons.delete(oldest)
		}
		this.#reasons.set(start.containerId, message)
		await this.#lifecycle.discard(start.containerId)
		return done
	}

	async #begin({ containerId, made, mounts, trees: taking }: Expected, thread: number): Promise<Outcome<unknown>> {
		const pog = await made
		const trees = await taking
		if ('failure' in pog || mounts === undefined) return pog
		const pid = firstInNewNamespace(thread)
		if (pid === undefined) {
			closeTrees(trees)
			return failure(`Process ${thread} starts no container`)
		}
		const attaching = attachRunning({ ...mounts, paths: pog.value.paths, trees, pid })
		const begun = this.#lifecycle.begin(containerId, pid)
		const attached = await attaching
		// The runtime is let go on first. It is written down who the first process is: a later engine would watch it too.
		void setImmediate().then(() => this.#lifecycle.watch(containerId))
		return 'problem' in attached ? failure(attached.problem) : begun
	}

	/** Why the container of this id was not started, once; empty when we know of nothing. */
	reason(containerId: string): string {
		const reason = this.#reasons.get(containerId) ?? ''
		this.#reasons.delete(containerId)
		return reason
	}
}

/** Not before what is asked now has its answer, and when the earlier one of the same name is whole: the later one replaces it. */
async function after(before: Promise<unknown> | undefined, make: Start['make']): Promise<Outcome<PogInfo>> {
	await setImmediate()
	await before
	try {
		return await make()
	} catch (cause) {
		return failure(`Cannot make a POG: ${cause instanceof Error ? cause.message : String(cause)}`)
	}
}

function failure(message: string): Failure {
	return { failure: { status: 422, message } }
}
