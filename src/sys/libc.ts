/**
 * The door to the C library: typed system calls by koffi, grouped by family in the neighbouring files.
 *
 * Addresses and sizes cross as JavaScript numbers (user-space addresses are below 2^47), so a hot call allocates
 * nothing. Every wrapper answers the call's result, or the negative errno; none throws.
 */
import koffi from 'koffi'

const lib = koffi.load('libc.so.6')

/** A C function taking and returning numbers. */
export type NumberCall = (...args: readonly (number | string)[]) => number

/** Binds one function of the C library by its C prototype (`int64_t` for pointers and sizes). */
export function bind(prototype: string): NumberCall {
	return lib.func(prototype) as NumberCall
}

/** Binds a function that waits: each call is made in a thread of the pool. errno is lost. */
export function bindBeside(prototype: string): (...args: readonly number[]) => Promise<number> {
	const call = lib.func(prototype)
	return (...args) =>
		new Promise((resolve, reject) => {
			call.async(...args, (error: unknown, value: number) => {
				if (error instanceof Error) reject(error)
				else resolve(value)
			})
		})
}

/** Turns the C convention (-1 and errno) into ours: a result, or a negative errno. */
export function result(value: number): number {
	return value === -1 ? -koffi.errno() : value
}

/** The memory at `address` as an ArrayBuffer, without a copy. The caller keeps the mapping alive. */
export function viewMemory(address: number, sizeBytes: number): ArrayBuffer {
	return koffi.view(address as unknown as Parameters<typeof koffi.view>[0], sizeBytes)
}
