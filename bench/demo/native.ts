/**
 * The native side of the demo: two containers that share what containers share without POGs, the real /dev/kmsg and one
 * syslogd (busybox) with one configuration and one /var/log.
 *
 * Nothing here clears, drains or floods the machine's own log; what cannot be tried without harm is said so in the table.
 * Invariant: all mounts are made in namespaces of their own and go with them.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
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

/** What stays within one size, as on a small machine, so that a flood can be shown in a second. */
const LOG_KILOBYTES = 32

export class Native {
	readonly directory: string
	readonly #busybox: string | undefined
	#syslogd: ChildProcess | undefined
	red: Container | undefined
	blue: Container | undefined

	constructor(directory: string, busybox: string | undefined) {
		this.directory = `${directory}/native`
		this.#busybox = busybox
		for (const each of ['', '/log.d', '/stage']) mkdirSync(this.directory + each, { recursive: true })
	}

	get hasSyslogd(): boolean {
		return this.#busybox !== undefined
	}

	/** Where the shared /var/log is on the host. */
	get logs(): string {
		return `${this.directory}/log.d`
	}

	async start(): Promise<void> {
		await this.configure(`*.* ${this.logs}/messages\n`)
		for (const name of ['red', 'blue'] as const) {
			const container = new Container(name, ['unshare', ...NAMESPACES, 'sh', '-c', ENTER, 'sh', this.directory])
			this[name] = container
			await container.run(':')
		}
	}

	/** Gives the one syslogd a configuration: it reads it at start only. */
	async configure(text: string): Promise<void> {
		if (this.#busybox === undefined) return
		await this.#endSyslogd()
		writeFileSync(`${this.directory}/syslog.conf`, text)
		// busybox knows one socket only, /dev/log; it follows a link there
		const script = `mount -n -t tmpfs tmpfs "$1/stage" && mkdir "$1/stage/dev" && : >"$1/stage/dev/null" &&
			mount -n --bind /dev/null "$1/stage/dev/null" && ln -s "$1/log" "$1/stage/dev/log" && mount -n --rbind "$1/stage/dev" /dev &&
			exec "$2" syslogd -n -s ${LOG_KILOBYTES} -b 0 -f "$1/syslog.conf"`
		const argv = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', this.directory, this.#busybox]
		this.#syslogd = spawn('unshare', argv, { stdio: 'ignore', detached: true })
		for (let tries = 0; tries < 200 && !existsSync(`${this.directory}/log`); tries++) {
			await new Promise(resolve => setTimeout(resolve, 10))
		}
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

/** Path of a busybox with a syslogd: installed, from the tests' cache, or unpacked from Debian's package into `directory`. */
export async function findBusybox(directory: string): Promise<string | undefined> {
	const path = (process.env['PATH'] ?? '').split(':').map(each => `${each}/busybox`)
	const cache = `${process.env['XDG_CACHE_HOME'] ?? `${homedir()}/.cache`}/pogs/bin/busybox`
	for (const candidate of [...path, cache]) if (await hasSyslogd(candidate)) return candidate
	const scratch = mkdtempSync(`${directory}/busybox-`)
	const script = 'cd "$1" && timeout 30 apt-get -qq download busybox-static && dpkg-deb -x ./*.deb .'
	await runProgram('sh', ['-c', script, 'sh', scratch])
	for (const place of ['bin/busybox', 'usr/bin/busybox']) {
		if (await hasSyslogd(`${scratch}/${place}`)) return `${scratch}/${place}`
	}
	return undefined
}

async function hasSyslogd(path: string): Promise<boolean> {
	try {
		accessSync(path, constants.X_OK)
	} catch {
		return false
	}
	return /\bsyslogd\b/.test((await runProgram(path, ['--list'])).out)
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
