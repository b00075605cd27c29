/**
 * The keeper: holds what the kernel would tear down with the engine (FUSE connections, sockets), and starts the engine again
 * whenever it dies. It plays the part of systemd's descriptor store where there is none.
 *
 * Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3) of systemd 252. Invariants: nothing that a container says
 * is ever read here, and nothing of what is held is looked into; only the engine that was started last is listened to; a
 * descriptor is closed when an engine asks for it, or at the end, and for no other reason.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { LEAVE_SIGNAL } from '../lib/leave-signal.ts'
import { Epoll, EPOLLIN } from '../sys/epoll.ts'
import { close, EFD_CLOEXEC, EFD_NONBLOCK, eventfd, write } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'
import { bindNotifySocket, NotifyMessages } from '../sys/notify-socket.ts'
import { Above } from './above.ts'
import { Backoff } from './backoff.ts'
import { Descriptors } from './descriptors.ts'
import { bringForward, hurryGroup } from './hurry.ts'
import { type Notification, parseNotification } from './notification.ts'
import { lookForRemains } from './remains.ts'
import { Standby } from './standby.ts'

export interface KeeperOptions {
	/** The engine: program and arguments; asked anew for each start. */
	readonly command: () => readonly string[]
	/** The engine's, beside what is ours to say. */
	readonly environment: NodeJS.ProcessEnv
	/** Where the directory with the notification socket is made. */
	readonly directory: string
	/** How long the engine may stay silent before it counts as hung. */
	readonly watchdogUs: number
	readonly log: (level: 'error' | 'warn' | 'info', message: string, fields?: Record<string, string | number>) => void
	/** Who keeps us, and a copy of whatever we keep. */
	readonly notifySocket?: string | undefined
	/** How often it expects a sign of life; 0 or nothing for never. */
	readonly aliveEveryUs?: number
	/** What it kept when a keeper before us died. */
	readonly inherited?: ReadonlyMap<string, number>
}

/** Behind the standard ones. */
const FIRST_FD = 3
/** Until its first word the engine may load whatever it needs. */
const START_WITHIN_MS = 60_000
/** Giving back a thousand mounts takes a while. */
const STOP_WITHIN_MS = 60_000
const FAILED_MS = 1_000
const BEATS_A_PERIOD = 3
/** From so many deaths in a row on, every further one is told as an error. */
const MANY_DEATHS = 6
const EXIT_FAILED = 1
const LEFT_BEHIND =
	'the engine died while it stopped: mounts are left, disconnected; the next start of pogshim cleans up'
/**
 * LISTEN_PID is only known in the process itself. An engine is not as precious as its keeper: it gives up the protection
 * from the OOM killer.
 */
const START_SCRIPT =
	'export LISTEN_PID=$$; echo "$POGS_OOM_SCORE_ADJ" 2>/dev/null >/proc/self/oom_score_adj; unset POGS_OOM_SCORE_ADJ; exec "$@"'

export class Keeper {
	readonly #options: KeeperOptions
	readonly #descriptors = new Descriptors(close)
	readonly #backoff = new Backoff()
	readonly #epoll = new Epoll(4)
	readonly #wakeFd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
	readonly #messages = new NotifyMessages()
	readonly #above: Above
	readonly #standby: Standby
	readonly #socketDirectory: string
	readonly #socketFd: number
	readonly #oomScoreAdj: string
	#engine: ChildProcess | undefined
	#startedAtMs = 0
	/** When the death of the one before was noticed, in microseconds of CLOCK_MONOTONIC. */
	#noticedUs = 0
	/** The one that runs served then, and was ready then; infinite before. */
	#servesAtMs = Number.POSITIVE_INFINITY
	#readyAtMs = Number.POSITIVE_INFINITY
	#watchdogUs: number
	#watchdog: NodeJS.Timeout | undefined
	#restart: NodeJS.Timeout | undefined
	#looks: NodeJS.Timeout | undefined
	/** An engine has served somebody, one of this keeper's or of one before: its death is none of the user's mistakes. */
	#hasServed: boolean
	#toldAbove = false
	/** The engine that runs says that it ends as it was asked to. */
	#engineStops = false
	#asked: NodeJS.Signals | undefined
	/** What is kept is for the keeper that is started next, by who keeps us. */
	#leaves = false
	#ended = false
	#finish: (code: number) => void = () => {}

