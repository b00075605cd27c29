/**
 * Byte counts as people write them: `65536`, `64k`, `1m`, `64MiB`.
 *
 * Every unit is a power of 1024, with or without `i` and `B` (IEC 80000-13 names; `k` alone as in dd(1) and mount(8)), because
 * memory comes in such sizes. Invariant: `parseSize(formatSize(n))` is within 5 % of n, and exact for whole units.
 */

const UNITS = ['', 'k', 'm', 'g', 't'] as const
const SIZE = /^([0-9]{1,16}(?:\.[0-9]{1,6})?) ?([kmgt]?)(i?b)?$/i

/** What `parseSize` accepts, for messages. */
export const SIZE_FORMS = 'bytes such as 65536, 64k, 1m or 64MiB'

/** Bytes, a safe integer; undefined when the text is no size, or not a whole number of bytes. */
export function parseSize(text: string): number | undefined {
	const match = SIZE.exec(text.trim())
	if (match === null) return undefined
	const [, digits = '', unit = '', suffix = ''] = match
	// `64i` and `64ib` name no unit.
	if (unit === '' && suffix.length > 1) return undefined
	const bytes = Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase() as (typeof UNITS)[number])
	return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** `0`, `512`, `64k`, `1.5m`: at most one decimal, none when it says nothing. */
export function formatSize(bytes: number): string {
	let value = bytes
	let unit = 0
	// 1023.95k would be shown as 1024.0k: go on to the next unit there.
	while (value >= (unit === 0 ? 1024 : 1023.95) && unit < UNITS.length - 1) {
		value /= 1024
		unit++
	}
	const rounded = unit === 0 ? String(value) : value.toFixed(1).replace(/\.0$/, '')
	return `${rounded}${UNITS[unit]}`
}
