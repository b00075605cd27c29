/**
 * `pogctl doctor --isolation`: shows on this very host that no container reads another's log or the host's.
 *
 * Starts two containers by `pogctl run`, plants words by every way in (`isolation-paths.ts`) in both, through the host's ways and in the
 * host's kernel log (one line), and searches every way out of both for the words of the others; the raw bytes that the host keeps of each POG;
 * the run directory as user `nobody`; then a third one, which gets the memory that the first two gave back; then, read-only, what each
 * container that runs already has. Invariant: nothing of it is left; the log of no container but its own changes.
 */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { Aviary, type Sighting, type Subject } from './canaries.ts'
import { EXIT, fail, printJson, printLines } from './context.ts'
import type { Context } from './context.ts'
import { type CheckResult, linesOf } from './doctor-checks.ts'
import { output, pogDirectories, searchAsNobody, searchRaw } from './isolation-host.ts'
import { HOST_WAYS_OUT } from './isolation-paths.ts'

const HOST = 'the host'
/** No way out takes longer, or it is told as silent. */
const PATIENCE_MS = 20_000

/** Exit code 1 when a word was seen where it must not be, or when it could not be tried. */
export async function doctorIsolation(context: Context): Promise<number> {
	const results: CheckResult[] = []
	const aviary = new Aviary()
	const prefix = `isolation-${process.pid}`
	const before = await context.client.call('list', {})
	if ('failure' in before) return fail(context, before.failure)
	const open: RunShell[] = []
	const start = async (letter: string): Promise<RunShell> => {
		const shell = new RunShell(context.runDir, `${prefix}-${letter}`)
		open.push(shell)
		await shell.sh(':')
		return shell
	}
	try {
		const first = [await start('a'), await start('b')]
		results.push(await plantInHost(aviary))
		for (const shell of first) {
			await aviary.plant(shell)
			const { word } = aviary.breed(shell.name, 'pogctl write')
			await context.client.call('write', { params: { name: shell.name }, body: { text: word } })
		}
		for (const shell of first) results.push(...judge(aviary, shell, await aviary.search(shell), true))
		results.push(...(await fromOutside(aviary, context.runDir)))
		for (const shell of first) await shell.end()
		const third = await start('c')
		results.push(...judge(aviary, third, await aviary.search(third), false, ', after the others were removed'))
		for (const { name, paths } of before.value) {
			const reader: Subject = {
				name,
				sh: script => output('sh', ['-c', script, 'sh', paths.runPog.replace(/\/run\/pog$/, '')]),
			}
			if (paths.runPog !== '') results.push(...judge(aviary, reader, await aviary.search(reader, HOST_WAYS_OUT), false))
		}
	} catch (error) {
		return fail(context, { status: 1, message: error instanceof Error ? error.message : String(error) })
	} finally {
		for (const shell of open) await shell.end()
	}
	if (context.json) await printJson(context, results)
	else await printLines(context, linesOf(results))
	return results.some(({ state }) => state === 'leak') ? EXIT.failed : EXIT.ok
}

/** One line in the host's own kernel log: nobody in a container may see it. */
async function plantInHost(aviary: Aviary): Promise<CheckResult> {
	const { word } = aviary.breed(HOST, '/dev/kmsg')
	const about = `${HOST}, /dev/kmsg`
	try {
		await writeFile('/dev/kmsg', `<15>pogctl doctor --isolation: ${word}\n`)
		return { state: 'ok', about, found: 'planted one line' }
	} catch {
		return { state: 'note', about, found: 'not writable: not planted', remedy: 'run as root' }
	}
}

/** The bytes of each POG, and all of the run directory as one who may not see it. */
async function fromOutside(aviary: Aviary, runDir: string): Promise<CheckResult[]> {
	const results: CheckResult[] = []
	for (const name of await pogDirectories(runDir)) {
		results.push(...judge(aviary, { name }, [await searchRaw(aviary, runDir, name)], false))
	}
	const sighting = await searchAsNobody(aviary, runDir)
	if (!('problem' in sighting)) return [...results, ...judge(aviary, { name: 'nobody' }, [sighting], false)]
	const remedy = 'run as root, with a node that others may start'
	return [...results, { state: 'note', about: 'nobody, the run directory', found: sighting.problem, remedy }]
}

