/**
 * The actions of syslog(2). Source: include/linux/syslog.h, do_syslog of kernel/printk/printk.c (v6.12).
 *
 * `free`: anybody may, unless dmesg_restrict is set. `buffer`: buf and len are looked at.
 */

interface Action {
	readonly name: string
	readonly free: boolean
	readonly buffer: boolean
}

/** By number. */
export const ACTIONS = [
	{ name: 'CLOSE', free: false, buffer: false },
	{ name: 'OPEN', free: false, buffer: false },
	{ name: 'READ', free: false, buffer: true },
	{ name: 'READ_ALL', free: true, buffer: true },
	{ name: 'READ_CLEAR', free: false, buffer: true },
	{ name: 'CLEAR', free: false, buffer: false },
	{ name: 'CONSOLE_OFF', free: false, buffer: false },
	{ name: 'CONSOLE_ON', free: false, buffer: false },
	{ name: 'CONSOLE_LEVEL', free: false, buffer: false },
	{ name: 'SIZE_UNREAD', free: false, buffer: false },
	{ name: 'SIZE_BUFFER', free: true, buffer: false },
] as const satisfies readonly Action[]

export type ActionName = (typeof ACTIONS)[number]['name']

/** The action of a number, or undefined. */
export function actionOf(type: number): (Action & { readonly name: ActionName }) | undefined {
	return ACTIONS[type]
}
