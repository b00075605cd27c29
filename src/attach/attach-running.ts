/**
 * Puts a POG in front of a container that already runs, named by one of its processes, and takes it away again.
 *
 * Source: setns(2): a thread may join a mount namespace when it shares its root and working directory with no other, so
 * the jobs have a thread of their own (`attach-thread.ts`). Invariant: the calling thread waits for
 * nothing that a container can delay, and every job is answered once.
 */
import type { PogPaths } from '../pog/info.ts'
import { close } from '../sys/io.ts'
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
	/** What is to be mounted, taken hold of before; they are this attempt's now. */
	readonly trees?: Trees
	/** How long a container may make us wait; 10 s by default. */
	readonly timeoutMs?: number
}

/** Detached copies of a POG's parts by their places in a container, as descriptors: to be used once, or closed. */
export type Trees = ReadonlyMap<string, number>

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
	/** Its detached copy, when there is one already. */
	readonly tree?: number
}

/** Takes hold of what an `AttachJob` will mount. */
export interface TreesJob {
	readonly action: 'trees'
	readonly targets: readonly AttachTarget[]
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

export type ThreadAnswer = AttachOutcome | { readonly trees: readonly number[] }

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

/**
 * Takes hold of what is to be mounted in a container that is about to come: each step of each path is a question to the
 * service, which need not be asked while the container waits. Empty when that cannot be done; then it is done later.
 */
export async function takeTrees(container: Pick<RunningContainer, 'paths' | 'attach' | 'targets'>): Promise<Trees> {
	const targets = targetsOf(container)
	const answer = await THREAD.run({ action: 'trees', targets }, DEFAULT_TIMEOUT_MS)
	if (!('trees' in answer)) return new Map()
	return new Map(targets.map(({ path }, at) => [path, answer.trees[at] ?? -1]))
}

/** Lets go of trees that nobody is going to mount. */
export function closeTrees(trees: Trees): void {
	for (const fd of trees.values()) if (fd >= 0) close(fd)
}

/** Unmounts what a container has of a POG. Files that are open there stay readable until they are closed. */
export function detachRunning(container: RunningContainer): Promise<AttachOutcome> {
	return runInThread(container, { action: 'detach', pid: container.pid, targets: targetsOf(container).reverse() })
}

type Wanted = Pick<RunningContainer, 'paths' | 'attach' | 'targets' | 'trees'>

function targetsOf({ paths, attach, targets, trees }: Wanted): AttachTarget[] {
	return pointsOf(attach)
		.filter(({ target }) => targets?.has(target) ?? true)
		.map(({ source, target, kind }) => {
			const tree = trees?.get(target) ?? -1
			return { source: paths[source], path: target, kind, ...MANNERS[source], ...(tree < 0 ? {} : { tree }) }
		})
}

const THREAD = new AttachThread()

/** A container is about to come: the first one need not wait for the thread to start. */
export function readyToAttach(): void {
	THREAD.ready()
}

async function runInThread(container: RunningContainer, job: AttachJob): Promise<AttachOutcome> {
	const { pid, timeoutMs = DEFAULT_TIMEOUT_MS } = container
	if (!Number.isSafeInteger(pid) || pid < 1) {
		closeTrees(container.trees ?? new Map())
		return { problem: `"${pid}" is no process id` }
	}
	const answer = await THREAD.run(job, timeoutMs)
	return 'trees' in answer ? { problem: 'The attach thread answered something else' } : answer
}
