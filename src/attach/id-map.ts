/**
 * User and group ids of a container as the host sees them.
 *
 * Source: user_namespaces(7), "User and group ID mappings", for /proc/PID/uid_map and gid_map; OCI runtime spec 1.0,
 * config-linux, "User namespace mappings", for `uidMappings` and `gidMappings`. Total: what is no mapping is left out.
 */

/** A stretch of ids: `size` of them, from `containerId` inside and from `hostId` outside. */
export interface IdRange {
	readonly containerId: number
	readonly hostId: number
	readonly size: number
}
export type IdMap = readonly IdRange[]

export interface Owner {
	readonly uid: number
	readonly gid: number
}

/** Ids end below this one: the last, (uid_t) -1, is none. */
const ID_END = 0xffff_ffff

/** What a container without a user namespace has: every id is itself. */
export const SAME_IDS: IdMap = [{ containerId: 0, hostId: 0, size: ID_END }]

/** The text of /proc/PID/uid_map or gid_map, read in the namespace whose ids are wanted. */
export function parseIdMap(text: string): IdMap {
	const ranges: IdRange[] = []
	for (const line of text.split('\n')) {
		const match = /^\s*(\d{1,10})\s+(\d{1,10})\s+(\d{1,10})\s*$/.exec(line)
		if (match !== null) addRange(ranges, Number(match[1]), Number(match[2]), Number(match[3]))
	}
	return ranges
}

/** `linux.uidMappings` or `linux.gidMappings` of a config.json; without any, ids are the host's. */
export function idMapOfConfig(mappings: unknown): IdMap {
	if (!Array.isArray(mappings) || mappings.length === 0) return SAME_IDS
	const ranges: IdRange[] = []
	for (const each of mappings as unknown[]) {
		if (typeof each !== 'object' || each === null) continue
		const { containerID, hostID, size } = each as Record<string, unknown>
		if (typeof containerID === 'number' && typeof hostID === 'number' && typeof size === 'number')
			addRange(ranges, containerID, hostID, size)
	}
	return ranges
}

function addRange(ranges: IdRange[], containerId: number, hostId: number, size: number): void {
	const whole = [containerId, hostId, size].every(number => Number.isSafeInteger(number) && number >= 0)
	if (!whole || size === 0 || containerId + size > ID_END || hostId + size > ID_END) return
	ranges.push({ containerId, hostId, size })
}

/** The host's id for one inside; undefined when it is not mapped. */
export function hostId(map: IdMap, id: number): number | undefined {
	const range = map.find(each => id >= each.containerId && id < each.containerId + each.size)
	return range && range.hostId + id - range.containerId
}

/** Whether an id of the host is anybody inside. */
export function isInside(map: IdMap, id: number): boolean {
	return map.some(each => id >= each.hostId && id < each.hostId + each.size)
}

/**
 * The host's ids of a container's root; of the first mapped id when nobody inside is root, so that somebody there owns the
 * files. Undefined when nothing is mapped.
 */
export function rootOwner(uids: IdMap, gids: IdMap): Owner | undefined {
	const uid = hostId(uids, 0) ?? uids[0]?.hostId
	const gid = hostId(gids, 0) ?? gids[0]?.hostId
	return uid === undefined || gid === undefined ? undefined : { uid, gid }
}

/**
 * What an owner on an image's disk becomes: an id that the map already reaches was shifted when the image was unpacked and
 * stays; any other was not, and is meant as the container's own. Who is nobody there becomes its root.
 */
export function shiftedId(map: IdMap, id: number, root: number): number {
	return isInside(map, id) ? id : (hostId(map, id) ?? root)
}
