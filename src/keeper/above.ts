/**
 * Who keeps the keeper: systemd, where pogshim is the main process of a unit. What the engine has kept here is kept there too, so
 * that it outlives both. Source: sd_notify(3) of systemd 252. Nobody above: everything here does nothing.
 */
import { connectNotifySocket, NotifyMessages } from '../sys/notify-socket.ts'

/** The manager of a busy machine may be behind; longer than this nobody's containers wait for it. */
const SEND_TIMEOUT_MS = 2_000

export class Above {
	readonly #fd: number
	readonly #messages: NotifyMessages | undefined

	/** `path`: NOTIFY_SOCKET as we got it. */
	constructor(path: string | undefined) {
		const there = path !== undefined && path !== ''
		this.#fd = there ? connectNotifySocket(path, SEND_TIMEOUT_MS) : -1
		if (this.#fd >= 0) this.#messages = new NotifyMessages()
	}

	/** Is there anybody? */
	get there(): boolean {
		return this.#fd >= 0
	}

	/** Hands over a copy of a descriptor. */
	keep(name: string, fd: number): void {
		this.say(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, fd)
	}

	forget(name: string): void {
		this.say(`FDSTOREREMOVE=1\nFDNAME=${name}`)
	}

	say(text: string, ...descriptors: readonly number[]): void {
		this.#messages?.send(this.#fd, text, ...descriptors)
	}
}
