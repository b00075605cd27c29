/**
 * Seccomp filters for the programs we start. Source: seccomp(2), include/uapi/linux/{seccomp,filter,audit}.h (v6.12).
 *
 * A filter holds for the calling thread and everything started from it, for ever; Node starts processes from its main
 * thread. Invariant: a filter only ever touches the calls it names, on every system call table the machine has.
 */
import { ENOSYS, EPERM } from '../lib/errno.ts'
import { bind, result } from './libc.ts'
import { allocate, unmap } from './memory.ts'

const prctl = bind('int prctl(int, uint64_t, uint64_t, uint64_t, uint64_t)')

const seccomp = bind('int64_t syscall(int64_t, int64_t, int64_t, int64_t)')

/** seccomp(2) itself, which the C library has no function for. */
const SYS_SECCOMP: Readonly<Record<string, number>> = { x64: 317, arm64: 277, riscv64: 277 }
const SECCOMP_SET_MODE_FILTER = 1
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
const PR_SET_SECCOMP = 22
const SECCOMP_MODE_FILTER = 2
const SECCOMP_RET_ALLOW = 0x7fff0000
const SECCOMP_RET_USER_NOTIF = 0x7fc00000
const SECCOMP_RET_ERRNO = 0x00050000

/** Load the 32-bit word at k of struct seccomp_data; jump when equal; keep some bits; return k. */
const LD_W_ABS = 0x20
const JEQ_K = 0x15
const AND_K = 0x54
const RET_K = 0x06
const OFFSET_NR = 0
const OFFSET_ARCH = 4
/** Of struct seccomp_data: six u64, the low half first. */
const OFFSET_ARGS = 16
const INSTRUCTION_BYTES = 8
const SYSLOG_ACTION_READ_ALL = 3
/**
 * util-linux dmesg turns to syslog(2) when it finds nothing in /dev/kmsg, with a buffer of this size (sys-utils/dmesg.c,
 * 2.38). There is nothing, so it is told so: an error would be a failure to read an empty log.
 */
const DMESG_FALLBACK_BYTES = 16392
/** x32 calls on x86-64 are the native numbers with this bit. */
const NOT_X32 = 0xbfffffff

interface SyslogCallNumber {
	readonly arch: number
	readonly nr: number
}

/** AUDIT_ARCH_* and the number of syslog(2) there, by the architecture names of Node; little-endian ones only. */
const SYSLOG_CALLS: Readonly<Record<string, readonly SyslogCallNumber[]>> = {
	x64: [
		{ arch: 0xc000003e, nr: 103 },
		{ arch: 0x40000003, nr: 103 },
	],
	arm64: [
		{ arch: 0xc00000b7, nr: 116 },
		{ arch: 0x40000028, nr: 103 },
	],
	riscv64: [{ arch: 0xc00000f3, nr: 116 }],
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number]

/** Every syslog(2) call to us; all else runs. */
function notifyProgram(calls: readonly SyslogCallNumber[]): Instruction[] {
	const instructions: Instruction[] = []
	for (const { arch, nr } of calls) {
		instructions.push(
			[LD_W_ABS, 0, 0, OFFSET_ARCH],
			[JEQ_K, 0, 4, arch],
			[LD_W_ABS, 0, 0, OFFSET_NR],
			[AND_K, 0, 0, NOT_X32],
			[JEQ_K, 0, 1, nr],
			[RET_K, 0, 0, SECCOMP_RET_USER_NOTIF],
		)
	}
	return [...instructions, [RET_K, 0, 0, SECCOMP_RET_ALLOW]]
}

function refuseProgram(calls: readonly SyslogCallNumber[]): Instruction[] {
	const instructions: Instruction[] = []
	for (const { arch, nr } of calls) {
		instructions.push(
			[LD_W_ABS, 0, 0, OFFSET_ARCH],
			[JEQ_K, 0, 9, arch],
			[LD_W_ABS, 0, 0, OFFSET_NR],
			[AND_K, 0, 0, NOT_X32],
			[JEQ_K, 0, 6, nr],
			[LD_W_ABS, 0, 0, OFFSET_ARGS],
			[JEQ_K, 0, 3, SYSLOG_ACTION_READ_ALL],
			[LD_W_ABS, 0, 0, OFFSET_ARGS + 2 * 8],
			[JEQ_K, 0, 1, DMESG_FALLBACK_BYTES],
			[RET_K, 0, 0, SECCOMP_RET_ERRNO | 0],
			[RET_K, 0, 0, SECCOMP_RET_ERRNO | EPERM],
		)
	}
	return [...instructions, [RET_K, 0, 0, SECCOMP_RET_ALLOW]]
}

/** Whether a call of this table and number is syslog(2); x32 calls come with the native table's number and a bit. */
export function isSyslogCall(arch: number, nr: number, machine: string = process.arch): boolean {
	return SYSLOG_CALLS[machine]?.some(call => call.arch === arch && call.nr === (nr & NOT_X32)) === true
}

/**
 * Hands syslog(2) of this thread, and of everything it starts from now on, to whoever reads the descriptor that is answered.
 * Or a negative errno (needs CAP_SYS_ADMIN in the user namespace; EBUSY: a filter above has a listener already).
 */
export function notifySyslogCall(machine: string = process.arch): number {
	const calls = SYSLOG_CALLS[machine]
	if (calls === undefined) return -ENOSYS
	return withProgram(notifyProgram(calls), address =>
		result(seccomp(SYS_SECCOMP[machine] ?? 0, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, address)),
	)
}

/**
 * Refuses syslog(2) with EPERM to this thread and to everything it starts from now on, since the call has no path to put
 * a private log under. 0 or a negative errno (needs CAP_SYS_ADMIN in the user namespace; ENOSYS on an unknown machine).
 */
export function refuseSyslogCall(machine: string = process.arch): number {
	const calls = SYSLOG_CALLS[machine]
	if (calls === undefined) return -ENOSYS
	return withProgram(refuseProgram(calls), address => result(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address, 0, 0)))
}

/** Runs `install` with the address of a struct sock_fprog: length, then the address at 8; the instructions follow. */
function withProgram(instructions: readonly Instruction[], install: (address: number) => number): number {
	const memory = allocate(4096)
	const view = new DataView(memory.buffer)
	view.setUint16(0, instructions.length, true)
	view.setBigUint64(8, BigInt(memory.address + 16), true)
	for (const [index, [code, jumpTrue, jumpFalse, k]] of instructions.entries()) {
		const at = 16 + index * INSTRUCTION_BYTES
		view.setUint16(at, code, true)
		view.setUint8(at + 2, jumpTrue)
		view.setUint8(at + 3, jumpFalse)
		view.setUint32(at + 4, k, true)
	}
	const answer = install(memory.address)
	unmap(memory)
	return answer
}
