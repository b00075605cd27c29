/**
 * What a container may set about its kernel log: /proc/sys/kernel/printk and dmesg_restrict, and the console actions of
 * syslog(2). Source: kernel/printk/printk.c (do_syslog) and kernel/printk/sysctl.c, v6.12; proc_sys_kernel(5).
 *
 * A container has no console: the levels are kept and told, and change nothing else. Invariant: syslog(2) and the file
 * speak of the same four numbers.
 */
import { EINVAL } from '../lib/errno.ts'

/** LOGLEVEL_DEFAULT: nothing was saved. */
const NOT_SAVED = -1
const MIN_LEVEL = 1
const MAX_LEVEL = 8
const INT_MIN = -(2 ** 31)
const INT_MAX = 2 ** 31 - 1

export interface SavedPrintk {
	levels: number[]
	dmesgRestrict: number
	saved: number
}

export class PrintkSettings {
	/** console_loglevel, default_message_loglevel, minimum_console_loglevel, default_console_loglevel: as compiled in. */
	readonly levels = [7, 4, 1, 7]
	/** Everything, not only what changes the log, needs the container's root. */
	dmesgRestrict = 0
	#saved = NOT_SAVED
	/** Counts changes of what `save` writes down. */
	changes = 0

	save(): SavedPrintk {
		return { levels: [...this.levels], dmesgRestrict: this.dmesgRestrict, saved: this.#saved }
	}

	restore({ levels, dmesgRestrict, saved }: SavedPrintk): void {
		this.levels.splice(0, this.levels.length, ...levels)
		this.dmesgRestrict = dmesgRestrict
		this.#saved = saved
	}

	get #minimum(): number {
		return this.levels[2] ?? MIN_LEVEL
	}

	/** SYSLOG_ACTION_CONSOLE_OFF: a second one keeps what the first one saved. */
	consoleOff(): void {
		this.changes++
		if (this.#saved === NOT_SAVED) this.#saved = this.levels[0] ?? NOT_SAVED
		this.levels[0] = this.#minimum
	}

	/** SYSLOG_ACTION_CONSOLE_ON: puts back what was saved; nothing when nothing was. */
	consoleOn(): void {
		if (this.#saved === NOT_SAVED) return
		this.changes++
		this.levels[0] = this.#saved
		this.#saved = NOT_SAVED
	}

	/** Whether SYSLOG_ACTION_CONSOLE_LEVEL takes this level. */
	static takesLevel(level: number): boolean {
		return level >= MIN_LEVEL && level <= MAX_LEVEL
	}

	/** SYSLOG_ACTION_CONSOLE_LEVEL with a level that `takesLevel` takes. */
	setConsoleLevel(level: number): void {
		this.changes++
		this.levels[0] = Math.max(level, this.#minimum)
		this.#saved = NOT_SAVED
	}

	/** Content of /proc/sys/kernel/printk. */
	get printkText(): string {
		return `${this.levels.join('\t')}\n`
	}

	/** Content of /proc/sys/kernel/dmesg_restrict. */
	get dmesgRestrictText(): string {
		return `${this.dmesgRestrict}\n`
	}

	/** A write to `printk`: the first numbers, one to four of them. 0, or -EINVAL with what came before the fault in force. */
	writePrintk(text: string): number {
		this.changes++
		return writeIntegers(text, this.levels, INT_MIN, INT_MAX)
	}

	/** A write to `dmesg_restrict`. 0, or -EINVAL. */
	writeDmesgRestrict(text: string): number {
		this.changes++
		const wished = [this.dmesgRestrict]
		const answer = writeIntegers(text, wished, 0, 1)
		if (answer === 0) this.dmesgRestrict = wished[0] ?? 0
		return answer
	}
}

/** As proc_dointvec_minmax: numbers between white space, stored one by one; more than there is room for are left alone. */
function writeIntegers(text: string, into: number[], least: number, most: number): number {
	const words = text
		.replace(/\0.*$/s, '')
		.split(/[ \t\n\v\f\r]+/)
		.filter(word => word !== '')
	if (words.length === 0) return -EINVAL
	for (const [index, word] of words.slice(0, into.length).entries()) {
		if (!/^-?(0[xX][0-9a-fA-F]{1,8}|0[0-7]*|[1-9][0-9]{0,9})$/.test(word)) return -EINVAL
		const value = readInteger(word)
		if (value < least || value > most) return -EINVAL
		into[index] = value
	}
	return 0
}

/** Base by prefix, as the kernel's strtoul_lenient(..., 0). */
function readInteger(word: string): number {
	const negative = word.startsWith('-')
	const digits = negative ? word.slice(1) : word
	const base = /^0[xX]/.test(digits) ? 16 : digits.startsWith('0') && digits.length > 1 ? 8 : 10
	const value = Number.parseInt(digits, base)
	return negative && value !== 0 ? -value : value
}
