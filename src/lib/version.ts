/**
 * The version of this program, from the manifest that is two directories above both `src/lib` and `dist/lib`.
 */
import { readFileSync } from 'node:fs'

/** `0.1.0`; `unknown` when the manifest is not beside the program. */
export function readVersion(): string {
	try {
		const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
			version?: unknown
		}
		return typeof manifest.version === 'string' ? manifest.version : 'unknown'
	} catch {
		return 'unknown'
	}
}
