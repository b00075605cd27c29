/**
 * What a runtime says when it hands over a seccomp listener. Source: OCI runtime specification 1.1, config-linux.md, "The Container
 * Process State". Total: whatever bytes come, the answer is a value, "more is needed", or a problem.
 */

export interface ContainerProcess {
	/** The name of the POG: `listenerMetadata` of the bundle. */
	readonly metadata: string
	readonly containerId: string
	/** The process the filter was made for; 0 when it was not told. */
	readonly pid: number
	/** Which of the descriptors is the listener's. */
	readonly index: number
}

export type ParsedProcess = { readonly value: ContainerProcess } | { readonly problem: string } | 'incomplete'

const LISTENER = 'seccompFd'

/** Where listeners are brought to: `listenerPath` of bundles. Below RUN, which only its owner enters. */
export function seccompSocketPath(runDir: string): string {
	return `${runDir}/seccomp.sock`
}

/** Where LXC's monitors bring calls to: `lxc.seccomp.notify.proxy`. */
export function lxcSocketPath(runDir: string): string {
	return `${runDir}/lxc.sock`
}

/** Reads the text received so far; `ended`: no more comes. */
export function parseContainerProcess(text: string, ended: boolean): ParsedProcess {
	let parsed: unknown
	try {
		parsed = JSON.parse(text)
	} catch (cause) {
		return ended ? { problem: `Cannot read the container's process state: ${String(cause)}` } : 'incomplete'
	}
	const process = fieldsOf(parsed)
	const state = fieldsOf(process['state'])
	const names = process['fds']
	const { metadata, pid } = process
	const containerId = state['id']
	const index = Array.isArray(names) ? names.indexOf(LISTENER) : -1
	if (index < 0) return { problem: `The container's process state has no descriptor "${LISTENER}"` }
	if (typeof metadata !== 'string' || metadata === '')
		return { problem: "The container's process state names no POG: is listenerMetadata set?" }
	return {
		value: {
			metadata,
			containerId: typeof containerId === 'string' ? containerId : '',
			pid: typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : 0,
			index,
		},
	}
}

function fieldsOf(value: unknown): Record<string, unknown> {
	return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** The text for a listener of our own making. */
export function renderContainerProcess(process: Omit<ContainerProcess, 'index'>): string {
	const { metadata, containerId, pid } = process
	return JSON.stringify({
		ociVersion: '1.1.0',
		fds: [LISTENER],
		pid,
		metadata,
		state: { ociVersion: '1.1.0', id: containerId, status: 'creating', pid, bundle: '' },
	})
}
