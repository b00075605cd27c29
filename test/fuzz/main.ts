/**
 * `make fuzz MINUTES=120`: every target in turn, a slice at a time with a seed of its own, until the time is over.
 *
 * Each slice is a process (`slice.ts`): what kills it, or makes it run on, is a find like any other. Finds are kept in
 * `fuzz-finds/TARGET-SEED.txt` with how to see them again. Exits 1 when there were any.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TARGETS } from './targets.ts'
import type { Outcome } from './target.ts'

const SLICE_SECONDS = 30
/** Of a slice that does not end: shrinking a find takes its time too. */
const GRACE_SECONDS = 90
const FINDS = 'fuzz-finds'
/** The value that is being tried. */
const CURRENT = `/dev/shm/pogs-fuzz-${process.pid}`
const SLICE = fileURLToPath(new URL('./slice.ts', import.meta.url))

const minutes = Number(process.env['MINUTES'] ?? 10)
const wanted = (process.env['TARGETS'] ?? '').split(/[\s,]+/).filter(name => name !== '')
const targets = TARGETS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
if (!(minutes > 0) || targets.length === 0) {
	process.stderr.write(`Cannot fuzz: expected MINUTES above 0 and TARGETS of ${TARGETS.map(t => t.name).join(', ')}\n`)
	process.exit(2)
}

interface Slice {
	readonly outcome?: Outcome
	readonly how: string
	readonly said: string
}

/** Runs one slice to its end, or to ours. */
function slice(name: string, seed: number, seconds: number): Promise<Slice> {
	return new Promise(resolve => {
		const args = ['--import=tsx', '--max-old-space-size=1024', SLICE, name, String(seed), String(seconds)]
		const env = { ...process.env, TRACE: CURRENT }
		const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
		let [out, said] = ['', '']
		let late = false
		child.stdout.setEncoding('utf8').on('data', (piece: string) => (out += piece))
		child.stderr.setEncoding('utf8').on('data', (piece: string) => (said = (said + piece).slice(-8000)))
		const timer = setTimeout(
			() => {
				late = true
				child.kill('SIGKILL')
			},
			(seconds + GRACE_SECONDS) * 1000,
		)
		child.once('close', (code, signal) => {
			clearTimeout(timer)
			const how = late ? 'does not end' : signal === null ? `exit ${code}` : `died of ${signal}`
			try {
				resolve({ outcome: JSON.parse(out) as Outcome, how, said })
			} catch {
				resolve({ how, said: `at ${readFileSync(CURRENT, 'utf8')}\n${out}\n${said}` })
			}
		})
	})
}

const end = Date.now() + minutes * 60_000
const totals = new Map<string, number>()
let finds = 0
let seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
while (Date.now() < end) {
	for (const { name } of targets) {
		const seconds = Math.min(SLICE_SECONDS, (end - Date.now()) / 1000)
		if (seconds <= 0) break
		seed = (seed + 1) % 2 ** 31
		const began = Date.now()
		const { outcome, how, said } = await slice(name, seed, seconds)
		const tried = outcome?.tried ?? 0
		totals.set(name, (totals.get(name) ?? 0) + tried)
		const rate = Math.round(tried / ((Date.now() - began) / 1000))
		const bad = outcome === undefined || outcome.failure !== undefined
		const left = Math.max(0, Math.round((end - Date.now()) / 60_000))
		console.log(
			`${name.padEnd(14)} seed ${seed}  ${tried} tried, ${rate}/s, ${totals.get(name)} in all  ${bad ? `FOUND (${how})` : 'ok'}  ${left} min left`,
		)
		if (!bad) continue
		finds++
		mkdirSync(FINDS, { recursive: true })
		const again = `node --import=tsx test/fuzz/slice.ts ${name} ${seed} ${SLICE_SECONDS}`
		writeFileSync(`${FINDS}/${name}-${seed}.txt`, `${again}\n${how}\n${outcome?.failure ?? ''}\n${said}\n`)
		console.log(
			`  ${(outcome?.failure ?? said).split('\n').slice(0, 12).join('\n  ')}\n  kept in ${FINDS}/${name}-${seed}.txt`,
		)
	}
}
rmSync(CURRENT, { force: true })
console.log(finds === 0 ? 'nothing found' : `${finds} found, in ${FINDS}/`)
process.exit(finds === 0 ? 0 : 1)
