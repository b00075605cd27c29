/**
 * The tree one container sees, and its node ids.
 *
 * Node ids say what they name, so that a later engine process understands those the kernel still holds:
 *
 *     below 64             a fixed node of FIXED_NODES
 *     VIEW_KIND * 2^50     + view id (at most MAX_VIEW_ID) * 2^41 + the low 41 bits of the position where the file begins
 *     APP_KIND * 2^50      + inode number in the POG's tmpfs
 *
 * A view whose front was overwritten is looked up under a new node id with a new beginning; its inode number stays.
 */
import type { Attr, NodeId } from '../fuse/filesystem.ts'

const KIND_STEP = 2 ** 50
const VIEW_KIND = 1
const APP_KIND = 2
const VIEW_STEP = 2 ** 41
const VIEW_INO_BASE = 2 ** 32
const APP_INO_BASE = 2 ** 33

export const NODE = {
	root: 1,
	var: 2,
	varLog: 3,
	proc: 4,
	procKmsg: 5,
	dev: 6,
	devKmsg: 7,
	etc: 8,
	syslogConf: 9,
	run: 10,
	runPog: 11,
	pogctl: 12,
	ctl: 13,
	stats: 14,
	status: 15,
	procSys: 16,
	procSysKernel: 17,
	printk: 18,
	dmesgRestrict: 19,
} as const

export const S_IFDIR = 0o040000
export const S_IFREG = 0o100000

export interface FixedNode {
	readonly id: NodeId
	readonly parent: NodeId
	readonly name: string
	/** Type and permissions. */
	readonly mode: number
}

/** Every fixed path. `/run/pog/syslog.conf` is the file `/etc/syslog.conf` under a second name, where renames work. */
export const FIXED_NODES: readonly FixedNode[] = [
	{ id: NODE.root, parent: NODE.root, name: '', mode: S_IFDIR | 0o755 },
	{ id: NODE.var, parent: NODE.root, name: 'var', mode: S_IFDIR | 0o755 },
	{ id: NODE.varLog, parent: NODE.var, name: 'log', mode: S_IFDIR | 0o755 },
	{ id: NODE.proc, parent: NODE.root, name: 'proc', mode: S_IFDIR | 0o555 },
	{ id: NODE.procKmsg, parent: NODE.proc, name: 'kmsg', mode: S_IFREG | 0o400 },
	{ id: NODE.procSys, parent: NODE.proc, name: 'sys', mode: S_IFDIR | 0o555 },
	{ id: NODE.procSysKernel, parent: NODE.procSys, name: 'kernel', mode: S_IFDIR | 0o555 },
	{ id: NODE.printk, parent: NODE.procSysKernel, name: 'printk', mode: S_IFREG | 0o644 },
	{ id: NODE.dmesgRestrict, parent: NODE.procSysKernel, name: 'dmesg_restrict', mode: S_IFREG | 0o644 },
	{ id: NODE.dev, parent: NODE.root, name: 'dev', mode: S_IFDIR | 0o755 },
	{ id: NODE.devKmsg, parent: NODE.dev, name: 'kmsg', mode: S_IFREG | 0o644 },
	{ id: NODE.etc, parent: NODE.root, name: 'etc', mode: S_IFDIR | 0o755 },
	{ id: NODE.syslogConf, parent: NODE.etc, name: 'syslog.conf', mode: S_IFREG | 0o644 },
	{ id: NODE.run, parent: NODE.root, name: 'run', mode: S_IFDIR | 0o755 },
	{ id: NODE.runPog, parent: NODE.run, name: 'pog', mode: S_IFDIR | 0o755 },
	{ id: NODE.syslogConf, parent: NODE.runPog, name: 'syslog.conf', mode: S_IFREG | 0o644 },
	{ id: NODE.pogctl, parent: NODE.runPog, name: 'pogctl', mode: S_IFREG | 0o555 },
	{ id: NODE.ctl, parent: NODE.runPog, name: 'ctl', mode: S_IFREG | 0o600 },
	{ id: NODE.stats, parent: NODE.runPog, name: 'stats', mode: S_IFREG | 0o444 },
	{ id: NODE.status, parent: NODE.runPog, name: 'status', mode: S_IFREG | 0o444 },
]

const BY_NAME = new Map(FIXED_NODES.filter(n => n.id !== NODE.root).map(n => [`${n.parent}/${n.name}`, n]))
const BY_ID = new Map(FIXED_NODES.map(n => [n.id, n]))

export function fixedNode(id: NodeId): FixedNode | undefined {
	return BY_ID.get(id)
}

export function fixedChild(parent: NodeId, name: string): FixedNode | undefined {
	return BY_NAME.get(`${parent}/${name}`)
}

export function fixedChildren(parent: NodeId): FixedNode[] {
	return FIXED_NODES.filter(n => n.parent === parent && n.id !== NODE.root)
}

/** What a directory entry may be called. The kernel sends no other names; another transport might. */
export function isName(name: string): boolean {
	return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)
}

/** Attributes of a fixed node that never change: of its owner, empty, made at `timeUs`. */
export function fillFixedAttr(attr: Attr, node: FixedNode, owner: { uid: number; gid: number }, timeUs: number): void {
	attr.ino = node.id
	attr.size = attr.blocks = attr.rdev = 0
	attr.mode = node.mode
	attr.nlink = (node.mode & S_IFDIR) !== 0 ? 2 : 1
	attr.uid = owner.uid
	attr.gid = owner.gid
	attr.blksize = 4096
	attr.atimeUs = attr.mtimeUs = attr.ctimeUs = timeUs
}

export function viewNode(viewId: number, base: number): NodeId {
	return VIEW_KIND * KIND_STEP + viewId * VIEW_STEP + (base % VIEW_STEP)
}

export function isViewNode(node: NodeId): boolean {
	return node >= VIEW_KIND * KIND_STEP && node < APP_KIND * KIND_STEP
}

export function viewIdOf(node: NodeId): number {
	return Math.floor((node - VIEW_KIND * KIND_STEP) / VIEW_STEP)
}

/** Where the file of a view's node begins: the position at or before `head` with the node's low bits. */
export function viewBase(node: NodeId, head: number): number {
	const low = node % VIEW_STEP
	return head - ((((head - low) % VIEW_STEP) + VIEW_STEP) % VIEW_STEP)
}

export function appNode(ino: number): NodeId {
	return APP_KIND * KIND_STEP + ino
}

export function isAppNode(node: NodeId): boolean {
	return node >= APP_KIND * KIND_STEP
}

export function appIno(node: NodeId): number {
	return node - APP_KIND * KIND_STEP
}

export function viewInode(viewId: number): number {
	return VIEW_INO_BASE + viewId
}

/** Inode number shown for an app file: apart from those of views and fixed nodes. */
export function appInode(ino: number): number {
	return APP_INO_BASE + ino
}
