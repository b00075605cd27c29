/**
 * The engine before it has anything to serve: what it gets from its keeper, at its start or, loaded beforehand, when the one that
 * serves has died (`src/keeper/standby.ts`).
 *
 * Invariant: one that stands by has loaded all it will need, so that files that are replaced meanwhile do not matter; it has
 * opened nothing, and ends with its keeper.
 */
import { readVersion } from '../lib/version.ts'
import { Epoll, EPOLLIN } from '../sys/epoll.ts'
import { close } from '../sys/io.ts'
import { NotifyMessages, setCloseOnExec } from '../sys/notify-socket.ts'
import { takeUpbringing, type Upbringing } from '../sys/upbringing.ts'

/** Where the time of a start went: each by its name, in microseconds of CLOCK_MONOTONIC. */
export type Phases = Map<string, number>

export function nowUs(): number {
	return Number(process.hrtime.bigint() / 1000n)
}

/** What this process was given; one that stands by waits until it is. `phases` gets when the death was noticed and what was then. */
export async function receiveUpbringing(environment: NodeJS.ProcessEnv, phases: Phases): Promise<Upbringing> {
	const upbringing = takeUpbringing(environment, process.pid)
	const socketFd = Number(environment['POGS_STANDBY'] ?? -1)
	delete environment['POGS_STANDBY']
	const noticed = environment['POGS_NOTICED_US']
	delete environment['POGS_NOTICED_US']
	if (socketFd < 0) {
		if (noticed !== undefined) phases.set('noticed', Number(noticed))
		phases.set('loaded', nowUs())
		return upbringing
	}
	setCloseOnExec(socketFd)
	await loadAll()
	await standBy(socketFd, upbringing, phases)
	return upbringing
}

/** Beside what is loaded by now: what `serve` and the policy leave until later. */
async function loadAll(): Promise<void> {
	readVersion()
	await Promise.all([import('../control/api.ts'), import('./bundle-attacher.ts'), import('chokidar')])
}

async function standBy(socketFd: number, { inherited }: Upbringing, phases: Phases): Promise<void> {
	const epoll = new Epoll(1)
	epoll.add(socketFd, EPOLLIN, 0)
	const messages = new NotifyMessages()
	for (;;) {
		if ((await epoll.waitBeside(-1)) === 0) continue
		const message = messages.receive(socketFd)
		if (typeof message === 'number') continue
		const { text, descriptors } = message
		// Nobody is left to take over from.
		if (text === '') process.exit(0)
		const names = /^LISTEN_FDNAMES=(.*)$/m.exec(text)?.[1]?.split(':') ?? []
		for (const [i, fd] of descriptors.entries()) inherited.set(names[i] ?? '', fd)
		if (!/^GO=1$/m.test(text)) continue
		phases.set('noticed', Number(/^POGS_NOTICED_US=(\d+)$/m.exec(text)?.[1]))
		phases.set('loaded', nowUs())
		epoll.close()
		close(socketFd)
		return
	}
}

/** How long after the death of the engine before what was done, in ms: `served=8.1`. */
export function afterDeath(phases: Phases): Record<string, number> {
	const from = phases.get('noticed')
	if (from === undefined) return {}
	const later = [...phases].filter(([name]) => name !== 'noticed')
	return Object.fromEntries(later.map(([name, us]) => [`${name}-ms`, Math.round((us - from) / 100) / 10]))
}
