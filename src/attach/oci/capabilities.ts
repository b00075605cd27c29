/**
 * Takes CAP_SYSLOG from a container that has a POG.
 *
 * It is the right to read the host's kernel log, and of use for nothing else there: what asks for it, syslog(2), /proc/kmsg and
 * /dev/kmsg, is answered by the POG, which has rules of its own (`syslog2/caller.ts`). A container that may unmount or mount procfs
 * would find the host's /proc/kmsg below; without the capability the kernel does not open that.
 *
 * Source: capabilities(7), do_syslog() of kernel/printk/printk.c (v6.12); OCI config.md, "Linux Process". Invariant: no set of the result
 * has it, so that no program in there gets it either.
 */
import type { OciConfig } from './config.ts'

const CAP_SYSLOG = 'CAP_SYSLOG'

/** Tells in `changes` what it did. */
export function dropSyslogCapability(config: OciConfig, changes: string[]): Pick<OciConfig, 'process'> {
	const { process } = config
	const sets = process?.capabilities
	if (!process || !sets || !Object.values(sets).some(set => set?.includes(CAP_SYSLOG))) return { process }
	const without = Object.entries(sets).map(([name, set]) => [name, set?.filter(each => each !== CAP_SYSLOG) ?? set])
	changes.push(`take ${CAP_SYSLOG}`)
	return { process: { ...process, capabilities: Object.fromEntries(without) as typeof sets } }
}
