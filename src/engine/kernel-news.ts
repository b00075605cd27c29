/**
 * What the kernel says about containers, brought to each one's own log as the kernel's word.
 *
 * Invariant: a container that is not known, or no more, is told nothing; the host's log is only read.
 */
import { HostKmsg } from '../ingest/host-kmsg.ts'
import { KernelMessages } from '../ingest/kernel-messages.ts'
import type { Pog } from '../pog/pog.ts'
import { close } from '../sys/io.ts'
import { ProcConnector } from '../sys/proc-connector.ts'
import { KernelOwners, seesMachine } from './kernel-owners.ts'
import type { Endpoint } from './reactor.ts'

const FACILITY_KERN = 0
/** Reports of dying processes that are looked at before a record of the kernel. */
const DYING_A_RECORD = 256

export class KernelNews {
	readonly #owners = new KernelOwners()
	readonly #messages = new KernelMessages<Pog>(this.#owners)

	/** Reads from now on, where this process sees the machine's own names and may read its log. */
	constructor(loop: { add(endpoint: Endpoint): void }) {
		if (!seesMachine()) return
		const dying = new ProcConnector()
		const host = new HostKmsg((severity, text) => {
			// Whoever is spoken of and gone by now was reported dying before that.
			if (dying.fd >= 0) this.#noteDying(dying, DYING_A_RECORD)
			for (const { owner, severity: level, text: told } of this.#messages.take(severity, text))
				owner.log('kernel', FACILITY_KERN, level, '', Buffer.from(told, 'latin1').toString('utf8'), true)
		})
		if (host.fd < 0) return
		loop.add({ fd: host.fd, turn: units => host.receive(units), over: () => close(host.fd) })
		if (dying.fd < 0) return
		loop.add({ fd: dying.fd, turn: units => this.#noteDying(dying, units), over: () => close(dying.fd) })
	}

	#noteDying(from: ProcConnector, units: number): number {
		for (let done = 0; done < units; done++) {
			const dump = from.receive()
			// ENOBUFS and the like: some were missed, more come.
			if (typeof dump === 'number') return done
			if (dump !== undefined) this.#owners.noteDying(dump)
		}
		return units
	}

	/** A container's first process is known. */
	learn(pog: Pog, pid: number): void {
		this.#owners.learn(pog, pid)
	}

	forget(pog: Pog): void {
		this.#owners.forget(pog)
		this.#messages.forget(pog)
	}
}
