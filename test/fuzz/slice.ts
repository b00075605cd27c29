/**
 * One slice of a long fuzz run, in a process of its own: slice.ts TARGET SEED SECONDS [RUNS]. Prints its outcome as a line of JSON. A
 * target that takes the process with it (SIGBUS, no memory, no end) is so told from one that
 * fails; the value it was at is in TRACE, when that file is named.
 */
import { writeFileSync } from 'node:fs'
import { TARGETS } from './targets.ts'

const [, , name, seed, seconds, runs] = process.argv
const target = TARGETS.find(one => one.name === name)
if (target === undefined)
	throw new Error(`No target "${name}", expected one of ${TARGETS.map(one => one.name).join(', ')}`)
const file = process.env['TRACE']
const outcome = await target.run({
	seed: Number(seed),
	limitMs: Number(seconds) * 1000,
	...(file === undefined ? {} : { trace: (value: string): void => writeFileSync(file, value) }),
	runs: runs === undefined ? Number.MAX_SAFE_INTEGER : Number(runs),
})
process.stdout.write(`${JSON.stringify(outcome)}\n`)
process.exit(outcome.failure === undefined ? 0 : 1)
