/**
 * The machine in words: what a reader needs to judge the figures by, and nothing that names the place it stands in.
 *
 * Source of truth: /proc/cpuinfo, /proc/meminfo, /proc/cgroups (proc(5)) and the programs' own `--version`.
 */
import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import { run } from '../harness/process.ts'

export interface Machine {
	readonly cpu: string
	readonly cpus: number
	readonly virtual: boolean
	readonly memoryGb: number
	readonly kernel: string
	readonly node: string
	readonly distribution: string
	readonly cgroups: string
	/** Program to version; one that is not here is left out. */
	readonly versions: Readonly<Record<string, string>>
}

const VERSIONS: readonly { readonly name: string; readonly command: readonly string[]; readonly find: RegExp }[] = [
	{ name: 'runc', command: ['runc', '--version'], find: /runc version (\S+)/ },
	{ name: 'docker', command: ['dockerd', '--version'], find: /version ([^\s,]+)/ },
	{ name: 'apache2', command: ['apache2', '-v'], find: /Apache\/(\S+)/ },
	{ name: 'mariadbd', command: ['mariadbd', '--version'], find: /Ver (\d+\.\d+\.\d+)/ },
	{ name: 'rsyslogd', command: ['rsyslogd', '-v'], find: /rsyslogd\s+(\S+)/ },
	{ name: 'lxcfs', command: ['lxcfs', '--version'], find: /(\d+\.\d+\.\d+)/ },
]

export const describeMachine = async (): Promise<Machine> => {
	const versions: Record<string, string> = {}
	for (const { name, command, find } of VERSIONS) {
		const said = await run(command).catch(() => undefined)
		const version = said === undefined ? undefined : find.exec(said.stdout)?.[1]
		if (version !== undefined) versions[name] = version
	}
	const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
	return {
		cpu: os.cpus()[0]?.model ?? 'unknown CPU',
		cpus: os.cpus().length,
		virtual: /^flags.* hypervisor/m.test(readFileSync('/proc/cpuinfo', 'latin1')),
		memoryGb: Math.round(os.totalmem() / 1e9),
		kernel: os.release().split('-')[0] ?? os.release(),
		node: process.version,
		distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? 'Linux',
		cgroups: existsSync('/sys/fs/cgroup/memory') ? 'v1' : 'v2',
		versions,
	}
}

/** In one line. */
export const inWords = ({
	cpu,
	cpus,
	virtual,
	memoryGb,
	kernel,
	node,
	distribution,
	cgroups,
	versions,
}: Machine): string =>
	[
		`${cpu}, ${cpus} CPUs${virtual ? ' of a virtual machine' : ''}, ${memoryGb} GB`,
		`Linux ${kernel}, cgroup ${cgroups}`,
		distribution,
		`Node.js ${node}`,
		...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
	].join(', ')
