/**
 * Kernels that do not send a request again whose process died (before Linux 6.9: FUSE_HAS_RESEND). What had been taken there is
 * answered with an error by the next engine, so that nobody waits for ever.
 */
import { release } from 'node:os'
import type { InitFlag } from '../fuse/flags.ts'

/** Whether this kernel is one, by its number. One that has it in spite of that only costs the memory. */
export function lacksResend(): boolean {
	const [major = 0, minor = 0] = release().split('.').map(Number)
	return withheldFlags().includes('FUSE_HAS_RESEND') || major < 6 || (major === 6 && minor < 9)
}

/** What is not asked for although a kernel offers it: by the host's policy, and in tests, for which this kernel is to be as an older one. */
export function withheldFlags({ passthrough }: { readonly passthrough?: boolean } = {}): InitFlag[] {
	const withheld: InitFlag[] = passthrough === false ? ['FUSE_PASSTHROUGH'] : []
	if (process.env['POGS_TEST_WITHHOLD'] === 'FUSE_HAS_RESEND') withheld.push('FUSE_HAS_RESEND')
	return withheld
}
