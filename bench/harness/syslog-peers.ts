/**
 * The syslog daemons that POGs is held against, each with a socket of its own and its output on tmpfs.
 *
 * Source of truth: busybox syslogd(8), rsyslog.conf(5) with imuxsock, syslog-ng.conf(5), journald.conf(5) of systemd 252. They run in
 * private namespaces with a /dev and a /run of their own, because busybox listens nowhere else but on /dev/log and journald below
 * /run. Their rate limits are off and they write everything to one file, or to memory (busybox -C): the least work each can be set to.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { BUILD, type Missing } from './build.ts'
import { type Cpu, run, Server } from './process.ts'

export interface SyslogPeer {
	readonly name: string
	/** Of the one that runs: another one after `again`. */
	readonly pid: number
	readonly socket: string
	/** Messages it has stored; undefined when only their senders can tell. */
	readonly count: (() => number) | undefined
	/** A figure that grows with each message stored, had at less cost; 0 where there is none. */
	readonly progress: () => number
	/** The command that prints all messages it has. */
	readonly read: () => string[]
	/** Forgets what it has: its output file is cut, or it is started anew. */
	readonly empty: () => Promise<void>
	/** Starts it again in the same place, after it was killed. */
	readonly again: () => Promise<void>
	stop(): Promise<void>
}

/** Where a daemon lives: its unpacked package, and a directory of its own with `dev`, `run` and its output. */
interface Place {
	readonly root: string
	readonly home: string
	/** Size of a memory buffer, where it has one. */
	readonly bufferKb: number
}

interface Daemon {
	readonly name: string
	readonly program: string
	/** Its socket, below `home`. */
	readonly socket: string
	/** Writes its configuration below `home` and gives its command. */
	readonly command: (place: Place) => string[]
	readonly count?: (home: string) => number
	readonly progress: (home: string) => number
	/** `inside`: brings a command into its namespaces. */
	readonly read: (place: Place, inside: readonly string[]) => string[]
}

const outOf = (home: string): string => path.join(home, 'out')

const countLines = (file: string): number => {
	let lines = 0
	for (const byte of readFileSync(file)) if (byte === 10) lines++
	return lines
}

/** For those who write one file, a line a message. */
const ONE_FILE = {
	socket: 'dev/log',
	count: (home: string) => countLines(outOf(home)),
	progress: (home: string) => statSync(outOf(home)).size,
	read: ({ home }: Place) => ['cat', outOf(home)],
} as const

const journalOf = (home: string): string => path.join(home, 'run/log/journal')

/** Entries of all journal files: `n_entries` of struct Header, src/libsystemd/sd-journal/journal-def.h (v252). */
const journalEntries = (home: string): number => {
	let entries = 0
	for (const { name, parentPath } of readdirSync(journalOf(home), { recursive: true, withFileTypes: true }))
		if (name.endsWith('.journal')) entries += Number(readFileSync(path.join(parentPath, name)).readBigUInt64LE(152))
	return entries
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
		socket: 'dev/log',
		command: ({ root, bufferKb }) => [path.join(root, 'bin/busybox'), 'syslogd', '-n', `-C${bufferKb}`],
		progress: () => 0,
		read: ({ root }, inside) => [...inside, path.join(root, 'bin/busybox'), 'logread'],
	},
	rsyslog: {
		name: 'rsyslogd',
		program: 'usr/sbin/rsyslogd',
		...ONE_FILE,
		command: ({ root, home }) => {
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
		...ONE_FILE,
		command: ({ root, home }) => {
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
	journald: {
		name: 'journald',
		program: '/lib/systemd/systemd-journald',
		socket: 'run/systemd/journal/dev-log',
		command: ({ home }) => {
			const conf = path.join(home, 'journald.conf')
			writeFileSync(
				conf,
				'[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=2G\nReadKMsg=no\nAudit=no\nForwardToWall=no\nForwardToSyslog=no\n',
			)
			mkdirSync(path.join(home, 'run/systemd/journal'), { recursive: true })
			mkdirSync(journalOf(home), { recursive: true })
			const start =
				'mount --bind "$0" /etc/systemd/journald.conf && SYSTEMD_LOG_TARGET=null exec /lib/systemd/systemd-journald'
			return ['sh', '-c', start, conf]
		},
		count: journalEntries,
		progress: journalEntries,
		read: ({ home }) => ['journalctl', '-q', '--no-pager', '-o', 'short', '-D', journalOf(home)],
	},
} as const satisfies Record<string, Daemon>
export type SyslogPeerName = keyof typeof DAEMONS
export const SYSLOG_PEERS = Object.keys(DAEMONS) as SyslogPeerName[]

const DEVICES = { null: '3', zero: '5', random: '8', urandom: '9' } as const
const BUFFER_KB = 16_384

/** Starts a daemon, or says why it cannot be had. `bufferKb`: of one that keeps messages in memory. */
export const startSyslogPeer = async (
	key: SyslogPeerName,
	cpu: Cpu,
	bufferKb = BUFFER_KB,
): Promise<SyslogPeer | Missing> => {
	const daemon: Daemon = DAEMONS[key]
	const root = daemon.program.startsWith('/') ? '/' : path.join(BUILD, 'peers', key)
	if (!existsSync(path.join(root, daemon.program))) return { missing: `${key} is not there: bench/install-packages.sh` }
	const home = mkdtempSync('/dev/shm/pogs-bench-')
	const [dev, runs] = [path.join(home, 'dev'), path.join(home, 'run')]
	mkdirSync(path.join(dev, 'shm'), { recursive: true })
	mkdirSync(runs)
	for (const [name, minor] of Object.entries(DEVICES))
		await run(['mknod', '-m', '666', path.join(dev, name), 'c', '1', minor])
	writeFileSync(outOf(home), '')
	const place: Place = { root, home, bufferKb }
	const socket = path.join(home, daemon.socket)
	const begin = async (): Promise<Server> => {
		rmSync(socket, { force: true })
		const inNamespace =
			'mount --make-rprivate / && mount --bind /dev/shm "$0/dev/shm" && mount --rbind "$0/dev" /dev && mount --bind "$0/run" /run && exec "$@"'
		const command = ['unshare', '-m', '-i', 'sh', '-c', inNamespace, home, ...daemon.command(place)]
		const server = new Server(command, cpu, root === '/' ? {} : { LD_LIBRARY_PATH: libraryPath(root) })
		try {
			await server.ready(() => existsSync(socket) && statSync(socket).isSocket())
		} catch (error) {
			await server.stop()
			throw error
		}
		return server
	}
	let server: Server
	try {
		server = await begin()
	} catch (error) {
		rmSync(home, { recursive: true, force: true })
		return { missing: `${key} does not run here: ${String(error).slice(0, 160)}` }
	}
	const again = async (): Promise<void> => {
		await server.stop()
		server = await begin()
	}
	const { count } = daemon
	return {
		name: daemon.name,
		get pid() {
			return server.pid
		},
		socket,
		count: count === undefined ? undefined : () => count(home),
		progress: () => daemon.progress(home),
		read: () => daemon.read(place, ['nsenter', '-t', String(server.pid), '-m', '-i']),
		empty: () =>
			daemon.progress === ONE_FILE.progress ? run(['truncate', '-s', '0', outOf(home)]).then(() => undefined) : again(),
		again,
		stop: async () => {
			await server.stop()
			rmSync(home, { recursive: true, force: true })
		},
	}
}
