/**
 * The native side of the demo: two containers that share what containers share without POGs, the real /dev/kmsg and one
 * syslogd (rsyslogd) with one configuration and one /var/log.
 *
 * Nothing here clears, drains or floods the machine's own log; what cannot be tried without harm is said so in the table.
 * Invariant: all mounts are made in namespaces of their own and go with them.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
	accessSync,
	closeSync,
	constants,
	existsSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	writeFileSync,
} from 'node:fs'
import { Container, runProgram } from './container.ts'

const NAMESPACES = ['-m', '-p', '-u', '-i', '-n', '-f', '--kill-child', '--propagation', 'private']

/** A container as a runtime without log isolation makes it: a /dev with the real kmsg, the shared syslogd's socket. */
const ENTER = `
set -e
shared=$1
mount -n -t tmpfs -o mode=755 tmpfs "$shared/stage"
mkdir "$shared/stage/dev"
for node in null zero urandom kmsg; do
	: >"$shared/stage/dev/$node"; mount -n --bind "/dev/$node" "$shared/stage/dev/$node"
done
ln -s /run/shared/log "$shared/stage/dev/log"
mkdir -p "$shared/stage/run/shared"
mount -n --bind "$shared" "$shared/stage/run/shared"
mount -n --bind "$shared/log.d" /var/log
mount -n --rbind "$shared/stage/dev" /dev
mount -n --rbind "$shared/stage/run" /run
exec sh
`

/** The shared log stays within two files of this size, as on a machine with log rotation. */
const LOG_BYTES = 32_768

/** Where a rsyslogd is; `library` when it was unpacked instead of installed. */
export interface Syslogd {
	program: string
	modules?: string
	library?: string
}

export class Native {
	readonly directory: string
	readonly #program: Syslogd | undefined
	#syslogd: ChildProcess | undefined
	red: Container | undefined
	blue: Container | undefined

	constructor(directory: string, program: Syslogd | undefined) {
		this.directory = `${directory}/native`
		this.#program = program
		for (const each of ['', '/log.d', '/stage']) mkdirSync(this.directory + each, { recursive: true })
	}

	get hasSyslogd(): boolean {
		return this.#program !== undefined
	}

	/** Where the shared /var/log is on the host. */
	get logs(): string {
		return `${this.directory}/log.d`
	}

	/** `lineOf`: the command that starts the shell of a container; `first`: what that shell is to do before anything else. */
	async start(
		lineOf = (_name: string): readonly string[] => ['unshare', ...NAMESPACES, 'sh', '-c', ENTER, 'sh', this.directory],
		first = ':',
	): Promise<void> {
		await this.configure('')
		for (const name of ['red', 'blue'] as const) {
			const container = new Container(name, lineOf(name))
			this[name] = container
			await container.run(first)
		}
	}

	/** Gives the one syslogd the rules of a configuration, before the one that logs everything: it reads it at start only. */
	async configure(rules: string): Promise<void> {
		if (this.#program === undefined) return
		await this.#endSyslogd()
		const { program, modules, library } = this.#program
		const top = this.directory
		writeFileSync(`${top}/rotate`, '#!/bin/sh\nmv -f "$1" "$1.1"\n', { mode: 0o755 })
		writeFileSync(
			`${top}/syslog.conf`,
			`global(workDirectory="${top}")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="${top}/log")
$outchannel bounded,${this.logs}/messages,${LOG_BYTES},${top}/rotate ${this.logs}/messages
${rules}
*.* :omfile:$bounded
`,
		)
		const argv = [
			'-n',
			'-f',
			`${top}/syslog.conf`,
			'-i',
			`${top}/pid`,
			...(modules === undefined ? [] : ['-M', modules]),
		]
		const env = { ...process.env, ...(library === undefined ? {} : { LD_LIBRARY_PATH: library }) }
		this.#syslogd = spawn(program, argv, { stdio: 'ignore', detached: true, env })
		for (let tries = 0; tries < 500 && !existsSync(`${top}/log`); tries++) {
			await new Promise(resolve => setTimeout(resolve, 10))
		}
		if (!existsSync(`${top}/log`))
			throw new Error(`The shared rsyslogd does not start: ${program} -f ${top}/syslog.conf`)
	}

	async stop(): Promise<void> {
		await this.red?.stop()
		await this.blue?.stop()
		await this.#endSyslogd()
	}

	async #endSyslogd(): Promise<void> {
		const syslogd = this.#syslogd
		this.#syslogd = undefined
		if (syslogd === undefined || syslogd.exitCode !== null || syslogd.signalCode !== null) return
		const ended = once(syslogd, 'exit')
		syslogd.kill('SIGTERM')
		await ended
		// the socket file of the one that is gone must not be taken for that of the next
		await runProgram('rm', ['-f', `${this.directory}/log`])
	}
}

/** A rsyslogd: installed, or unpacked from Debian's packages into `directory`; undefined when it cannot be had. */
export async function findSyslogd(directory: string): Promise<Syslogd | undefined> {
	for (const place of [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']) {
		if (isProgram(`${place}/rsyslogd`)) return { program: `${place}/rsyslogd` }
	}
	const top = mkdtempSync(`${directory}/rsyslog-`)
	// A machine fresh from its image has no package lists yet.
	const script = `cd "$1" && chmod 755 . && set -- rsyslog libestr0 libfastjson4 liblognorm5 &&
		{ apt-get -qq download "$@" || { apt-get -qq update && apt-get -qq download "$@"; }; } &&
		for package in *.deb; do dpkg-deb -x "$package" .; done`
	await runProgram('timeout', ['60', 'sh', '-c', script, 'sh', top])
	const program = `${top}/usr/sbin/rsyslogd`
	const [libraries] = existsSync(`${top}/usr/lib`)
		? readdirSync(`${top}/usr/lib`).filter(each => each.includes('linux'))
		: []
	if (!isProgram(program) || libraries === undefined) return undefined
	const library = `${top}/usr/lib/${libraries}`
	return { program, library, modules: `${library}/rsyslog` }
}

function isProgram(path: string): boolean {
	try {
		accessSync(path, constants.X_OK)
		return true
	} catch {
		return false
	}
}

/** What this user may do with the real kernel log. Opening it for reading takes nothing from it. */
export function kernelLogAccess(): 'writable' | 'readable' | 'closed' {
	if (!opens(constants.O_RDONLY | constants.O_NONBLOCK)) return 'closed'
	return opens(constants.O_WRONLY) ? 'writable' : 'readable'
}

function opens(flags: number): boolean {
	try {
		closeSync(openSync('/dev/kmsg', flags))
		return true
	} catch {
		return false
	}
}