	/** Throws when the notification socket cannot be made. `oomScoreAdj`: what the engine gets. */
	constructor(options: KeeperOptions, oomScoreAdj = readOomScoreAdj()) {
		this.#options = options
		this.#oomScoreAdj = oomScoreAdj
		this.#watchdogUs = options.watchdogUs
		this.#socketDirectory = mkdtempSync(`${options.directory}/pogs-keeper-${process.pid}-`)
		this.#socketFd = bindNotifySocket(this.#socketPath)
		if (this.#socketFd < 0) throw new Error(`Cannot listen at ${this.#socketPath}: errno ${-this.#socketFd}`)
		this.#above = new Above(options.notifySocket)
		this.#standby = new Standby({
			messages: this.#messages,
			log: options.log,
			start: socketFd => this.#spawn([socketFd], { POGS_STANDBY: String(FIRST_FD) }),
		})
		for (const [name, fd] of options.inherited ?? []) this.#descriptors.keep(name, fd)
		this.#hasServed = this.#descriptors.size > 0
		this.#epoll.add(this.#socketFd, EPOLLIN, 0)
		this.#epoll.add(this.#wakeFd, EPOLLIN, 1)
	}

	get #socketPath(): string {
		return `${this.#socketDirectory}/notify`
	}

	/** Keeps an engine running until it ends as asked: its exit code. */
	async run(): Promise<number> {
		const ended = new Promise<number>(resolve => {
			this.#finish = resolve
		})
		this.#start()
		const listening = this.#listen()
		const { aliveEveryUs = 0 } = this.#options
		const beat = setInterval(() => this.#above.say('WATCHDOG=1'), aliveEveryUs / 1000 / BEATS_A_PERIOD || 2 ** 31 - 1)
		const code = await ended
		this.#ended = true
		clearInterval(beat)
		clearTimeout(this.#watchdog)
		this.#standby.stop()
		this.#wake()
		await listening
		// An engine that gave back what it had leaves nothing of use: the next one must not take it for its own.
		if (this.#engineStops && code === 0) for (const name of this.#descriptors.names) this.#above.forget(name)
		this.#descriptors.closeAll()
		rmSync(this.#socketDirectory, { recursive: true, force: true })
		return code
	}

	/**
	 * Ends, and leaves what is kept to who keeps us, for the keeper that is started next: the engine ends between two requests. With
	 * nobody there, or nothing to leave, it stops.
	 */
	leave(): void {
		if (!this.#above.there || !this.#hasServed) return this.stop('SIGTERM')
		if (this.#ended || this.#asked !== undefined) return
		this.#leaves = true
		if (this.#engine !== undefined) return this.stop(LEAVE_SIGNAL)
		clearTimeout(this.#restart)
		this.#finish(0)
	}

	/** Passes a signal that asks for the end on to the engine. */
	stop(signal: NodeJS.Signals): void {
		if (this.#ended) return
		const again = this.#asked !== undefined
		this.#asked = signal
		if (this.#engine === undefined) {
			clearTimeout(this.#restart)
			if (!this.#hasServed) return this.#finish(EXIT_FAILED)
			// Only an engine can give back what is kept.
			this.#start()
		}
		this.#standby.want(false)
		// One that takes over and is killed by it in the middle would give nothing back: it gets the signal when it is ready.
		if (!this.#hasServed || this.#readyAtMs !== Number.POSITIVE_INFINITY) this.#engine?.kill(signal)
		if (!again) this.#arm(STOP_WITHIN_MS, 'did not stop in time')
	}

	#start(): void {
		const held = this.#descriptors.all
		const noticed = `POGS_NOTICED_US=${this.#noticedUs}`
		const standby = this.#standby.take(held, noticed)
		const engine =
			standby ??
			this.#spawn(
				held.map(({ fd }) => fd),
				{
					LISTEN_FDS: String(held.length),
					LISTEN_FDNAMES: held.map(({ name }) => name).join(':'),
					...(this.#noticedUs > 0 ? { POGS_NOTICED_US: String(this.#noticedUs) } : {}),
				},
			)
		this.#engine = engine
		// One that gets nothing takes over from nobody, and would not put itself back.
		if (this.#noticedUs > 0 && held.length > 0 && engine.pid !== undefined) bringForward(engine.pid)
		this.#engineStops = false
		this.#startedAtMs = performance.now()
		this.#servesAtMs = this.#readyAtMs = Number.POSITIVE_INFINITY
		this.#watchdogUs = this.#options.watchdogUs
		this.#arm(START_WITHIN_MS, 'did not become ready in time')
		engine.once('error', cause => {
			this.#options.log('error', 'cannot start the engine', { cause: cause.message })
			if (engine.pid === undefined) this.#over(engine, null, null)
		})
		engine.once('exit', (code, signal) => this.#over(engine, code, signal))
		this.#looks = lookForRemains(engine.pid, (code, signal) => this.#over(engine, code, signal))
	}

	/** An engine's process, with these descriptors from FIRST_FD on. */
	#spawn(descriptors: readonly number[], words: NodeJS.ProcessEnv): ChildProcess {
		const { NOTIFY_SOCKET: _above, ...environment } = this.#options.environment
		return spawn('/bin/sh', ['-c', START_SCRIPT, 'sh', ...this.#options.command()], {
			stdio: ['inherit', 'inherit', 'inherit', ...descriptors],
			env: {
				...environment,
				NOTIFY_SOCKET: this.#socketPath,
				WATCHDOG_USEC: String(this.#options.watchdogUs),
				POGS_KEEPER: String(process.pid),
				POGS_OOM_SCORE_ADJ: this.#oomScoreAdj,
				...words,
			},
		})
	}

	/** What it said before it died counts: above all, what is to be kept. */
	#over(engine: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
		if (this.#engine !== engine) return
		this.#noticedUs = nowUs()
		if (this.#hasServed) hurryGroup()
		this.#drain()
		clearTimeout(this.#watchdog)
		clearInterval(this.#looks)
		this.#engine = undefined
		const asked = this.#asked !== undefined || this.#engineStops
		if (asked && !this.#leaves && code !== 0 && this.#descriptors.size > 0) this.#options.log('error', LEFT_BEHIND)
		if (!asked && !this.#hasServed && signal !== null)
			this.#options.log('error', 'the engine was killed before it was ready', { signal })
		if (asked) return this.#finish(code ?? EXIT_FAILED)
		if (this.#hasServed) return this.#again(code, signal)
		// Who keeps us starts us again at once, for ever: what fails at its start every time must not take a processor.
		this.#restart = setTimeout(() => this.#finish(code ?? EXIT_FAILED), code !== 0 && this.#above.there ? FAILED_MS : 0)
	}

	#again(code: number | null, signal: NodeJS.Signals | null): void {
		const { log } = this.#options
		const now = performance.now()
		// One that ends well without being asked to wants to be replaced: by another version, say.
		const replaced = code === 0
		// The one that stands by was loaded before what is installed now.
		if (replaced) this.#standby.stop()
		const waitMs = replaced ? 0 : this.#backoff.wait(Math.max(0, now - this.#servesAtMs))
		const { deaths } = this.#backoff
		const fields = {
			how: signal ?? `exit code ${code}`,
			'ran-s': Math.round((now - this.#startedAtMs) / 1000),
			kept: this.#descriptors.size,
		}
		if (replaced) log('info', 'keeper: the engine is replaced', fields)
		else if (deaths < MANY_DEATHS) log('warn', 'keeper: the engine ended: starting it again', fields)
		else {
			const next = { ...fields, deaths, 'next-in-ms': waitMs }
			log(
				'error',
				'keeper: the engine ends again and again; it is tried for ever, and nothing of what is kept is given up',
				next,
			)
		}
		if (waitMs === 0) this.#start()
		else this.#restart = setTimeout(() => this.#start(), waitMs)
	}

	/** From now on the engine has so long until it is killed. */
	#arm(withinMs: number, problem: string): void {
		clearTimeout(this.#watchdog)
		this.#watchdog = setTimeout(() => {
			this.#options.log('error', `keeper: the engine ${problem}: it is killed`, { 'within-ms': withinMs })
			this.#engine?.kill('SIGKILL')
		}, withinMs)
	}

	async #listen(): Promise<void> {
		while (!this.#ended) {
			await this.#epoll.waitBeside(-1)
			if (!this.#ended) this.#drain()
		}
		this.#epoll.close()
		close(this.#wakeFd)
		close(this.#socketFd)
	}

	#wake(): void {
		const one = allocate(8)
		one.bytes[0] = 1
		write(this.#wakeFd, one.address, 8)
	}

	#drain(): void {
		for (;;) {
			const message = this.#messages.receive(this.#socketFd)
			if (typeof message === 'number') return
			const { text, descriptors, pid } = message
			const ours = pid !== 0 && pid === this.#engine?.pid
			const said = ours ? parseNotification(text) : undefined
			for (const fd of descriptors) {
				// What is not to be kept is closed after the rest of the message: BARRIER=1 waits for that.
				if (said?.keep === undefined) close(fd)
				else if (this.#descriptors.keep(said.keep, fd)) this.#above.keep(said.keep, fd)
				else
					this.#options.log('error', 'keeper: no room for a descriptor: it will not outlive the engine', {
						name: said.keep,
					})
			}
			if (said !== undefined) this.#obey(said)
		}
	}

	#obey(said: Notification): void {
		if (said.forget !== undefined) {
			this.#descriptors.forget(said.forget)
			this.#above.forget(said.forget)
		}
		if (said.watchdogUs !== undefined) this.#watchdogUs = said.watchdogUs
		if (said.stopping) {
			this.#engineStops = true
			this.#above.say('STOPPING=1')
			this.#arm(STOP_WITHIN_MS, 'did not stop in time')
		}
		if (said.serves) {
			this.#servesAtMs = Math.min(this.#servesAtMs, performance.now())
			this.#hasServed = true
		}
		if (said.ready && this.#readyAtMs === Number.POSITIVE_INFINITY) {
			this.#readyAtMs = performance.now()
			if (this.#asked !== undefined) this.#engine?.kill(this.#asked)
		}
		if (said.ready) this.#becomeReady()
		if (this.#engineStops || this.#asked !== undefined) return
		if (said.standby !== undefined) this.#standby.want(said.standby)
		if (said.ready || said.alive) this.#arm(this.#watchdogUs / 1000, 'does not answer')
	}

	#becomeReady(): void {
		if (this.#toldAbove) return
		this.#toldAbove = true
		this.#above.say('READY=1')
	}
}

function nowUs(): number {
	return Number(process.hrtime.bigint() / 1000n)
}

function readOomScoreAdj(): string {
	try {
		return readFileSync('/proc/self/oom_score_adj', 'latin1').trim()
	} catch {
		return '0'
	}
}
