/**
 * Writes fixtures/conf/CASE/expect.json anew: `node --import=tsx test/conf/regenerate.ts [CASE...]`. What it writes is what
 * the code does, not what is right: read the diff.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeCase, GOLDEN, goldenCases } from './golden.ts'

const wanted = process.argv.slice(2)
for (const name of goldenCases()) {
	if (wanted.length > 0 && !wanted.includes(name)) continue
	writeFileSync(join(GOLDEN, name, 'expect.json'), describeCase(name))
	console.log(`fixtures/conf/${name}/expect.json`)
}
