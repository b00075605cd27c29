/**
 * The version of this program, from the manifest that is two directories above both `src/lib` and `dist/lib`.
 */
import { readFileSync } from 'node:fs'

let version: string | undefined

/** `0.1.0`; `unknown` when the manifest is not beside the program. Read once: another version may be put there meanwhile. */
export function readVersion(): string {
	version ??= read()
	return version
}

function read(): string {
	try {
		const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
			version?: unknown
		}
		return typeof manifest.version === 'string' ? manifest.version : 'unknown'
	} catch {
		return 'unknown'
	}
}
