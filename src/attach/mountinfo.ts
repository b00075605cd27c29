/**
 * The text of /proc/PID/mountinfo as a list of mounts. Source: proc(5) of man-pages 6.03, mount_namespaces(7).
 *
 * Total: a line that is none is left out. Paths are byte strings (one character a byte), as read with latin1.
 */

/** One mount; `point` is seen from the process's root, `root` is the part of the file system that it shows. */
export interface MountLine {
	readonly id: number
	readonly parent: number
	/** `major:minor` of the file system. */
	readonly device: string
	readonly root: string
	readonly point: string
	/** Peer group it shares mounts with, and the one that it takes mounts from; 0 for none. */
	readonly shared: number
	readonly master: number
	readonly type: string
	readonly source: string
	readonly superOptions: string
}

// id parent major:minor root point options [optional fields] - type source super-options
const LINE = /^(\d+) (\d+) (\d+:\d+) (\S+) (\S+) \S+((?: [^ -]\S*)*) - (\S+) (\S*) (\S*)$/

/** Every mount that a process sees, in the order in which they were made; of two on one place the later is on top. */
export function parseMountinfo(text: string): MountLine[] {
	const mounts: MountLine[] = []
	for (const line of text.split('\n')) {
		const match = LINE.exec(line)
		if (match === null) continue
		const [, id, parent, device = '', root = '', point = '', optional = '', type = '', source = '', options = ''] =
			match
		mounts.push({
			id: Number(id),
			parent: Number(parent),
			device,
			root: unescapeOctal(root),
			point: unescapeOctal(point),
			shared: Number(/ shared:(\d+)/.exec(optional)?.[1] ?? 0),
			master: Number(/ master:(\d+)/.exec(optional)?.[1] ?? 0),
			type,
			source: unescapeOctal(source),
			superOptions: options,
		})
	}
	return mounts
}

/** The kernel writes space, tab, newline, backslash and hash as `\040` and the like. */
function unescapeOctal(text: string): string {
	return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
