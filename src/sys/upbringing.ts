/**
 * What a process got from who keeps its descriptors (systemd, or our keeper): they themselves by name, and where to say what.
 * Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3) of systemd 252. Invariant: none is inherited by a program that
 * this one starts, nor is a variable that was meant for this one.
 */
import { setCloseOnExec } from './notify-socket.ts'

/** The first descriptor that is passed on: SD_LISTEN_FDS_START. */
const FIRST_FD = 3

/** One that an earlier engine had, with the name it is kept under. */
export interface NamedDescriptor {
	readonly name: string
	readonly fd: number
}

/** What an earlier engine left for this one, each descriptor once. */
export type Inherited = Map<string, number>

/** What the keeper gave this process, in its environment, which is cleared of it: programs we start are not meant. */
export interface Upbringing {
	readonly inherited: Inherited
	readonly notifySocket: string | null
	/** How often a sign of life is expected; 0 for never. */
	readonly watchdogUs: number
}

/** Reads and clears the variables of sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). */
export function takeUpbringing(environment: NodeJS.ProcessEnv, pid: number): Upbringing {
	const take = (name: string): string => {
		const value = environment[name] ?? ''
		delete environment[name]
		return value
	}
	const inherited: Inherited = new Map()
	const [forPid, count, names] = [take('LISTEN_PID'), take('LISTEN_FDS'), take('LISTEN_FDNAMES')]
	if (forPid === String(pid) && /^\d{1,6}$/.test(count)) {
		const named = names.split(':')
		for (let i = 0; i < Number(count); i++) {
			const name = named[i] ?? ''
			setCloseOnExec(FIRST_FD + i)
			// The later one under a name is the one in use.
			if (name !== '') inherited.set(name, FIRST_FD + i)
		}
	}
	const notifySocket = take('NOTIFY_SOCKET')
	const watchdogPid = take('WATCHDOG_PID')
	const watchdog = take('WATCHDOG_USEC')
	const ours = (watchdogPid === '' || watchdogPid === String(pid)) && /^\d{1,15}$/.test(watchdog)
	return { inherited, notifySocket: notifySocket === '' ? null : notifySocket, watchdogUs: ours ? Number(watchdog) : 0 }
}
