/**
 * Mounts a POG in the mount namespace of a running process, and unmounts it. Runs in a thread of its own.
 *
 * Source: open_tree(2), move_mount(2), mount_namespaces(7). The container is hostile: nothing is mounted where the host would
 * see it too, and between joining its namespace and coming back only descriptors are used: no path of it is looked up, no
 * module loaded, nothing thrown. Invariant: everything is mounted, or as it was before.
 */
import { statSync } from 'node:fs'
import { ENOENT, ENOSYS, EROFS, errnoName } from '../lib/errno.ts'
import { close, O_CLOEXEC, O_DIRECTORY, O_RDONLY, openPath } from '../sys/io.ts'
import { joinMounts, NamespaceCalls, O_PATH, type Standing, unshareFs } from '../sys/namespaces.ts'
import { readProcOrThrow } from '../sys/small-file.ts'
import type { AttachJob, AttachOutcome, AttachTarget, TreesJob } from './attach-running.ts'
import { ContainerRoot, type Found, type NotFound } from './container-root.ts'
import { copyLowerVarLog } from './lower.ts'
import { type MountLine, parseMountinfo } from './mountinfo.ts'
import { ownerOfProcess } from './process.ts'

/** What may lie on one place before we give up looking below it. */
const MAX_LAYERS = 8
const MAX_TOLD_LEFT = 10
/** Stays below a POG in the place of what a runtime had hidden the host's log with, when that had to go. */
const MASK = '/dev/null'

interface Place extends Found {
	readonly target: AttachTarget
	/** The detached copy to mount; -1 when it is there already. */
	readonly tree: number
	/** How many mounts have to go first, and what takes their place; -1 for nothing. */
	readonly stale: number
	readonly mask: number
}

interface Container {
	readonly pid: number
	readonly root: ContainerRoot
	/** Its mounts by id. */
	readonly mounts: ReadonlyMap<number, MountLine>
	/** Peer groups in which the host would see what is mounted. The host's table is long: asked for only where it matters. */
	readonly hostGroups: () => ReadonlySet<number>
	/** Its root file system on the host; the owner makes places there. */
	readonly hostRoot: ContainerRoot | undefined
	readonly theirs: number
	readonly ours: number
}

/** Does what a job says; expected failures are its answer. Throws when the process ends meanwhile. */
export function runJob(job: AttachJob): AttachOutcome {
	// What was taken hold of for this job goes with it, whatever comes of it.
	const open = job.targets.flatMap(({ tree }) => tree ?? [])
	const roots: ContainerRoot[] = []
	try {
		const container = enter(job, open)
		if ('problem' in container) return container
		const { root, hostRoot } = container
		roots.push(root, ...(hostRoot ? [hostRoot] : []))
		return job.action === 'attach' ? attach(job, container, open) : detach(job, container, open)
	} finally {
		for (const root of roots) root.close()
		for (const fd of open) close(fd)
	}
}

/** Detached copies of what targets mount, in their order; a negative errno for one that cannot be had now. */
export function takeTrees({ targets }: TreesJob): number[] {
	const calls = new NamespaceCalls()
	const trees = targets.map(({ source }) => {
		const open: number[] = []
		const tree = copyTree(calls, source, open)
		if (tree < 0) for (const fd of open) close(fd)
		return tree
	})
	calls.release()
	return trees
}

