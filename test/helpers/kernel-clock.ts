/**
 * Times of the host's own kernel log. The kernel stamps by a clock that drifts from all others (printk: local_clock), a hundred milliseconds in an
 * hour, so a record that we make ourselves, at a known time, tells what the stamps mean.
 */
import { writeFileSync } from 'node:fs'
import { output } from './programs.ts'

/** CLOCK_MONOTONIC. */
function nowMs(): number {
	return Number(process.hrtime.bigint()) / 1e6
}

/** Milliseconds of the stamps in the host's log of the records with these words. */
export async function stampsOf(words: RegExp): Promise<number[]> {
	const log = await output('sh', ['-c', 'dd if=/dev/kmsg iflag=nonblock bs=8192 2>/dev/null || :'])
	const lines = log.split('\n').filter(line => line.search(words) >= 0)
	return lines.map(line => Number(line.split(',')[2]) / 1000)
}

/** What the kernel's stamps are ahead of our clock. */
export async function stampsAheadMs(): Promise<number> {
	const word = `mark-${process.pid}-${nowMs()}`
	const before = nowMs()
	// A reader sees a line that is not ended only when the next one comes.
	writeFileSync('/dev/kmsg', `<14>${word}\n`)
	const after = nowMs()
	const [stamp = Number.NaN] = await stampsOf(new RegExp(word))
	return stamp - (before + after) / 2
}
