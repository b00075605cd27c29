/** Finds the name of an inode that the kernel knows from an earlier engine: by looking through the tree, as nobody else knows. */
import type { DirectoryEntry } from '../lib/file-stat.ts'
import type { AppNode, AppNodes } from './app-nodes.ts'

const DT_DIR = 4

export interface Searched {
	readonly nodes: AppNodes
	/** Entries of a directory, or a negative errno. */
	list(directory: AppNode): DirectoryEntry[] | number
}

/** The node of an inode below a directory; undefined when it is not there. */
export function findNode(apps: Searched, ino: number, directory: AppNode): AppNode | undefined {
	const entries = apps.list(directory)
	if (typeof entries === 'number') return undefined
	for (const entry of entries) if (entry.ino === ino) return apps.nodes.restore(ino, directory, entry.name)
	for (const entry of entries) {
		if (entry.type !== DT_DIR) continue
		const known = apps.nodes.get(entry.ino)
		const found = findNode(apps, ino, known ?? apps.nodes.restore(entry.ino, directory, entry.name))
		if (found !== undefined) return found
		// Only what leads to the node is kept: what else is there, the kernel will look up.
		if (known === undefined) apps.nodes.forget(entry.ino, 1)
	}
	return undefined
}
