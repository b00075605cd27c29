/**
 * `make bench`: runs the cases, prints one table and writes JSON if asked.
 *
 *   node --import=tsx bench/main.ts --help
 *
 * Exit status: 0 when every row that was measured keeps its target, 1 when one does not or a case broke, 2 for wrong usage.
 * Invariant: everything is measured in one run on one machine, each contestant at the same place (harness/case.ts).
 */
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import { Command } from 'commander'
import { append } from './cases/append.ts'
import { cat } from './cases/cat.ts'
import { containers } from './cases/containers.ts'
import { devlog } from './cases/devlog.ts'
import { dmesg } from './cases/dmesg.ts'
import { fuse } from './cases/fuse.ts'
import { memory } from './cases/memory.ts'
import { start } from './cases/start.ts'
import type { Bench, Case } from './harness/case.ts'
import { usableCpus } from './harness/process.ts'
import { Service } from './harness/service.ts'
import { formatTable, holds, type Row } from './harness/table.ts'

const CASES: readonly Case[] = [fuse, devlog, cat, dmesg, append, memory, start, containers]

const usage = (text: string): never => {
	console.error(`bench: ${text}`)
	process.exit(2)
}

const options = new Command('bench')
	.description('Measures against other daemons and prints one table (make bench BENCH_FLAGS="...").')
	.option('--only <names>', 'these cases alone: names with commas between them')
	.option('--repeats <count>', 'measurements of each', '5')
	.option('--json <file>', 'the rows as JSON too')
	.option('--list', 'name the cases', false)
	.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
	.parse()
	.opts<{ only?: string; repeats: string; json?: string; list: boolean }>()

if (options.list) {
	for (const { name, about } of CASES) console.log(`${name.padEnd(8)} ${about}`)
	process.exit(0)
}
const wanted = options.only?.split(',') ?? CASES.map(({ name }) => name)
for (const name of wanted) if (!CASES.some(one => one.name === name)) usage(`no case "${name}"; --list names them`)
const repeats = Number(options.repeats)
if (!Number.isInteger(repeats) || repeats < 1) usage('--repeats takes a whole number from 1')
if (process.getuid?.() !== 0) usage('needs root, to mount and to run the peers')
if (!Service.built) usage('dist/bin/pogshim.js is missing: run "npm run build" first')

const cpus = usableCpus()
const server = cpus.at(-1)
const bench: Bench = {
	repeats,
	server,
	placements:
		cpus.length > 1
			? [
					{ name: 'apart', client: cpus[0] },
					{ name: 'together', client: server },
				]
			: [{ name: 'together', client: server }],
	say: text => console.error(`  ${text}`),
}

const rows: Row[] = []
let broken = false
for (const { name, run } of CASES) {
	if (!wanted.includes(name)) continue
	console.error(name)
	try {
		rows.push(...(await run(bench)))
	} catch (error) {
		broken = true
		console.error(error)
		rows.push({ group: name, what: name, unit: '', note: `broke: ${String(error).split('\n')[0]?.slice(0, 200)}` })
	}
}

const machine = `${os.cpus()[0]?.model ?? 'CPU'}, ${cpus.length} CPUs, Linux ${os.release()}, Node ${process.version}`
console.log(`${machine}; medians of ${repeats} in turns; apart: client and server on two CPUs, together: on one`)
for (const line of formatTable(rows)) console.log(line)
if (options.json !== undefined)
	writeFileSync(
		options.json,
		`${JSON.stringify({ machine, repeats, rows: rows.map(row => ({ ...row, holds: holds(row) })) }, null, '\t')}\n`,
	)
process.exitCode = broken || rows.some(row => holds(row) === false) ? 1 : 0
