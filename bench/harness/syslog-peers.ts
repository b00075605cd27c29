/**
 * The syslog daemons that POGs is held against, each with a socket of its own and its output on tmpfs.
 *
 * Source of truth: busybox syslogd(8), rsyslog.conf(5) with imuxsock, syslog-ng.conf(5). They run in a private mount namespace
 * with a /dev of their own, because busybox listens nowhere else but on /dev/log. Their rate limits are off and they write
 * everything to one file, or to memory (busybox -C): the least work that each can be set to.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { BUILD, type Missing } from './build.ts'
import { type Cpu, run, Server } from './process.ts'

export interface SyslogPeer {
	readonly name: string
	readonly pid: number
	readonly socket: string
	/** The file with one line a message; undefined when it keeps them in memory only. */
	readonly output: string | undefined
	stop(): Promise<void>
}

interface Daemon {
	readonly name: string
	readonly program: string
	/** Whether messages end in the output file. */
	readonly writesFile: boolean
	/** Writes its configuration below `home` and gives its command. */
	readonly command: (root: string, home: string) => string[]
}

const MULTIARCH = 'usr/lib/x86_64-linux-gnu'

/** Every directory below an unpacked package that holds shared objects. */
const libraryPath = (root: string): string => {
	const found = new Set<string>()
	for (const entry of readdirSync(root, { recursive: true, withFileTypes: true }))
		if (/\.so(\.|$)/.test(entry.name)) found.add(entry.parentPath)
	return [...found].join(':')
}

/** One row a daemon. */
const DAEMONS = {
	busybox: {
		name: 'busybox syslogd -C',
		program: 'bin/busybox',
		writesFile: false,
		command: root => [path.join(root, 'bin/busybox'), 'syslogd', '-n', '-C16384'],
	},
	rsyslog: {
		name: 'rsyslogd',
		program: 'usr/sbin/rsyslogd',
		writesFile: true,
		command: (root, home) => {
			const conf = path.join(home, 'rsyslog.conf')
			const modules = path.join(root, MULTIARCH, 'rsyslog')
			writeFileSync(
				conf,
				`module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
global(workDirectory="${home}")
*.* action(type="omfile" file="${home}/out")
`,
			)
			return [path.join(root, 'usr/sbin/rsyslogd'), '-n', '-f', conf, '-i', path.join(home, 'pid'), '-M', modules]
		},
	},
	'syslog-ng': {
		name: 'syslog-ng',
		program: 'usr/sbin/syslog-ng',
		writesFile: true,
		command: (root, home) => {
			const conf = path.join(home, 'syslog-ng.conf')
			writeFileSync(
				conf,
				`@version: 3.38
options { stats-freq(0); keep-hostname(yes); flush-lines(100); };
source s { unix-dgram("/dev/log"); };
destination d { file("${home}/out" log-fifo-size(100000)); };
log { source(s); destination(d); flags(flow-control); };
`,
			)
			const modules = path.join(root, 'usr/lib/syslog-ng/3.38')
			const files = [`--persist-file=${home}/persist`, `--control=${home}/control`, `--pidfile=${home}/pid`]
			const program = path.join(root, 'usr/sbin/syslog-ng')
			return [program, '-F', '-f', conf, `--module-path=${modules}`, '--no-caps', ...files]
		},
	},
} as const satisfies Record<string, Daemon>
export type SyslogPeerName = keyof typeof DAEMONS
export const SYSLOG_PEERS = Object.keys(DAEMONS) as SyslogPeerName[]

/** Starts a daemon, or says why it cannot be had. */
export const startSyslogPeer = async (key: SyslogPeerName, cpu: Cpu): Promise<SyslogPeer | Missing> => {
	const daemon: Daemon = DAEMONS[key]
	const root = path.join(BUILD, 'peers', key)
	if (!existsSync(path.join(root, daemon.program))) return { missing: `${key} is not there: bench/install-packages.sh` }
	const home = mkdtempSync('/dev/shm/pogs-bench-')
	const dev = path.join(home, 'dev')
	mkdirSync(path.join(dev, 'shm'), { recursive: true })
	for (const [name, minor] of Object.entries({ null: '3', zero: '5', random: '8', urandom: '9' }))
		await run(['mknod', '-m', '666', path.join(dev, name), 'c', '1', minor])
	if (daemon.writesFile) writeFileSync(path.join(home, 'out'), '')
	const inNamespace =
		'mount --make-rprivate / && mount --bind /dev/shm "$0/shm" && mount --rbind "$0" /dev && exec "$@"'
	const server = new Server(['unshare', '-m', 'sh', '-c', inNamespace, dev, ...daemon.command(root, home)], cpu, {
		LD_LIBRARY_PATH: libraryPath(root),
	})
	const stop = async (): Promise<void> => {
		await server.stop()
		rmSync(home, { recursive: true, force: true })
	}
	const socket = path.join(dev, 'log')
	try {
		await server.ready(() => existsSync(socket) && statSync(socket).isSocket())
	} catch (error) {
		await stop()
		return { missing: `${key} does not run here: ${String(error).slice(0, 160)}` }
	}
	return {
		name: daemon.name,
		pid: server.pid,
		socket,
		output: daemon.writesFile ? path.join(home, 'out') : undefined,
		stop,
	}
}
