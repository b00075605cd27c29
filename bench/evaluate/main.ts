/**
 * `make evaluate`: the paper's evaluation and the peers. Takes the cases one by one, saves each as JSON, and writes the document.
 *
 *   node --import=tsx bench/evaluate/main.ts --help
 *
 * A case that has been taken is not taken again unless it is named or --fresh is given. With --quick everything goes to DIR, or
 * nowhere when there is none: the document in docs/ is not touched. Exit status: 0 when all wanted cases have ended well, 1 when one broke, 2 for wrong
 * usage. Invariant: whatever a case starts it ends, and its scratch directory is removed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { Command } from 'commander'
import { PROJECT } from '../harness/build.ts'
import { run, usableCpus } from '../harness/process.ts'
import { Service } from '../harness/service.ts'
import type { Evaluation, EvaluationCase } from './case.ts'
import { CASES } from './cases.ts'
import { render } from './document.ts'
import { describeMachine, type Machine } from './machine.ts'
import { load, type Saved, save } from './saved.ts'

const usage = (text: string): never => {
	console.error(`evaluate: ${text}`)
	process.exit(2)
}

const options = new Command('evaluate')
	.description(
		'Takes the cases that were not taken yet and writes docs/evaluation.md (make evaluate EVALUATE_FLAGS="...").',
	)
	.option('--only <names>', 'these cases alone, taken again: names with commas between them')
	.option('--quick', 'a smoke run: small numbers, which docs/ never gets', false)
	.option('--fresh', 'take all cases again', false)
	.option('--render', 'measure nothing: write the document from the numbers that are there', false)
	.option('--docs <dir>', 'where the document and the numbers go instead of docs/')
	.option('--list', 'name the cases', false)
	.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
	.parse()
	.opts<{ only?: string; quick: boolean; fresh: boolean; render: boolean; docs?: string; list: boolean }>()

if (options.list) {
	for (const { name, title } of CASES) console.log(`${name.padEnd(10)} ${title}`)
	process.exit(0)
}
const named = options.only?.split(',')
for (const name of named ?? []) if (!CASES.some(one => one.name === name)) usage(`no case "${name}"; --list names them`)

const scratchOf = (name: string): string => mkdtempSync(`/dev/shm/pogs-evaluate-${name}-`)
const passing = options.quick && !options.render && options.docs === undefined
const docs = options.docs ?? (passing ? scratchOf('quick') : path.join(PROJECT, 'docs'))
const data = path.join(docs, 'evaluation')

/** Mounts that a broken case left below its scratch directory must not be deleted through. */
const removeScratch = async (scratch: string): Promise<void> => {
	const points = readFileSync('/proc/self/mountinfo', 'latin1')
		.split('\n')
		.map(line => line.split(' ')[4] ?? '')
		.filter(point => point.startsWith(`${scratch}/`))
	for (const point of points.reverse()) await run(['umount', '-l', point]).catch(() => undefined)
	rmSync(scratch, { recursive: true, force: true })
}

const take = async (one: EvaluationCase, machine: Machine): Promise<void> => {
	const cpus = usableCpus()
	const scratch = scratchOf(one.name)
	const started = Date.now()
	const evaluation: Evaluation = {
		quick: options.quick,
		scratch,
		cpus: { client: cpus[0], server: cpus.at(-1) },
		say: text => console.error(`  ${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`),
	}
	try {
		const outcome = await one.run(evaluation)
		const seconds = (Date.now() - started) / 1000
		const taken = new Date().toISOString().slice(0, 10)
		save(data, { case: one.name, taken, quick: options.quick, seconds, machine, ...outcome })
		for (const { what, ours, holds } of outcome.findings)
			console.log(`${what}: ${ours}${holds === undefined ? '' : holds ? ' (met)' : ' (MISSED)'}`)
	} finally {
		await removeScratch(scratch)
	}
}

let broken = false
if (!options.render) {
	if (process.getuid?.() !== 0) usage('needs root, to make containers')
	if (!Service.built) usage('dist/bin/pogshim.js is missing: run "make build" first')
	const machine = await describeMachine()
	for (const one of CASES) {
		if (named === undefined ? !options.fresh && load(data, one.name)?.quick === false : !named.includes(one.name))
			continue
		console.error(one.name)
		try {
			await take(one, machine)
		} catch (error) {
			broken = true
			console.error(error)
		}
	}
}
const saved = new Map<string, Saved>()
for (const { name } of CASES) {
	const found = load(data, name)
	if (found !== undefined) saved.set(name, found)
}
render(docs, CASES, saved)
if (passing) rmSync(docs, { recursive: true })
else console.log(path.join(docs, 'evaluation.md'))
process.exitCode = broken ? 1 : 0
