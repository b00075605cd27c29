/**
 * A shard: one thread that owns some POGs and does all their work. It sleeps in epoll, never in the event loop; the
 * main thread's commands come over a message port, with a write to an eventfd to wake it.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Features, Filesystem } from '../fuse/filesystem.ts'
import type { RequestJournal } from '../fuse/request-journal.ts'
import { type Fault, Session } from '../fuse/session.ts'
import { Workspace } from '../fuse/workspace.ts'
import { systemClock } from '../lib/clock.ts'
import { describePog } from '../pog/describe.ts'
import { DEFAULT_LIMITS } from '../pog/limits.ts'
import { onChange } from '../lib/changes.ts'
import { errnoName } from '../lib/errno.ts'
import { close, read } from '../sys/io.ts'
import { allocate } from '../sys/memory.ts'
import { Staging } from '../ingest/staging.ts'
import { openPidfd } from '../sys/processes.ts'
import { CALL_JOURNAL_BYTES } from '../syslog2/call-journal.ts'
import { SyslogDesk } from '../syslog2/syslog-calls.ts'
import { ControlTree } from '../vfs/control-tree.ts'
import type { PogTree } from '../vfs/pog-tree.ts'
import type { AnswerMessage, CommandMessage, Commands, ServeRequest, ShardData, ShardEvent } from './messages.ts'
import { FdStore } from './fd-store.ts'
import { keptHandshake, stagingMemory } from './kept-state.ts'
import { Deferred, describeOr, type Handlers, later, Refusal, type Served, whenServed } from './answers.ts'
import type { Connect } from './link.ts'
import { LxcDoor } from './lxc-door.ts'
import { lacksResend, withheldFlags } from './old-kernels.ts'
import { KernelNews } from './kernel-news.ts'
import type { Loop } from './reactor.ts'
import { backingCalls, READ_SCRATCH_BYTES, ServedPog } from './served-pog.ts'
import type { ShardContext } from './shard-context.ts'
import { SyslogListeners } from './syslog-listeners.ts'

const TICK_MS = 1000

export class Shard {
	readonly #reactor: Loop
	readonly #pogs = new Map<number, ServedPog>()
	readonly #port: MessagePort
	readonly #context: ShardContext
	readonly #wake = allocate(8)
	readonly #handlers: Handlers
	readonly #workspace: Workspace
	readonly #news: KernelNews
	readonly #tellNegotiated = onChange((protocol: string, features: Record<string, string | number | boolean>) =>
		this.#tell({ event: 'negotiated', protocol, features }),
	)
	#control: ControlTree | undefined
	readonly #listeners: SyslogListeners

	/** `connect`: how POGs are served; by the kernel's protocol when it is not given. */
	constructor(port: MessagePort, data: ShardData, loop: Loop, connect?: Connect) {
		this.#port = port
		this.#reactor = loop
		const requestPath = data.stagingPath !== null && lacksResend() ? `${data.stagingPath}-request` : null
		this.#workspace = new Workspace({}, sizeBytes => stagingMemory(requestPath, sizeBytes))
		this.#context = {
			limits: DEFAULT_LIMITS,
			policy: data.policy,
			clock: systemClock(),
			calls: backingCalls(),
			scratch: allocate(READ_SCRATCH_BYTES),
			resized: (id, textBytes) => this.#tell({ event: 'resized', id, textBytes }),
			spent: fd => this.#tell({ event: 'spent', fd }),
			staging: new Staging(DEFAULT_LIMITS.datagramBytes, sizeBytes => stagingMemory(data.stagingPath, sizeBytes)),
			pogctl: data.pogctl,
			desk: new SyslogDesk(
				stagingMemory(data.stagingPath === null ? null : `${data.stagingPath}-calls`, CALL_JOURNAL_BYTES),
			),
			fdStore: new FdStore(data.notifySocket, message =>
				this.#tell({ event: 'log', level: 'error', message, fields: {} }),
			),
			nudge: endpoint => this.#reactor.nudge(endpoint),
			connect: (request, tree, onGone) => {
				if (connect !== undefined) return connect(request, tree, fault => this.#report(request.name, fault), onGone)
				const session = this.#newSession(request, tree, this.#tellNegotiated, tree.journal)
				if (request.resume) this.#resume(request.name, tree, session)
				const { fuseFd } = request
				const endpoint = { fd: fuseFd, turn: (units: number) => session.serve(units), over: onGone }
				return { endpoint, close: () => close(fuseFd) }
			},
		}
		this.#listeners = new SyslogListeners({
			pogs: this.#pogs,
			reactor: loop,
			fdStore: this.#context.fdStore,
			tell: event => this.#tell(event),
			complain: message => this.#complain('seccomp', message),
		})
		this.#news = new KernelNews(loop)
		this.#handlers = this.#commands()
		const { wakeFd: fd } = data
		this.#reactor.add({ fd, rare: true, turn: () => this.#receive(fd), over: () => this.#reactor.stop() })
		this.#reactor.every(TICK_MS, () => {
			for (const served of this.#pogs.values()) {
				served.pog.tick()
				served.pog.flush()
				this.#observe(served)
			}
		})
	}

	/** From now on the loop serves it. */
	ready(): void {
		this.#tell({ event: 'ready' })
	}

	#newSession(
		{ name, fuseFd }: { name: string; fuseFd: number },
		tree: Filesystem,
		onNegotiated: (protocol: string, features: Record<string, string | number | boolean>) => void,
		journal: RequestJournal,
	): Session {
		const tell = ({ minor, passthrough, resend, maxWriteBytes }: Features): void =>
			onNegotiated(`7.${minor}`, { passthrough, resend, maxWriteBytes })
		const session = new Session(fuseFd, tree, {
			workspace: this.#workspace,
			withheld: withheldFlags(this.#context.policy),
			journal,
			onNegotiated: tell,
			log: fault => this.#report(name, fault),
		})
		if (session.features.minor > 0) tell(session.features)
		return session
	}

	/** Goes on where an earlier engine was killed. */
	#resume(pog: string, tree: PogTree, session: Session): void {
		tree.revive()
		const resent = session.revive()
		tree.wakePollers()
		if (resent === 0) return
		const message = 'reads that waited ended with EINTR: this kernel (before 6.9) cannot send requests again'
		this.#tell({ event: 'log', level: 'warn', message, fields: { pog, errno: errnoName(resent) } })
	}

	#report(pog: string, { message, operation, node, cause }: Fault): void {
		const text = String(cause instanceof Error ? cause.stack : cause)
		this.#tell({ event: 'log', level: 'error', message, fields: { pog, operation, node, cause: text } })
	}

	#tell(event: ShardEvent): void {
		this.#port.postMessage(event)
	}

	#receive(wakeFd: number): number {
		if (read(wakeFd, this.#wake.address, 8) < 0) return 0
		let received = 0
		for (;;) {
			const message = receiveMessageOnPort(this.#port) as { message: CommandMessage } | undefined
			if (message === undefined) return received
			const answer = this.#obey(message.message)
			const post = (late: AnswerMessage): void => this.#port.postMessage(late)
			if (answer instanceof Promise) void answer.then(post)
			else if (answer instanceof Deferred) answer.whenSettled(post)
			else post(answer)
			received++
		}
	}

	#obey({ serial, name, ask }: CommandMessage): AnswerMessage | Deferred<AnswerMessage> | Promise<AnswerMessage> {
		const answered = (answer: unknown): AnswerMessage =>
			answer instanceof Refusal ? { serial, error: answer.message } : { serial, answer }
		try {
			const handler = this.#handlers[name] as (ask: unknown) => unknown
			const answer = handler(ask)
			if (answer instanceof Deferred) return answer.map(answered)
			return answer instanceof Promise ? answer.then(answered) : answered(answer)
		} catch (cause) {
			const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
			this.#tell({
				event: 'log',
				level: 'error',
				message: `Cannot ${name}: the command threw`,
				fields: { cause: text },
			})
			return { serial, error: `Internal error: ${cause instanceof Error ? cause.message : text}` }
		}
	}

	#commands(): Handlers {
		const withPog =
			<A extends { id: number }, R>(run: (served: ServedPog, ask: A) => R) =>
			(ask: A): R | Refusal => {
				const served = this.#pogs.get(ask.id)
				if (served === undefined) return new Refusal('The POG is gone')
				const answer = run(served, ask)
				// Not a removed one's: its ring is unmapped.
				if (this.#pogs.has(ask.id)) served.pog.flush()
				return answer
			}
		return {
			serve: ask => whenServed(this.#serve(ask), ({ pog }) => describePog(pog)),
			revive: ask => whenServed(this.#serve(ask), () => null),
			remove: withPog(served => this.#remove(served)),
			list: () => [...this.#pogs.values()].map(({ pog }) => describePog(pog)),
			show: withPog(({ pog }) => describePog(pog)),
			clear: withPog(({ pog }) => {
				pog.clear()
				return null
			}),
			write: withPog(({ pog }, ask: Commands['write']['ask']) => ({
				seq: pog.log('control', ask.facility, ask.severity, ask.tag, ask.text),
			})),
			resize: withPog((served, ask: Commands['resize']['ask']) =>
				later(served, served.resize(ask.ringBytes), done => describeOr(served, done)),
			),
			adoptRing: withPog((served, ask: Commands['adoptRing']['ask']) =>
				later(served, served.adopt(ask.path, ask.textBytes), done => describeOr(served, done)),
			),
			readConf: withPog(({ pog: { configured } }) => ({
				// The API speaks text; a configuration is bytes, one a character.
				text: Buffer.from(configured.text, 'latin1').toString(),
				state: configured.state,
				diagnostics: [...configured.diagnostics],
			})),
			writeConf: withPog((served, ask: Commands['writeConf']['ask']) => {
				const { configured } = served.pog
				return later(served, configured.prepare(Buffer.from(ask.text).toString('latin1')), ready => ({
					diagnostics: [...configured.setReady(ready)],
				}))
			}),
			resetConf: withPog(served => {
				const { configured, policy } = served.pog
				return later(served, configured.prepare(policy.defaultConf), () => {
					configured.reset()
					return null
				})
			}),
			policy: policy => {
				this.#context.policy = policy
				for (const { pog } of this.#pogs.values()) {
					pog.setPolicy(policy)
					pog.flush()
				}
				return null
			},
			serveControl: ({ fuseFd, revive, storePath }) => {
				const tree = new ControlTree((command, line) => this.#tell({ event: 'hostCommand', command, line }))
				const session = this.#newSession({ name: 'host', fuseFd }, tree, () => {}, keptHandshake(storePath))
				if (revive) session.revive()
				this.#control = tree
				this.#reactor.add({ fd: fuseFd, rare: true, turn: units => session.serve(units), over: () => {} })
				return null
			},
			serveSyslog: ({ socketFd, callers }) => {
				this.#listeners.openDoor(socketFd, callers)
				return null
			},
			serveLxc: ({ socketFd }) => {
				const complain = (message: string): void => this.#complain('lxc', message)
				const door = new LxcDoor(this.#reactor, this.#context.desk, socketFd, pid => this.#ofFirst(pid), complain)
				this.#reactor.every(TICK_MS, () => door.tick())
				return null
			},
			answerControl: ({ command, line }) => {
				this.#control?.answer(command, line)
				return null
			},
			watch: withPog((served, ask: Commands['watch']['ask']) => {
				const watched = this.#watch(ask)
				if (watched !== null) return watched
				served.firstPid = ask.pid
				this.#news.learn(served.pog, ask.pid)
				return null
			}),
			retire: withPog(served => {
				this.#unwatch(served)
				served.retire()
				return null
			}),
			ping: () => null,
			suspend: () => {
				this.#reactor.stop()
				return null
			},
			stop: () => {
				for (const served of this.#pogs.values()) this.#remove(served)
				this.#reactor.stop()
				return null
			},
		}
	}

	#serve(ask: ServeRequest): Served | Promise<Served> {
		const served = ServedPog.create(ask, this.#context, () => this.#tell({ event: 'gone', id: ask.id }))
		if (typeof served === 'string') return new Refusal(served)
		if (ask.retired) {
			served.retire()
			this.#pogs.set(ask.id, served)
			return served
		}
		const { mounted } = served.link
		return mounted === undefined ? this.#admit(served) : this.#admitMounted(served, mounted)
	}

	async #admitMounted(served: ServedPog, mounted: Promise<string | null>): Promise<Served> {
		const problem = await mounted
		if (problem === null) return this.#admit(served)
		served.abandon()
		return new Refusal(problem)
	}

	#admit(served: ServedPog): ServedPog {
		this.#pogs.set(served.pog.id, served)
		const { endpoint } = served.link
		if (endpoint !== null) {
			this.#reactor.add(endpoint, served.account)
			// What an earlier engine had begun goes on.
			if (served.chores.busy) this.#reactor.nudge(endpoint)
		}
		this.#reactor.add(served.log, served.account)
		this.#listeners.resume(served)
		served.syslog.recover()
		return served
	}

	#observe({ pog: { id }, observer }: ServedPog, last = false): void {
		observer.look(noticed => this.#tell({ event: 'noticed', id, ...noticed }), last)
	}

	#unwatch(served: ServedPog): void {
		const { pog, link, log } = served
		this.#observe(served, true)
		this.#news.forget(pog)
		if (link.endpoint !== null) this.#reactor.remove(link.endpoint)
		this.#reactor.remove(log)
	}

	#complain(socket: string, message: string): void {
		this.#tell({ event: 'log', level: 'warn', message, fields: { socket } })
	}

	/** The POG whose container begins with this process. */
	#ofFirst(pid: number): ServedPog | undefined {
		for (const served of this.#pogs.values()) if (served.firstPid === pid) return served
		return undefined
	}

	/** A process descriptor is readable when its process has ended. */
	#watch({ id, pid }: Commands['watch']['ask']): null | Refusal {
		const fd = openPidfd(pid)
		if (fd < 0) return new Refusal(`Cannot watch process ${pid}: ${errnoName(fd)}`)
		this.#reactor.add({
			fd,
			turn: () => -1,
			over: () => {
				close(fd)
				this.#tell({ event: 'exited', id })
			},
		})
		return null
	}

	#remove(served: ServedPog): null {
		this.#pogs.delete(served.pog.id)
		this.#unwatch(served)
		served.close()
		return null
	}
}
