/**
 * RUN/lxc.sock: where LXC's monitors bring the syslog(2) calls of their containers, one message a call (`lxc.seccomp.notify.proxy`).
 *
 * Source: lxc.container.conf(5), "SECCOMP"; see `syslog2/lxc-message.ts`. The monitor receives the calls and gives the answers itself, and
 * until it has one it does nothing else: no lxc-stop, no lxc-attach. Invariant: no call is held for longer than two ticks, a
 * READ that waits gets EINTR then, as from a signal, and klogd asks again; every message is answered once, its descriptors closed.
 */
import { ENOENT, ENOSYS } from '../lib/errno.ts'
import { close } from '../sys/io.ts'
import { isSyslogCall } from '../sys/seccomp.ts'
import { acceptStream, DescriptorMessages } from '../sys/seccomp-socket.ts'
import { userNamespaceOf } from '../syslog2/caller.ts'
import { LXC_LISTENER, type LxcCall, parseLxcMessage, renderLxcAnswer } from '../syslog2/lxc-message.ts'
import type { AnswerPath, SyslogCalls, SyslogDesk } from '../syslog2/syslog-calls.ts'
import type { Endpoint } from './reactor.ts'

const MAX_MONITORS = 4096

/** One container's monitor. */
interface Monitor extends Endpoint, AnswerPath {
	userNamespace: string
	/** The call that it waits for, the descriptors that came with it, and who looks into it. */
	call: {
		readonly message: LxcCall
		readonly descriptors: readonly number[]
		ticks: number
		calls?: SyslogCalls
	} | null
}

interface Owner {
	readonly syslog: SyslogCalls
}

export class LxcDoor {
	readonly #loop: { add(endpoint: Endpoint): void }
	readonly #desk: SyslogDesk
	readonly #messages = new DescriptorMessages()
	readonly #monitors = new Set<Monitor>()
	readonly #ownerOf: (initPid: number) => Owner | undefined
	readonly #complain: (message: string) => void

	/** `ownerOf`: the POG of the container that begins with this process. */
	constructor(
		loop: { add(endpoint: Endpoint): void },
		desk: SyslogDesk,
		socketFd: number,
		ownerOf: (initPid: number) => Owner | undefined,
		complain: (message: string) => void,
	) {
		this.#loop = loop
		this.#desk = desk
		this.#ownerOf = ownerOf
		this.#complain = complain
		loop.add({ fd: socketFd, turn: () => this.#accept(socketFd), over: () => close(socketFd) })
	}

	#accept(socketFd: number): number {
		const fd = acceptStream(socketFd)
		if (fd < 0) return 0
		if (this.#monitors.size >= MAX_MONITORS) {
			close(fd)
			this.#complain(`More than ${MAX_MONITORS} LXC containers: one is not served, its syslog(2) calls get ENOSYS`)
			return 1
		}
		const monitor: Monitor = {
			fd,
			// A later engine is asked again by nobody: the monitor answers for it, with ENOSYS.
			number: -1,
			userNamespace: '',
			call: null,
			turn: () => this.#receive(monitor),
			over: () => this.#end(monitor),
			isValid: id => this.#desk.notifications.isValid(monitor.call?.descriptors[LXC_LISTENER] ?? -1, id),
			send: (_, value) => this.#answer(monitor, value),
		}
		this.#monitors.add(monitor)
		this.#loop.add(monitor)
		return 1
	}

	#receive(monitor: Monitor): number {
		const received = this.#messages.receive(monitor.fd)
		if (typeof received === 'number') return 0
		const { text, descriptors } = received
		const parsed = parseLxcMessage(text)
		if ('problem' in parsed || monitor.call !== null) {
			for (const fd of descriptors) close(fd)
			// An empty one is its end; one out of turn is none of LXC's.
			if (text.length > 0) this.#complain('problem' in parsed ? parsed.problem : 'A message from LXC came out of turn')
			return -1
		}
		const message = parsed.value
		monitor.call = { message, descriptors, ticks: 0 }
		const owner = this.#ownerOf(message.initPid)
		if (owner === undefined || !isSyslogCall(message.arch, message.nr)) {
			this.#answer(monitor, -ENOSYS)
			return 1
		}
		if (monitor.userNamespace === '') monitor.userNamespace = userNamespaceOf(message.initPid)
		monitor.call.calls = owner.syslog
		owner.syslog.take(monitor, message)
		return 1
	}

	/** 0, or a negative errno when nobody waits for the answer any more. */
	#answer(monitor: Monitor, value: number): number {
		const { call } = monitor
		if (call === null) return -ENOENT
		const waits = monitor.isValid(call.message)
		monitor.call = null
		const sent = this.#messages.sendBytes(monitor.fd, renderLxcAnswer(call.message, value))
		for (const fd of call.descriptors) close(fd)
		return waits ? Math.min(0, sent) : -ENOENT
	}

	#end(monitor: Monitor): void {
		if (!this.#monitors.delete(monitor)) return
		monitor.call?.calls?.interrupt(monitor)
		for (const fd of monitor.call?.descriptors ?? []) close(fd)
		monitor.call = null
		close(monitor.fd)
	}

	/** Lets go of monitors that have waited for a tick: to be called now and then. */
	tick(): void {
		for (const monitor of this.#monitors)
			if (monitor.call !== null && monitor.call.ticks++ > 0) monitor.call.calls?.interrupt(monitor)
	}
}
