/**
 * Puts a POG in front of a container that already runs, named by one of its processes, and takes it away again.
 *
 * Source: setns(2): a thread may join a mount namespace when it shares its root and working directory with no other, so
 * each job gets a thread of its own (`namespace-thread.ts`), which ends with it. Invariant: the calling thread waits for
 * nothing that a container can delay, and every job is answered once.
 */
import { Worker } from 'node:worker_threads'
import type { PogPaths } from '../pog/info.ts'
import { type Attachable, pointsOf } from './oci/attachable.ts'

export interface RunningContainer {
	/** A process of the container, as the host sees it. */
	readonly pid: number
	readonly paths: PogPaths
	/** /run/pog comes with any of them. */
	readonly attach: ReadonlySet<Attachable>
	/** Where its root file system is in the process's mount namespace, when that has not been entered yet; `/` otherwise. */
	readonly root?: string
	/** How long a container may make us wait; 10 s by default. */
	readonly timeoutMs?: number
}

/** One mount to make: where it comes from on the host and where it goes in the container. */
export interface AttachTarget {
	readonly source: string
	readonly path: string
	readonly kind: 'directory' | 'file'
	/** The container can do without: left out when it has no place for it. */
	readonly optional: boolean
	/** Made by the kernel or not at all; without it there is nothing to hide. */
	readonly existing: boolean
	/** Nobody else uses this place, so an empty one was made for us. */
	readonly ownPlace: boolean
}

export interface AttachJob {
	readonly action: 'attach' | 'detach'
	readonly pid: number
	/** See `RunningContainer`. */
	readonly root?: string
	readonly targets: readonly AttachTarget[]
}

/** The container's paths that were mounted or unmounted, and what was left out with its reason; or why nothing was done. */
export type AttachOutcome = { readonly value: string[]; readonly left: string[] } | { readonly problem: string }

type Manners = Pick<AttachTarget, 'optional' | 'existing' | 'ownPlace'>

const PLAIN: Manners = { optional: false, existing: false, ownPlace: false }
/** How a running container's places differ. */
const MANNERS: Readonly<Record<keyof PogPaths, Manners>> = {
	varLog: PLAIN,
	procKmsg: { ...PLAIN, existing: true },
	devKmsg: { ...PLAIN, ownPlace: true },
	devLog: { ...PLAIN, ownPlace: true },
	syslogConf: { ...PLAIN, optional: true },
	runPog: { ...PLAIN, optional: true, ownPlace: true },
}

const DEFAULT_TIMEOUT_MS = 10_000

/** Mounts a POG in a running container: all that was asked for, or nothing. What is there already counts as mounted. */
export function attachRunning(container: RunningContainer): Promise<AttachOutcome> {
	const root = container.root === undefined ? {} : { root: container.root }
	return runInThread(container, { action: 'attach', pid: container.pid, ...root, targets: targetsOf(container) })
}

/** Unmounts what a container has of a POG. Files that are open there stay readable until they are closed. */
export function detachRunning(container: RunningContainer): Promise<AttachOutcome> {
	return runInThread(container, { action: 'detach', pid: container.pid, targets: targetsOf(container).reverse() })
}

function targetsOf({ paths, attach }: RunningContainer): AttachTarget[] {
	return pointsOf(attach).map(({ source, target, kind }) => ({
		source: paths[source],
		path: target,
		kind,
		...MANNERS[source],
	}))
}

function runInThread(container: RunningContainer, job: AttachJob): Promise<AttachOutcome> {
	const { pid, timeoutMs = DEFAULT_TIMEOUT_MS } = container
	if (!Number.isSafeInteger(pid) || pid < 1) return Promise.resolve({ problem: `"${pid}" is no process id` })
	return new Promise(resolve => {
		const worker = startThread(job)
		const answer = (outcome: AttachOutcome): void => {
			clearTimeout(timer)
			resolve(outcome)
		}
		const timer = setTimeout(() => {
			// A thread that a file system of the container holds up cannot be stopped, only left behind.
			void worker.terminate()
			answer({ problem: `The container of process ${pid} did not let us finish in ${timeoutMs} ms` })
		}, timeoutMs)
		worker.once('message', (outcome: AttachOutcome) => answer(outcome))
		worker.once('error', error => answer({ problem: `Cannot ${job.action} process ${pid}: ${error.message}` }))
		worker.once('exit', () => answer({ problem: `Cannot ${job.action} process ${pid}: the thread ended early` }))
	})
}

/** From compiled files the thread's module is loaded as it is; from TypeScript (tests) tsx has to be started in it. */
function startThread(job: AttachJob): Worker {
	const options = { workerData: job, stdout: false, stderr: false }
	if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./namespace-thread.js', import.meta.url), options)
	const module = JSON.stringify(new URL('./namespace-thread.ts', import.meta.url).href)
	return new Worker(`import('tsx/esm/api').then(tsx => tsx.tsImport(${module}, ${module}))`, { ...options, eval: true })
}
