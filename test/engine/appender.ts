/**
 * Makes a ring at argv[2], prints `ready`, and appends records as fast as it can until it is killed. Each says its number
 * twice, with a stretch of the same character between, so that a torn one is noticed.
 */
import { writeSync } from 'node:fs'
import { createRing } from '../../src/engine/ring-file.ts'
import { FLAG } from '../../src/ring/layout.ts'
import { newDescriptor } from '../../src/ring/ring.ts'

const ring = createRing(process.argv[2] ?? '', 65_536)
if (typeof ring === 'number') throw new Error(`errno ${-ring}`)
writeSync(1, 'ready\n')
const d = newDescriptor()
for (let n = 0; ; n++) {
	const line = Buffer.from(`${n} ${String.fromCharCode(97 + (n % 26)).repeat(n % 300)} ${n}\n`)
	const at = ring.reserve(line.length)
	ring.text.set(line, at)
	d.flags = FLAG.all | (n % 3 === 0 ? FLAG.kmsg : 0)
	d.lineBytes = line.length
	d.realtimeUs = n
	ring.commit(d)
}