/** One line for each way out; with `planted`, one for what was not found at all. */
function judge(
	aviary: Aviary,
	{ name }: Pick<Subject, 'name'>,
	sightings: readonly Sighting[],
	planted: boolean,
	when = '',
): CheckResult[] {
	const results = sightings.map(({ way, foreign, own }): CheckResult => {
		const about = `${name}, ${way}`
		const [leak] = foreign
		if (leak !== undefined) {
			const found = `shows what ${leak.owner} wrote by ${leak.way}${foreign.length > 1 ? ` and ${foreign.length - 1} more` : ''}`
			return {
				state: 'leak',
				about,
				found,
				remedy: 'keep its containers apart from others; report it as a fault of POGs',
			}
		}
		const others = aviary.canaries.filter(({ owner }) => owner !== name).length
		return {
			state: 'ok',
			about,
			found: `none of ${others} words of others${when}${planted ? `; ${own.length} of its own` : ''}`,
		}
	})
	const unseen = planted ? aviary.unseen(name, sightings) : []
	if (unseen.length > 0) {
		const found = `found nowhere, so nothing is shown about: ${unseen.join(', ')}`
		results.push({ state: 'note', about: `${name}, ways in`, found, remedy: 'see whether its log works at all' })
	}
	const refused = planted ? aviary.refused.filter(({ owner }) => owner === name) : []
	if (refused.length > 0) {
		const found = `refused or not there: ${refused.map(({ way }) => way).join(', ')}`
		results.push({ state: 'ok', about: `${name}, ways in`, found })
	}
	return results
}

/** A shell in a container of `pogctl run`, told what to do by its standard input. */
class RunShell implements Subject {
	readonly name: string
	readonly #child
	readonly #ended: Promise<void>
	#said = ''
	#serial = 0
	#heard: () => void = () => {}

	constructor(runDir: string, name: string) {
		this.name = name
		const [, program = ''] = process.argv
		const args = [...process.execArgv, program, '--run-dir', runDir, 'run', '--name', name, '--', 'sh']
		const env = { ...process.env, POGS_SERVICE_DIRECTORY: runDir }
		this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'], env, detached: true })
		for (const stream of [this.#child.stdout, this.#child.stderr]) {
			stream.setEncoding('latin1').on('data', (piece: string) => {
				this.#said += piece
				this.#heard()
			})
		}
		this.#child.stdin.on('error', () => undefined)
		this.#ended = new Promise(resolve => this.#child.once('close', () => resolve()))
		void this.#ended.then(() => this.#heard())
	}

	async sh(script: string): Promise<string> {
		const mark = `@@${process.pid}.${++this.#serial}@@`
		this.#said = ''
		// In a process of its own, so that nothing it does stays with the shell; what it prints comes before the mark.
		this.#child.stdin.write(`(\n${script}\n) </dev/null\nprintf '%s\\n' '${mark}'\n`)
		await this.#until(mark)
		return this.#said.slice(0, this.#said.indexOf(mark))
	}

	#until(mark: string): Promise<void> {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(
				() => reject(new Error(`${this.name} is silent: ${this.#said.slice(-200)}`)),
				PATIENCE_MS,
			)
			const look = (): void => {
				const over = this.#child.exitCode !== null || this.#child.signalCode !== null
				if (!this.#said.includes(mark) && !over) return
				clearTimeout(timer)
				this.#heard = () => {}
				if (this.#said.includes(mark)) resolve()
				else reject(new Error(`Cannot run a container: ${this.#said.trim()}`))
			}
			this.#heard = look
			look()
		})
	}

	/** Ends the container; its POG goes with it. */
	async end(): Promise<void> {
		this.#child.stdin.end()
		const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS)
		await this.#ended
		clearTimeout(timer)
	}
}
