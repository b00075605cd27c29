/**
 * What survives this process: descriptors that a keeper (ours, or systemd) holds, by name.
 *
 *     api                 the listening socket of the API
 *     host                the FUSE connection of RUN/host
 *     door                the listening socket of RUN/seccomp.sock
 *     caller-N            a runtime that has connected there and said nothing yet
 *     fuse-ID, log-ID     a POG's FUSE connection and its /dev/log socket
 *     seccomp-ID-PID-N    its seccomp listeners; PID: the process that the filter was made for, 0 when it was not told
 *
 * Source: sd_notify(3), sd_listen_fds(3) of systemd 252. Invariant: a descriptor is kept before anything depends on it. With
 * nobody to keep them (NOTIFY_SOCKET is not set) everything here does nothing.
 */
import { errnoName } from '../lib/errno.ts'
import { connectNotifySocket, NotifyMessages } from '../sys/notify-socket.ts'

/** A keeper that does not listen for so long is gone, or stopped. */
const SEND_TIMEOUT_MS = 2_000

/** One for each thread that keeps something. */
export class FdStore {
	readonly #fd: number
	readonly #messages: NotifyMessages | undefined
	readonly #complain: (problem: string) => void

	/** `notifySocket`: the keeper's, or null for none. `complain` is told what will not outlive the process. */
	constructor(notifySocket: string | null, complain: (problem: string) => void) {
		this.#complain = complain
		this.#fd = notifySocket === null ? -1 : connectNotifySocket(notifySocket, SEND_TIMEOUT_MS)
		if (notifySocket === null) return
		this.#messages = new NotifyMessages()
		if (this.#fd < 0) complain(`Cannot reach the keeper at ${notifySocket}: ${errnoName(this.#fd)}`)
	}

	/** Hands a copy of a descriptor to the keeper. */
	keep(name: string, fd: number): void {
		// FDPOLL=0: a connection that has been aborted is given up by us, not by the keeper.
		this.#send(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, fd)
	}

	/** The keeper closes its copies under that name. */
	forget(name: string): void {
		this.#send(`FDSTOREREMOVE=1\nFDNAME=${name}`)
	}

	/** Says something else of sd_notify(3): READY=1, WATCHDOG=1, ... */
	notify(text: string): void {
		this.#send(text)
	}

	#send(text: string, ...descriptors: readonly number[]): void {
		if (this.#fd < 0) return
		const sent = this.#messages?.send(this.#fd, text, ...descriptors) ?? 0
		if (sent < 0) this.#complain(`The keeper does not take "${text.split('\n', 2).join(' ')}": ${errnoName(sent)}`)
	}
}
