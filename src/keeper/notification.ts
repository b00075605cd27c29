/**
 * What an engine may say to its keeper: the assignments of sd_notify(3), systemd 252. Total: a line that is none, a word
 * that is unknown and a number that is none count as not said.
 */

export interface Notification {
	readonly ready: boolean
	readonly stopping: boolean
	readonly status?: string
	/** The engine is alive. */
	readonly alive: boolean
	/** Whoever waited for the engine is served, although it is not ready in all respects (X_POGS_SERVES, as the next). */
	readonly serves: boolean
	/** Whether another engine is to be loaded and to wait (X_POGS_STANDBY: a word of ours, which systemd passes over). */
	readonly standby?: boolean
	/** How often it will say so at least, from now on; 0 for never. */
	readonly watchdogUs?: number
	/** The descriptors of this message are to be kept, under this name. */
	readonly keep?: string
	/** All descriptors of this name are to be closed. */
	readonly forget?: string
}

/** As sd_notify(3) has it: 255 printable ASCII characters at most, without the colon that parts names in LISTEN_FDNAMES. */
const NAME = /^[!-9;-~]{1,255}$/
/** What descriptors without a name are called. */
const NO_NAME = 'stored'

/** Reads one datagram. */
export function parseNotification(text: string): Notification {
	const said = new Map<string, string>()
	for (const line of text.split('\n')) {
		const at = line.indexOf('=')
		if (at > 0) said.set(line.slice(0, at), line.slice(at + 1))
	}
	const yes = (word: string): boolean => said.get(word) === '1'
	const given = said.get('FDNAME')
	const name = given === undefined ? NO_NAME : NAME.test(given) ? given : undefined
	const status = said.get('STATUS')
	const watchdog = said.get('WATCHDOG_USEC')
	return {
		ready: yes('READY'),
		stopping: yes('STOPPING'),
		alive: yes('WATCHDOG'),
		serves: yes('X_POGS_SERVES') || yes('READY'),
		...(said.has('X_POGS_STANDBY') ? { standby: yes('X_POGS_STANDBY') } : {}),
		...(status === undefined ? {} : { status }),
		...(watchdog !== undefined && /^\d{1,15}$/.test(watchdog) ? { watchdogUs: Number(watchdog) } : {}),
		...(yes('FDSTORE') && name !== undefined ? { keep: name } : {}),
		...(yes('FDSTOREREMOVE') && given !== undefined && name !== undefined ? { forget: name } : {}),
	}
}
