/**
 * What LXC's monitor says when a container makes a call that its seccomp profile notifies, and what it wants to hear.
 *
 * Source: struct seccomp_notify_proxy_msg and seccomp_notify_handler of lxc 5.0.2, src/lxc/lxcseccomp.h, seccomp.c; struct seccomp_notif of
 * include/uapi/linux/seccomp.h (v6.12). One message a call on a SOCK_SEQPACKET connection: the header, the notification, room for the
 * response, the cookie; with it /proc/PID, /proc/PID/mem and the listener. The answer is the same bytes without the cookie.
 * Total: whatever bytes come, the answer is a value or a problem.
 */

/** A call as the kernel noted it, and who waits for the answer. */
export interface LxcCall {
	/** The container's first process, and the thread that calls, by the host's numbers. */
	readonly initPid: number
	readonly tid: number
	readonly idLow: number
	readonly idHigh: number
	readonly nr: number
	readonly arch: number
	readonly type: number
	/** Address of the buffer; see `SyslogCall`. */
	readonly buffer: number
	readonly len: number
	/** The message as the answer wants it, without its cookie, and where its response begins. */
	readonly bytes: Uint8Array
	readonly responseAt: number
}

/** u64 reserved, i32 monitor's pid, i32 first process, u16 sizes of notification, response and data, padding, u64 length of the cookie. */
const HEADER = { initPid: 12, notifyBytes: 16, responseBytes: 18 } as const
const HEADER_BYTES = 32
/** Of struct seccomp_notif and seccomp_notif_resp as they are known here; later kernels may have longer ones. */
const NOTIFY_BYTES = 80
const RESPONSE_BYTES = 24
/** id u64, pid u32, flags u32, nr i32, arch u32, ip u64, args 6 * u64. */
const NOTIFY = { idLow: 0, idHigh: 4, pid: 8, nr: 16, arch: 20, args: 32 } as const
/** id u64, val s64, error s32, flags u32. */
const RESPONSE = { id: 0, valueLow: 8, valueHigh: 12, error: 16, flags: 20 } as const
/** Which of the descriptors is the listener. */
export const LXC_LISTENER = 2

/** Reads one message. */
export function parseLxcMessage(message: Uint8Array): { readonly value: LxcCall } | { readonly problem: string } {
	const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
	if (message.length < HEADER_BYTES) return { problem: `Cannot read a message of ${message.length} bytes from LXC` }
	const notifyBytes = view.getUint16(HEADER.notifyBytes, true)
	const responseBytes = view.getUint16(HEADER.responseBytes, true)
	const wholeBytes = HEADER_BYTES + notifyBytes + responseBytes
	if (notifyBytes < NOTIFY_BYTES || responseBytes < RESPONSE_BYTES || message.length < wholeBytes)
		return { problem: 'Cannot read a message from LXC: its notification is too short' }
	const word = (at: number): number => view.getUint32(HEADER_BYTES + at, true)
	const signed = (at: number): number => view.getInt32(HEADER_BYTES + at, true)
	return {
		value: {
			initPid: view.getInt32(HEADER.initPid, true),
			tid: word(NOTIFY.pid),
			idLow: word(NOTIFY.idLow),
			idHigh: word(NOTIFY.idHigh),
			nr: signed(NOTIFY.nr),
			arch: word(NOTIFY.arch),
			type: signed(NOTIFY.args),
			buffer: word(NOTIFY.args + 8) + word(NOTIFY.args + 12) * 2 ** 32,
			len: signed(NOTIFY.args + 16),
			bytes: message.slice(0, wholeBytes),
			responseAt: HEADER_BYTES + notifyBytes,
		},
	}
}

/** The answer to a call: a value of 0 or more, or a negative errno. */
export function renderLxcAnswer({ bytes, responseAt, idLow, idHigh }: LxcCall, value: number): Uint8Array {
	const view = new DataView(bytes.buffer, bytes.byteOffset + responseAt, RESPONSE_BYTES)
	view.setUint32(RESPONSE.id, idLow, true)
	view.setUint32(RESPONSE.id + 4, idHigh, true)
	view.setUint32(RESPONSE.valueLow, Math.max(0, value), true)
	view.setUint32(RESPONSE.valueHigh, 0, true)
	view.setInt32(RESPONSE.error, Math.min(0, value), true)
	view.setUint32(RESPONSE.flags, 0, true)
	return bytes
}
