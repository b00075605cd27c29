/** A keeper with a real child that plays the engine (`engine.ts`), in a directory of its own. */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { Keeper, type KeeperOptions } from '../../src/keeper/keeper.ts'

const ENGINE = new URL('engine.ts', import.meta.url).pathname

interface Start {
	readonly pid: number
	readonly ours: boolean
	readonly standby: boolean
	readonly names: string[]
	readonly inodes: number[]
	readonly watchdogUs: number
}

export class Kept {
	readonly directory = mkdtempSync(join(tmpdir(), 'pogs-keeper-test-'))
	readonly said: string[] = []
	readonly keeper: Keeper
	readonly ended: Promise<number>

	/** `dies`: the first engine, after it has said so much. */
	constructor(t: ExecutionContext, more: Partial<KeeperOptions> = {}, dies?: string) {
		if (dies !== undefined) writeFileSync(join(this.directory, `die after ${dies}`), '')
		const tsx = process.execArgv.length > 0 ? process.execArgv : [`--import=${import.meta.resolve('tsx')}`]
		this.keeper = new Keeper({
			command: () => [process.execPath, ...tsx, ENGINE, this.directory],
			environment: process.env,
			directory: this.directory,
			watchdogUs: 20_000_000,
			log: (level, message) => this.said.push(`${level} ${message}`),
			...more,
		})
		this.ended = this.keeper.run()
		t.teardown(async () => {
			this.keeper.stop('SIGTERM')
			await this.ended
			rmSync(this.directory, { recursive: true, force: true })
		})
	}

	starts(): Start[] {
		const path = join(this.directory, 'starts')
		if (!existsSync(path)) return []
		const lines = readFileSync(path, 'utf8').split('\n')
		return lines.filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Start)
	}

	/** The n-th engine, counted from 1. */
	async start(n: number): Promise<Start> {
		return until(() => this.starts()[n - 1])
	}

	async say(...lines: string[]): Promise<void> {
		writeFileSync(join(this.directory, 'say.new'), lines.join('\n'))
		renameSync(join(this.directory, 'say.new'), join(this.directory, 'say'))
		await until(() => !existsSync(join(this.directory, 'say')) || undefined)
		// What a word says is on its way before the next look.
		await sleep(300)
	}

	/** The engine that waits. */
	async standby(): Promise<number> {
		const path = join(this.directory, 'standby')
		const pid = Number(await until(() => (existsSync(path) ? readFileSync(path, 'utf8') || undefined : undefined)))
		rmSync(path)
		return pid
	}

	inode(name: string): number {
		return statSync(join(this.directory, name)).ino
	}
}

export async function until<T>(look: () => T | undefined): Promise<T> {
	for (let i = 0; i < 6000; i++) {
		const found = look()
		if (found !== undefined) return found
		await sleep(10)
	}
	throw new Error('It never came to pass')
}
