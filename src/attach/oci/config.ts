/**
 * The parts of an OCI bundle's config.json that a POG reads or changes, and the text around them.
 *
 * Source: OCI runtime specification 1.0.2 and 1.1, config.md, config-linux.md. Invariant: whatever is not named here comes out as it
 * went in, numbers beyond 2^53 included (`RLIM_INFINITY` is 18446744073709551615; rounded, a runtime refuses the file).
 */
import { z } from 'zod'

const strings = z.array(z.string())

const mount = z.looseObject({
	destination: z.string(),
	type: z.string().nullish(),
	source: z.string().nullish(),
	options: strings.nullish(),
})
const hook = z.looseObject({ path: z.string(), args: strings.nullish(), env: strings.nullish() })
const hooks = z.array(hook).nullish()
const idMapping = z.looseObject({ containerID: z.number(), hostID: z.number(), size: z.number() })
const device = z.looseObject({ path: z.string() })
const deviceRule = z.looseObject({
	allow: z.boolean(),
	type: z.string().nullish(),
	major: z.number().nullish(),
	minor: z.number().nullish(),
	access: z.string().nullish(),
})
const syscallRule = z.looseObject({ names: strings, action: z.string() })
const seccomp = z.looseObject({
	defaultAction: z.string(),
	architectures: strings.nullish(),
	listenerPath: z.string().nullish(),
	listenerMetadata: z.string().nullish(),
	syscalls: z.array(syscallRule).nullish(),
})
const linux = z.looseObject({
	maskedPaths: strings.nullish(),
	readonlyPaths: strings.nullish(),
	devices: z.array(device).nullish(),
	uidMappings: z.array(idMapping).nullish(),
	gidMappings: z.array(idMapping).nullish(),
	resources: z.looseObject({ devices: z.array(deviceRule).nullish() }).nullish(),
	seccomp: seccomp.nullish(),
})

const config = z.looseObject({
	ociVersion: z.string(),
	hostname: z.string().nullish(),
	root: z.looseObject({ path: z.string(), readonly: z.boolean().nullish() }),
	process: z
		.looseObject({ env: strings.nullish(), capabilities: z.record(z.string(), strings.nullish()).nullish() })
		.nullish(),
	mounts: z.array(mount).nullish(),
	hooks: z.looseObject({ createRuntime: hooks, createContainer: hooks, poststart: hooks, poststop: hooks }).nullish(),
	annotations: z.record(z.string(), z.string()).nullish(),
	linux,
})

export type OciConfig = z.infer<typeof config>
export type OciMount = z.infer<typeof mount>
export type OciHook = z.infer<typeof hook>
export type OciLinux = z.infer<typeof linux>
export type OciDevice = z.infer<typeof device>
export type OciDeviceRule = z.infer<typeof deviceRule>
export type OciSyscallRule = z.infer<typeof syscallRule>

/** A value, or why there is none: sentence case, no full stop. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string }

/** Checks the shape of what this room uses; everything else stays. The objects checked are copies. */
export function checkConfig(given: unknown): Parsed<OciConfig> {
	const result = config.safeParse(given)
	if (result.success) return { value: result.data }
	const issues = result.error.issues.slice(0, 4).map(issue => `${issue.path.map(String).join('.')}: ${issue.message}`)
	return { problem: `Cannot use config.json as a Linux container's: ${issues.join('; ')}` }
}

// No string of a config.json starts so: NUL cannot be in a path, an argument or a name.
const MARK = '\\u0000integer:'
// A string, or a number; strings first, so that digits inside one are never seen as a number.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/g
/** Most files have no such digits, and a replacement for each token of one is a millisecond of a container's start. */
const LONG = /[0-9]{16}/
const MARKED = /"\\u0000integer:(-?[0-9]+)"/g

/** The text of a config.json as a value; integers that a JavaScript number cannot hold become marked strings. */
export function parseConfigText(text: string): Parsed<unknown> {
	if (text.includes(MARK)) return { problem: 'Cannot read config.json: a string starts with a NUL' }
	const exact = LONG.test(text) ? text.replace(TOKEN, markLong) : text
	try {
		return { value: JSON.parse(exact) as unknown }
	} catch (error) {
		return { problem: `Cannot read config.json: ${error instanceof Error ? error.message : String(error)}` }
	}
}

function markLong(token: string): string {
	return /^-?[0-9]{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${MARK}${token}"` : token
}

/** The opposite of `parseConfigText`. */
export function renderConfig(value: OciConfig): string {
	return JSON.stringify(value).replace(MARKED, '$1')
}
