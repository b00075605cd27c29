/** What bench/clients/paced.c says of the operations it did: how many went well, how long they took, how the others failed. */
import { build, isMissing } from '../harness/build.ts'
import { run } from '../harness/process.ts'

export interface Paced {
	readonly good: number
	readonly failed: number
	readonly medianUs: number
	readonly p99Us: number
	readonly maxUs: number
	/** The longest time between two operations that went well. */
	readonly gapMs: number
	/** By the errno's name. */
	readonly errors: Readonly<Record<string, number>>
}

export type Operation = 'read' | 'hold' | 'write' | 'send'

/** Path of the program; throws when it cannot be built. */
export const pacedProgram = async (): Promise<string> => {
	const program = await build('paced')
	if (isMissing(program)) throw new Error(program.missing)
	return program.path
}

/** `command`: the program, behind what brings it to where it is to run. */
export const paced = async (
	command: readonly string[],
	operation: Operation,
	path: string,
	{ count, intervalUs, tag = 'paced' }: { count: number; intervalUs: number; tag?: string },
): Promise<Paced> => {
	const { stdout } = await run([...command, operation, path, String(count), String(intervalUs), tag])
	const [good = 0, failed = 0, medianUs = 0, p99Us = 0, maxUs = 0, gapMs = 0, ...errors] = stdout.trim().split(' ')
	return {
		good: Number(good),
		failed: Number(failed),
		gapMs: Number(gapMs),
		medianUs: Number(medianUs),
		p99Us: Number(p99Us),
		maxUs: Number(maxUs),
		errors: Object.fromEntries(errors.map(each => each.split('=')).map(([name = '', times]) => [name, Number(times)])),
	}
}

/** The errors in words. */
export const errorsOf = ({ failed, errors }: Paced): string =>
	failed === 0
		? 'none'
		: Object.entries(errors)
				.map(([name, times]) => `${times} x ${name}`)
				.join(', ')
