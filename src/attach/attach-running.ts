/**
 * Puts a POG in front of a container that already runs, named by one of its processes, and takes it away again.
 *
 * Source: setns(2): a thread may join a mount namespace when it shares its root and working directory with no other, so
 * the jobs have a thread of their own (`attach-thread.ts`). Invariant: the calling thread waits for
 * nothing that a container can delay, and every job is answered once.
 */
import type { PogPaths } from '../pog/info.ts'
import { AttachThread } from './attach-thread.ts'
import { type Attachable, pointsOf } from './oci/attachable.ts'

export interface RunningContainer {
	/** A process of the container, as the host sees it. */
	readonly pid: number
	readonly paths: PogPaths
	/** /run/pog comes with any of them. */
	readonly attach: ReadonlySet<Attachable>
	/** Where its root file system is in the process's mount namespace, when that has not been entered yet; `/` otherwise. */
	readonly root?: string
	/** The same on the host, where a place can be made that the container's own view is too read-only for. */
	readonly hostRoot?: string
	/** Of the places that `attach` asks for, only these. */
	readonly targets?: ReadonlySet<string>
	/** Store of a POG that is new: the container's own /var/log is copied into it first. */
	readonly lowerStore?: string
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
	readonly hostRoot?: string
	readonly lowerStore?: string
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
	const { pid, root, hostRoot, lowerStore } = container
	const roots = { ...(root === undefined ? {} : { root }), ...(hostRoot === undefined ? {} : { hostRoot }) }
	const lower = lowerStore === undefined || !container.attach.has('varlog') ? {} : { lowerStore }
	return runInThread(container, { action: 'attach', pid, ...roots, ...lower, targets: targetsOf(container) })
}

/** Unmounts what a container has of a POG. Files that are open there stay readable until they are closed. */
export function detachRunning(container: RunningContainer): Promise<AttachOutcome> {
	return runInThread(container, { action: 'detach', pid: container.pid, targets: targetsOf(container).reverse() })
}

function targetsOf({ paths, attach, targets }: RunningContainer): AttachTarget[] {
	return pointsOf(attach)
		.filter(({ target }) => targets?.has(target) ?? true)
		.map(({ source, target, kind }) => ({ source: paths[source], path: target, kind, ...MANNERS[source] }))
}

const THREAD = new AttachThread()

/** A container is about to come: the first one need not wait for the thread to start. */
export function readyToAttach(): void {
	THREAD.ready()
}

function runInThread(container: RunningContainer, job: AttachJob): Promise<AttachOutcome> {
	const { pid, timeoutMs = DEFAULT_TIMEOUT_MS } = container
	if (!Number.isSafeInteger(pid) || pid < 1) return Promise.resolve({ problem: `"${pid}" is no process id` })
	return THREAD.run(job, timeoutMs)
}
