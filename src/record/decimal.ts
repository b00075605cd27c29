/**
 * Write whole numbers in decimal, as printf's `%llu` and `%06lu` do, without making a string.
 *
 * Invariant: exact for every safe integer from 0 on; a digit pair costs no division beyond 32 bits for small numbers.
 */

/** How many digits `value` has. */
export function decimalBytes(value: number): number {
	let digits = 1
	for (let power = 10; value >= power; power *= 10) digits++
	return digits
}

/** Write `value` without padding and answer the position behind it. */
export function writeDecimal(target: Uint8Array, at: number, value: number): number {
	return writePadded(target, at, value, decimalBytes(value))
}

/** Write the last `digits` digits of `value`, zeros in front, and answer the position behind them. */
export function writePadded(target: Uint8Array, at: number, value: number, digits: number): number {
	let rest = value
	let position = at + digits - 1
	while (position >= at && rest > 0x7fffffff) {
		const quotient = Math.floor(rest / 10)
		target[position--] = 0x30 + (rest - quotient * 10)
		rest = quotient
	}
	let small = rest | 0
	while (position >= at) {
		const quotient = (small / 10) | 0
		target[position--] = 0x30 + (small - quotient * 10)
		small = quotient
	}
	return at + digits
}
