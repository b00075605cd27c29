/**
 * The files that the rules of one configuration name. Source: syslog.conf(5) of sysklogd 2.7, OPTION, `rotate_size`,
 * `rotate_count`.
 *
 * Invariant: one file has one format and one rotation, because it is one view; the first rule that asks for one decides,
 * and a later one that asks for another is told so.
 */
import type { ActionRead } from './action.ts'
import type { FileAction, Format, Keywords, Place, Rotation } from './configuration.ts'
import { type Fault, fault } from './fault.ts'
import type { RotateRequest } from './options.ts'

/** As sysklogd without `-r`. */
const DEFAULT_ROTATE_COUNT = 5

interface NamedFile {
	sync: boolean
	format: Format | null
	rotate: RotateRequest | null
	place: Place
}

export class Files {
	readonly #limit: number
	readonly #files = new Map<string, NamedFile>()
	readonly #actions = new Map<string, FileAction>()
	#keywords: Keywords = { rotateSizeBytes: null, rotateCount: null }

	constructor(limit: number) {
		this.#limit = limit
	}

	get keywords(): Keywords {
		return this.#keywords
	}

	/** The last one given holds, for the whole text. */
	set(keyword: keyof Keywords, value: number): void {
		this.#keywords = { ...this.#keywords, [keyword]: value }
	}

	/** Notes what a rule wants; an error when it cannot have it. */
	add({ action, options, offset }: ActionRead, place: Place): { level: 'error' | 'warning'; fault: Fault } | null {
		if (action.kind !== 'file') return null
		const known = this.#files.get(action.path)
		if (known === undefined) {
			if (this.#files.size >= this.#limit) {
				return { level: 'error', fault: fault(offset, `Too many files, expected at most ${this.#limit}`) }
			}
			this.#files.set(action.path, { sync: action.sync, format: options.format, rotate: options.rotate, place })
			return null
		}
		const conflict =
			(options.format !== null && known.format !== null && options.format !== known.format) ||
			(options.rotate !== null &&
				known.rotate !== null &&
				JSON.stringify(options.rotate) !== JSON.stringify(known.rotate))
		known.sync ||= action.sync
		known.format ??= options.format
		known.rotate ??= options.rotate
		if (!conflict) return null
		const { file, line } = known.place
		return { level: 'warning', fault: fault(offset, `File "${action.path}" keeps the options of ${file}:${line}`) }
	}

	/** The action for a file that was added, the same object each time. */
	actionOf(path: string): FileAction {
		let action = this.#actions.get(path)
		if (action === undefined) {
			const file = this.#files.get(path)
			action = {
				kind: 'file',
				path,
				sync: file?.sync ?? false,
				format: file?.format ?? 'RFC3164',
				rotate: this.#rotationOf(file?.rotate ?? null),
			}
			this.#actions.set(path, action)
		}
		return action
	}

	#rotationOf(request: RotateRequest | null): Rotation | null {
		const sizeBytes = request?.sizeBytes ?? this.#keywords.rotateSizeBytes ?? 0
		const count = request?.count ?? this.#keywords.rotateCount ?? DEFAULT_ROTATE_COUNT
		return sizeBytes === 0 ? null : { sizeBytes, count }
	}
}