/** Takes hold of a process's namespace, root and mounts. */
function enter({ pid, root: below = '', hostRoot }: AttachJob, open: number[]): Container | { problem: string } {
	const keep = (fd: number): number => (fd < 0 ? fd : (open.push(fd), fd))
	const theirs = keep(openPath(`/proc/${pid}/ns/mnt`, O_RDONLY | O_CLOEXEC))
	const ours = keep(openPath('/proc/thread-self/ns/mnt', O_RDONLY | O_CLOEXEC))
	const root = keep(openPath(`/proc/${pid}/root${below}`, O_PATH | O_DIRECTORY | O_CLOEXEC))
	if (theirs === -ENOENT) return { problem: `There is no process ${pid}` }
	const failed = Math.min(theirs, ours, root)
	if (failed < 0) return { problem: `Cannot open the namespace of process ${pid}: ${errnoName(failed)}` }
	const inode = (fd: number): number => statSync(`/proc/self/fd/${fd}`).ino
	// The host's are those of the first process; where that one is not ours to look at, our own have to do.
	const first = keep(openPath('/proc/1/ns/mnt', O_RDONLY | O_CLOEXEC))
	if ([ours, first].some(host => host >= 0 && inode(host) === inode(theirs))) {
		return { problem: `Process ${pid} sees the mounts of the host: a POG there would hide the host's own log` }
	}
	const mounts = parseMountinfo(readProcOrThrow(`/proc/${pid}/mountinfo`)).map(mount => [mount.id, mount] as const)
	const owner = ownerOfProcess(pid)
	const outer = hostRoot === undefined ? -ENOENT : keep(openPath(hostRoot, O_PATH | O_DIRECTORY | O_CLOEXEC))
	const rootAt = (fd: number) => new ContainerRoot(new NamespaceCalls(), fd, owner ?? { uid: 0, gid: 0 })
	return {
		pid,
		root: rootAt(root),
		hostRoot: outer < 0 ? undefined : rootAt(outer),
		mounts: new Map(mounts),
		hostGroups: readHostGroups,
		theirs,
		ours,
	}
}

function readHostGroups(): ReadonlySet<number> {
	const mounts = parseMountinfo(readProcOrThrow('/proc/self/mountinfo'))
	return new Set(mounts.flatMap(mount => [mount.shared, mount.master]).filter(group => group > 0))
}

function attach(job: AttachJob, container: Container, open: number[]): AttachOutcome {
	const places: Place[] = []
	const left: string[] = []
	for (const target of job.targets) {
		const place = prepare(target, container, open)
		if (!('errno' in place)) places.push(place)
		else if (target.optional || (target.existing && place.errno === -ENOENT)) left.push(place.text)
		else return { problem: place.text }
	}
	if (job.lowerStore !== undefined) left.push(...copyLower(container.pid, job.lowerStore, open))
	const problem = inside(container, () => mountAll(places, container.root))
	return problem === undefined ? { value: places.map(place => place.target.path), left } : { problem }
}

/** What the container has in its /var/log, since daemons look for their directories there; what is left out. */
function copyLower(pid: number, storePath: string, open: number[]): string[] {
	const store = openPath(storePath, O_DIRECTORY | O_CLOEXEC)
	if (store < 0) return [`Cannot copy /var/log: ${errnoName(store)}`]
	open.push(store)
	const { left, leftEntries } = copyLowerVarLog({ rootfs: `/proc/${pid}/root`, store })
	const told = left.slice(0, MAX_TOLD_LEFT).map(({ path, reason }) => `/var/log/${path} is left out: ${reason}`)
	return leftEntries > MAX_TOLD_LEFT ? [...told, `${leftEntries} files of /var/log are left out`] : told
}

/** Where a target goes and what is to be mounted there, or why it cannot. */
function prepare(target: AttachTarget, container: Container, open: number[]): Place | NotFound {
	const { root, hostRoot, mounts, hostGroups } = container
	const refuse = (errno: number, text: string): NotFound => ({ errno, text })
	const tree = target.tree ?? copyTree(root.calls, target.source, open)
	if (tree === -ENOSYS) return refuse(0, `Cannot mount ${target.path}: Linux 5.12 or later is needed`)
	if (tree < 0) return refuse(0, `Cannot take hold of ${target.source}: ${errnoName(tree)}`)
	const wanted = target.existing ? undefined : target.kind
	let found = root.find(target.path, wanted)
	// Made read-only after its mounts were made, as a runtime does it: what it could still have made, we make where it is not.
	if ('errno' in found && found.errno === -EROFS && hostRoot !== undefined) {
		hostRoot.find(target.path, wanted)
		found = root.find(target.path, wanted)
	}
	if ('errno' in found) return found
	const there = root.calls.standing(found.fd)
	if (typeof there === 'number') return refuse(there, `Cannot look at ${target.path}: ${errnoName(there)}`)
	if (isSame(root.calls.standing(tree), there)) return { ...found, target, tree: -1, stale: 0, mask: -1 }
	// What an earlier POG or a dead one left, and what nothing can be mounted on, comes off first.
	let carrier = mounts.get(there.mountId)
	let stale = 0
	let nameless = false
	for (let onIt = there.mountRoot; onIt && carrier && stale < MAX_LAYERS && isInTheWay(carrier); stale++) {
		nameless ||= isNameless(carrier)
		const below = mounts.get(carrier.parent)
		onIt = below?.point === carrier.point
		carrier = below
	}
	if (carrier !== undefined && carrier.shared > 0 && hostGroups().has(carrier.shared)) {
		return refuse(
			0,
			`Cannot mount ${target.path}: ${carrier.point} is shared with the host, which would see it as well`,
		)
	}
	return { ...found, target, tree, stale, mask: nameless ? copyTree(root.calls, MASK, open) : -1 }
}

