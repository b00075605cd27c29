/**
 * What syslog(2) answers: from an action, its arguments and a POG to a result, and to what happens once the caller has it.
 * Source: check_syslog_permissions, do_syslog, syslog_print and syslog_print_all of kernel/printk/printk.c (v6.12).
 *
 * Invariant: nothing changes here. A call can be taken back by a signal until its answer was accepted, so every change
 * is an `effect`, put into force after that (and written down before, because the process may die between the two): a read that was interrupted has lost nothing, and a CLEAR that was not answered
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

/** What a call changes, as plain numbers. */
export interface Effect {
	readonly kind: number
	readonly a: number
	readonly b: number
}

const EFFECT = { read: 1, clear: 2, consoleOff: 3, consoleOn: 4, consoleLevel: 5 } as const

/** Puts an effect into force; a second time it makes no difference. */
export function apply({ kind, a, b }: Effect, { log, pog: { printk } }: KmsgText): void {
	if (kind === EFFECT.read) log.setShared(a, b)
	else if (kind === EFFECT.clear) log.clearSeq = a
	else if (kind === EFFECT.consoleOff) printk.consoleOff()
	else if (kind === EFFECT.consoleOn) printk.consoleOn()
	else if (kind === EFFECT.consoleLevel) printk.setConsoleLevel(a)
}

export type Answer =
	| {
			/** A count or a negative errno. */
			readonly value: number
			/** What the call asks for, once the caller has its answer. */
			readonly effect?: Effect
	  }
	| {
			readonly delivery: Delivery
			/** `value`: what `delivery.value` said. */
			effect(value: number): Effect | undefined
	  }
	| 'wait'

/** The lower half of the address space; beyond it is the kernel's (access_ok). */
const FIRST_KERNEL_ADDRESS = 2 ** 63

const DONE: Answer = { value: 0 }
const REFUSED: Answer = { value: -EPERM }
const INVALID: Answer = { value: -EINVAL }

/** `privileged` is asked only when it matters, and before anything else, as the kernel does. */
export function answer(call: SyslogCall, text: KmsgText, privileged: () => boolean): Answer {
	const { pog } = text
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
			return { value: 0, effect: { kind: EFFECT.clear, a: pog.ring.headSeq, b: 0 } }
		case 'CONSOLE_OFF':
			return { value: 0, effect: { kind: EFFECT.consoleOff, a: 0, b: 0 } }
		case 'CONSOLE_ON':
			return { value: 0, effect: { kind: EFFECT.consoleOn, a: 0, b: 0 } }
		case 'CONSOLE_LEVEL':
			if (!PrintkSettings.takesLevel(call.len)) return INVALID
			return { value: 0, effect: { kind: EFFECT.consoleLevel, a: call.len, b: 0 } }
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
		effect: value => {
			if (value <= 0) return undefined
			const { seq, partial, wholeBytes } = text.after(stretch, value)
			return { kind: EFFECT.read, a: seq, b: partial + value - wholeBytes }
		},
	}
}

function readAll(len: number, text: KmsgText, clear: boolean): Answer {
	const stretch = text.last(len)
	const end = text.pog.ring.headSeq
	return {
		delivery: { stretch, value: copied => (copied < stretch.sizeBytes ? -EFAULT : copied) },
		effect: value => (clear && value >= 0 ? { kind: EFFECT.clear, a: end, b: 0 } : undefined),
	}
}
