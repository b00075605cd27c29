/**
 * Compiles the C programs of the benchmarks into bench/build when they are newer than what is there.
 *
 * Invariant: a program that cannot be built (no compiler, no libfuse) is a reason to skip a row, never an exception.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { run } from './process.ts'

export const BENCH = path.resolve(import.meta.dirname, '..')
export const BUILD = path.join(BENCH, 'build')
export const PROJECT = path.resolve(BENCH, '..')

/** One row a program: its source below bench/ and the pkg-config package it needs. */
const PROGRAMS = {
	'libfuse-null': { source: 'peers/libfuse-null.c', library: 'fuse3' },
	'fuse-ops': { source: 'clients/fuse-ops.c', library: '' },
	'devlog-send': { source: 'clients/devlog-send.c', library: '' },
	'kmsg-fill': { source: 'clients/kmsg-fill.c', library: '' },
	'http-load': { source: 'clients/http-load.c', library: '' },
	paced: { source: 'clients/paced.c', library: '' },
	'time-runs': { source: 'clients/time-runs.c', library: '' },
	storm: { source: 'hostile/storm.c', library: '' },
	probe: { source: 'hostile/probe.c', library: '' },
} as const
export type Program = keyof typeof PROGRAMS

/** Why something is not there to be measured. */
export interface Missing {
	readonly missing: string
}

export const isMissing = (value: object): value is Missing => 'missing' in value

/** Path of a program below bench/build. */
export const programPath = (name: Program): string => path.join(BUILD, name)

/** Builds one program if needed. */
export const build = async (name: Program): Promise<{ path: string } | Missing> => {
	const { source, library } = PROGRAMS[name]
	const from = path.join(BENCH, source)
	const to = programPath(name)
	mkdirSync(BUILD, { recursive: true })
	if (existsSync(to) && statSync(to).mtimeMs >= statSync(from).mtimeMs) return { path: to }
	try {
		const flags =
			library === '' ? [] : (await run(['pkg-config', '--cflags', '--libs', library])).stdout.trim().split(/\s+/)
		await run(['gcc', '-O2', '-Wall', '-Wextra', '-o', to, from, ...flags])
		return { path: to }
	} catch (error) {
		return { missing: `${name} cannot be built here (${String(error).slice(0, 120)}): bench/install-packages.sh` }
	}
}