/** A detached copy of a mount of ours that shares nothing with it; or a negative errno. */
function copyTree(calls: NamespaceCalls, source: string, open: number[]): number {
	const tree = calls.cloneTree(source)
	if (tree < 0) return tree
	open.push(tree)
	const made = calls.makePrivate(tree)
	return made < 0 ? made : tree
}

function mountAll(places: readonly Place[], root: ContainerRoot): string | undefined {
	const done: Place[] = []
	for (const place of places) {
		if (place.tree < 0) continue
		const answer = mountOne(place, root)
		if (answer === 0) {
			done.push(place)
			continue
		}
		for (const { parent, name } of done.reverse()) root.calls.detachAt(parent, name)
		return `Cannot mount ${place.target.path} in the container: ${errnoName(answer)}`
	}
	return undefined
}

function mountOne(place: Place, root: ContainerRoot): number {
	let { fd } = place
	for (let layer = 0; layer < place.stale && fd >= 0; layer++) {
		// One that the kernel locked there stays; ours goes on top of it if it can.
		if (root.calls.detachAt(place.parent, place.name) < 0) break
		fd = root.again(place)
	}
	if (fd >= 0 && place.mask >= 0 && root.calls.moveMount(place.mask, fd) === 0) fd = root.again(place)
	return fd < 0 ? fd : root.calls.moveMount(place.tree, fd)
}

/** Takes off what is of this POG and on top; what the container mounted over it stays. */
function detach(job: AttachJob, container: Container, open: number[]): AttachOutcome {
	const { root, mounts } = container
	const found: (Found & { readonly target: AttachTarget })[] = []
	for (const target of job.targets) {
		const place = root.find(target.path)
		const there = 'errno' in place ? place.errno : root.calls.standing(place.fd)
		if ('errno' in place || typeof there === 'number' || !there.mountRoot) continue
		const mount = mounts.get(there.mountId)
		if (mount === undefined || !isPog(mount)) continue
		// A POG that is gone cannot be told from another one that is gone: both are of no use.
		const tree = copyTree(root.calls, target.source, open)
		if (tree < 0 || isSame(root.calls.standing(tree), there)) found.push({ ...place, target })
	}
	const value: string[] = []
	const problem = inside(container, () => {
		for (const place of found) {
			const answer = root.calls.detachAt(place.parent, place.name)
			if (answer < 0) return `Cannot unmount ${place.target.path} in the container: ${errnoName(answer)}`
			value.push(place.target.path)
			if (place.target.ownPlace) root.unmake(place, place.target.kind)
		}
		return undefined
	})
	return problem === undefined ? { value, left: [] } : { problem }
}

/** Runs `act` as a thread of the container's mount namespace; what went wrong, or undefined. */
function inside(container: Container, act: () => string | undefined): string | undefined {
	const alone = unshareFs()
	const joined = alone < 0 ? alone : joinMounts(container.theirs)
	if (joined < 0) return `Cannot join the mount namespace of process ${container.pid}: ${errnoName(joined)}`
	const problem = act()
	// Home again, so that whatever this thread looks up next is not the container's. One that cannot go home ends.
	if (joinMounts(container.ours) < 0) process.exit(1)
	return problem
}

function isSame(one: Standing | number, other: Standing): boolean {
	return typeof one !== 'number' && other.mountRoot && one.device === other.device && one.ino === other.ino
}

/** A mount that a service of POGs made, ours or another's, served or dead. */
function isPog(mount: MountLine): boolean {
	return mount.type === 'fuse.pogs' || (mount.type === 'tmpfs' && mount.source === 'pogs')
}

/** Its file was unlinked after it was mounted (as systemd-nspawn does with its FIFO): nothing can be mounted on it. */
function isNameless(mount: MountLine): boolean {
	return mount.root.endsWith('//deleted')
}

function isInTheWay(mount: MountLine): boolean {
	return isPog(mount) || isNameless(mount)
}
