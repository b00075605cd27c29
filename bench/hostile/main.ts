/**
 * `make hostile`: each kind of harm by four containers at once, and what a fifth one notices, as one table.
 *
 *   node --import=tsx bench/hostile/main.ts [SECONDS] [KIND...]
 */
import { isMissing } from '../harness/build.ts'
import { Service } from '../harness/service.ts'
import { openArena, STORMS, suffer } from './storms.ts'

const [seconds = '5', ...wanted] = process.argv.slice(2)
const kinds = wanted.length > 0 ? wanted : ['none', ...Object.keys(STORMS)]

const columns = (cells: readonly (string | number)[]): string =>
	cells.map((cell, i) => (i === 0 ? String(cell).padEnd(16) : String(cell).padStart(10))).join('')

console.log(
	columns([
		'four times',
		'kmsg p50',
		'p99 us',
		'max',
		'devlog p50',
		'p99 us',
		'max',
		'lost',
		'API ms',
		'MiB',
		'at most',
	]),
)
const service = await Service.start(undefined)
try {
	const arena = await openArena(service)
	if (isMissing(arena)) throw new Error(arena.missing)
	for (const kind of kinds) {
		const s = await suffer(arena, kind.split('+'), Number(seconds))
		const times = [s.kmsg, s.devlog, s.peer].flatMap(({ p50, p99, most }) => [p50, p99, most])
		console.log(columns([kind, ...times, s.lost, Math.round(s.apiMs), s.rssBefore, s.rssMost]))
		if (process.env['HOSTILE_VERBOSE']) console.log(`  ${s.attackers.join('\n  ')}`)
	}
} finally {
	await service.stop()
}
