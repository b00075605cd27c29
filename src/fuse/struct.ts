/**
 * Declared C structs: a layout is a value, and every reader and writer of the struct is derived from it.
 *
 * Source of truth: the C ABI rules for little-endian 64-bit Linux, on which every FUSE struct is naturally aligned.
 * Invariant: an overlay never copies and never allocates per access; a 64-bit field is one number (beyond 2^53 it is
 * inexact, and whoever uses it as an offset or an identity checks `isExact` first).
 */

/** `s64` is for fields the kernel declares uint64_t and fills with a signed value (times before 1970). */
export type FieldType = 'u16' | 'u32' | 'i32' | 'u64' | 's64'

/** A field: a scalar, a nested struct, or that many bytes of padding, which no one reads. */
export type Field = FieldType | Layout | number
export type Fields = Readonly<Record<string, Field>>

/** A C struct: its fields in order, and where they are. */
export interface Layout<Declared extends Fields = Fields> {
	readonly name: string
	readonly fields: Declared
	readonly offsets: { readonly [Name in keyof Declared]: number }
	readonly sizeBytes: number
}

/** The fields of a struct in place: reading and writing go to the memory below. */
export type Overlay<Declared extends Fields> = {
	-readonly [Name in keyof Declared as Declared[Name] extends number ? never : Name]: Declared[Name] extends Layout<
		infer Inner
	>
		? Overlay<Inner>
		: number
}

/** The overlay of a layout. */
export type OverlayOf<L extends Layout> = Overlay<L['fields']>

const SIZES = { u16: 2, u32: 4, i32: 4, u64: 8, s64: 8 } as const
const TWO_32 = 0x1_0000_0000

/** Declares a struct. Throws when a field would not be naturally aligned: then the table is wrong. */
export function layout<const Declared extends Fields>(name: string, fields: Declared): Layout<Declared> {
	const offsets: Record<string, number> = {}
	let at = 0
	for (const [field, type] of Object.entries(fields)) {
		const [size, alignment] = measure(type)
		if (at % alignment !== 0) throw new Error(`Cannot lay out ${name}.${field}: offset ${at} is not aligned`)
		offsets[field] = at
		at += size
	}
	return { name, fields, offsets: offsets as Layout<Declared>['offsets'], sizeBytes: at }
}

function measure(field: Field): readonly [size: number, alignment: number] {
	if (typeof field === 'number') return [field, 1]
	if (typeof field === 'string') return [SIZES[field], SIZES[field]]
	return [field.sizeBytes, 8]
}

/** Lays `struct` over `buffer` at byte `at`, a multiple of 8. Made once per place, not per request. */
export function overlay<Declared extends Fields>(
	struct: Layout<Declared>,
	buffer: ArrayBuffer,
	at: number,
): Overlay<Declared> {
	const target = {}
	for (const [field, type] of Object.entries(struct.fields)) {
		if (typeof type === 'number') continue
		const offset = at + (struct.offsets[field] ?? 0)
		const accessors = typeof type === 'string' ? ACCESSORS[type](buffer, offset) : nested(type, buffer, offset)
		Object.defineProperty(target, field, { enumerable: true, ...accessors })
	}
	return target as Overlay<Declared>
}

/** False when a 64-bit field holds more than a number can: nothing we issued, nothing a file of ours can have. */
export function isExact(value: number): boolean {
	return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER
}

interface Accessors {
	get(): unknown
	set?(value: number): void
}

function nested(type: Layout, buffer: ArrayBuffer, offset: number): Accessors {
	const inner = overlay(type, buffer, offset)
	return { get: () => inner }
}

// One closure pair per field and type: V8 inlines them where a call site sees one overlay only.
const ACCESSORS: Record<FieldType, (buffer: ArrayBuffer, offset: number) => Accessors> = {
	u16(buffer, offset) {
		const cell = new Uint16Array(buffer, offset, 1)
		return { get: () => cell[0], set: value => void (cell[0] = value) }
	},
	u32(buffer, offset) {
		const cell = new Uint32Array(buffer, offset, 1)
		return { get: () => cell[0], set: value => void (cell[0] = value) }
	},
	i32(buffer, offset) {
		const cell = new Int32Array(buffer, offset, 1)
		return { get: () => cell[0], set: value => void (cell[0] = value) }
	},
	u64(buffer, offset) {
		const cell = new Uint32Array(buffer, offset, 2)
		return { get: () => readU64(cell, 0), set: value => writeU64(cell, 0, value) }
	},
	s64(buffer, offset) {
		const cell = new Uint32Array(buffer, offset, 2)
		return {
			get: () => ((cell[1] ?? 0) | 0) * TWO_32 + (cell[0] ?? 0),
			set: value => writeU64(cell, 0, value),
		}
	},
}

/** The 64-bit field at word `at`. Small values stay small integers: no number is allocated for them. */
export function readU64(words: Uint32Array, at: number): number {
	const high = words[at + 1] as number
	const low = words[at] as number
	return high === 0 ? low : high * TWO_32 + low
}

/** Stores a safe integer, negative ones in two's complement, at word `at`. */
export function writeU64(words: Uint32Array, at: number, value: number): void {
	words[at] = value
	words[at + 1] = value >= 0 && value < TWO_32 ? 0 : Math.floor(value / TWO_32)
}
