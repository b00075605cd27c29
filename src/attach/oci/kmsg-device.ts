/**
 * Takes the host's real kernel log device (character 1:11) and its masks out of a container's configuration.
 *
 * Source: Linux 6.12 Documentation/admin-guide/devices.txt (1 char, 11 = /dev/kmsg); OCI config-linux.md, "Devices", "Device
 * allowlist", "Masked Paths". Invariant: no rule of the result allows 1:11 unless a later one denies it.
 */
import type { OciDevice, OciDeviceRule, OciLinux } from './config.ts'
import { normalDestination } from './place-mount.ts'

const MAJOR = 1
const MINOR = 11
const KMSG_PATHS = ['/proc/kmsg', '/dev/kmsg']

/** Tells in `changes` what it did. */
export function closeKmsgDevice(linux: OciLinux, changes: string[]): OciLinux {
	const edited = { ...linux }
	if (linux.devices) {
		const kept = linux.devices.filter(device => normalDestination(device.path) !== '/dev/kmsg' && !isKmsg(device))
		if (kept.length < linux.devices.length) changes.push('remove the device /dev/kmsg of the host')
		edited.devices = kept
	}
	const rules = linux.resources?.devices
	if (linux.resources && rules) {
		const matching = rules.findLast(opensKmsg)
		if (matching?.allow) {
			edited.resources = {
				...linux.resources,
				devices: [...rules, { allow: false, type: 'c', major: MAJOR, minor: MINOR, access: 'rwm' }],
			}
			changes.push('deny the device 1:11')
		}
	}
	for (const list of ['maskedPaths', 'readonlyPaths'] as const) {
		const paths = linux[list]
		// A mask would be laid over what the hook mounted.
		if (paths) edited[list] = paths.filter(path => !KMSG_PATHS.includes(normalDestination(path)))
	}
	return edited
}

function isKmsg(device: OciDevice): boolean {
	return device['type'] !== 'b' && device['major'] === MAJOR && device['minor'] === MINOR
}

/** Is the rule about reading or writing 1:11? Making a node (`m`) that cannot be opened is harmless, and runtimes allow it for all. */
function opensKmsg({ type, major, minor, access }: OciDeviceRule): boolean {
	return (
		type !== 'b' &&
		[-1, MAJOR].includes(major ?? -1) &&
		[-1, MINOR].includes(minor ?? -1) &&
		/[rw]/.test(access ?? 'rwm')
	)
}
