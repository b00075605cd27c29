/**
 * Whose files a container's log files are: the host ids that its root has.
 *
 * Source: OCI runtime specification 1.0.2, config-linux.md, "User namespace mappings"; user_namespaces(7). Invariant: without mappings, or
 * with some that leave out id 0, the owner is the host's root, which such a container sees as the overflow id.
 */
import type { OciConfig } from './config.ts'

/** Host uid and gid of the container's root. */
export function ownerOf(config: OciConfig): { uid: number; gid: number } {
	const hostIdOfRoot = (mappings: OciConfig['linux']['uidMappings']): number => {
		return mappings?.find(({ containerID, size }) => containerID === 0 && size > 0)?.hostID ?? 0
	}
	return { uid: hostIdOfRoot(config.linux.uidMappings), gid: hostIdOfRoot(config.linux.gidMappings) }
}
