/**
 * What syslog(2) answers: from an action, its arguments and a POG to a result, and to what happens once the caller has it.
 * Source: check_syslog_permissions, do_syslog, syslog_print and syslog_print_all of kernel/printk/printk.c (v6.12).
 *
 * Invariant: nothing changes here. A call can be taken back by a signal until its answer was accepted, so every change
 * is in `settle`, which is called after that: a read that was interrupted has lost nothing, and a CLEAR that was not answered
 * has cleared nothing. Two differences follow, both in favour of the caller: a buffer that cannot be written (EFAULT) consumes
 * no record and moves no clear point; the kernel does both.
 */
import { EFAULT, EINVAL, EPERM } from '../lib/errno.ts'
import { PrintkSettings } from '../pog/printk.ts'
import { actionOf } from './actions.ts'
import type { KmsgText, Stretch } from './kmsg-text.ts'

/** A call, its integers as the kernel sees them. */
export interface SyslogCall {
	readonly type: number
	/** Address of the buffer; above 2^53 it need only be as large. */
	readonly buffer: number
	readonly len: number
}

/** The bytes to deliver before the answer. */
export interface Delivery {
	readonly stretch: Stretch
	/** The answer when so many of the bytes reached the caller: a count or a negative errno. */
	value(copiedBytes: number): number
}

export type Answer =
	| {
			/** A count or a negative errno. */
			readonly value: number
			/** The caller has its answer: do what the call asks for. */
			settle?(): void
	  }
	| {
			readonly delivery: Delivery
			/** `value`: what `delivery.value` said. */
			settle(value: number): void
	  }
	| 'wait'

/** The lower half of the address space; beyond it is the kernel's (access_ok). */
const FIRST_KERNEL_ADDRESS = 2 ** 63

const DONE: Answer = { value: 0 }
const REFUSED: Answer = { value: -EPERM }
const INVALID: Answer = { value: -EINVAL }

/** `privileged` is asked only when it matters, and before anything else, as the kernel does. */
export function answer(call: SyslogCall, text: KmsgText, privileged: () => boolean): Answer {
	const { pog, log } = text
	const { printk } = pog
	const action = actionOf(call.type)
	if ((printk.dmesgRestrict !== 0 || action?.free !== true) && !privileged()) return REFUSED
	if (action === undefined) return INVALID
	if (action.buffer) {
		if (call.buffer === 0 || call.len < 0) return INVALID
		if (call.len === 0) return DONE
		if (call.buffer >= FIRST_KERNEL_ADDRESS) return { value: -EFAULT }
	}
	switch (action.name) {
		case 'CLOSE':
		case 'OPEN':
			return DONE
		case 'READ':
			return read(call.len, text)
		case 'READ_ALL':
			return readAll(call.len, text, false)
		case 'READ_CLEAR':
			return readAll(call.len, text, true)
		case 'CLEAR':
			return { value: 0, settle: () => void (log.clearSeq = pog.ring.headSeq) }
		case 'CONSOLE_OFF':
			return { value: 0, settle: () => printk.consoleOff() }
		case 'CONSOLE_ON':
			return { value: 0, settle: () => printk.consoleOn() }
		case 'CONSOLE_LEVEL':
			if (!PrintkSettings.takesLevel(call.len)) return INVALID
			return { value: 0, settle: () => printk.setConsoleLevel(call.len) }
		case 'SIZE_UNREAD':
			return { value: text.unreadBytes }
		case 'SIZE_BUFFER':
			return { value: pog.ring.textBytes }
	}
}

function read(len: number, text: KmsgText): Answer {
	const stretch = text.unread(len)
	if (stretch.sizeBytes === 0) return 'wait'
	return {
		delivery: {
			stretch,
			// As the kernel, which copies record by record: those before a fault are given.
			value: copied => {
				if (copied >= stretch.sizeBytes) return copied
				const { wholeBytes } = text.after(stretch, copied)
				return wholeBytes > 0 ? wholeBytes : -EFAULT
			},
		},
		settle: value => {
			if (value <= 0) return
			const { seq, partial, wholeBytes } = text.after(stretch, value)
			text.log.setShared(seq, partial + value - wholeBytes)
		},
	}
}

function readAll(len: number, text: KmsgText, clear: boolean): Answer {
	const stretch = text.last(len)
	const end = text.pog.ring.headSeq
	return {
		delivery: { stretch, value: copied => (copied < stretch.sizeBytes ? -EFAULT : copied) },
		settle: value => {
			if (clear && value >= 0) text.log.clearSeq = end
		},
	}
}
