/**
 * pogctl as a child process against a double, and what the double has.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { BAD_LINE, makePog, makeRecord } from './double.ts'
import type { Running } from './harness.ts'

const POGCTL = fileURLToPath(new URL('../../src/bin/pogctl.ts', import.meta.url))

interface Ended {
	code: number | null
	stdout: string
	stderr: string
}
interface Started {
	child: ReturnType<typeof spawn>
	ended: Promise<Ended>
	stdout: () => string
}

export function launch(
	runDir: string,
	words: readonly string[],
	input = '',
	env: Record<string, string> = {},
): Started {
	const child = spawn(process.execPath, ['--import=tsx', POGCTL, ...words], {
		env: { PATH: process.env['PATH'], TZ: 'UTC', POGS_RUN_DIR: runDir, ...env },
		timeout: 20_000,
		killSignal: 'SIGKILL',
	})
	let stdout = ''
	let stderr = ''
	child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
	child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
	child.stdin.on('error', () => undefined)
	child.stdin.end(input)
	const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }))
	return { child, ended, stdout: () => stdout }
}

export function pogctl(
	{ runDir }: { runDir: string },
	words: string,
	input?: string,
	env?: Record<string, string>,
): Promise<Ended> {
	return launch(runDir, words.split(' '), input, env).ended
}

export function fill({ double }: Running): void {
	const web = makePog(1, 'web', {
		containerId: '0123456789abcdef',
		status: 'running',
		ring: { sizeBytes: 65_536, usedBytes: 1536, records: 2, nextSeq: 12 },
		conf: { state: 'own', rules: 1, diagnostics: [BAD_LINE] },
		views: [{ path: '/var/log/\x1b[2Jmessages', sizeBytes: 1024, records: 2 }],
	})
	web.drops.overwritten = 10
	web.accepted.devlog = 12
	double.add(web)
	double.add(makePog(2, 'database'))
	double.append(makeRecord('web', 10, 'started', { severity: 6 }))
	double.append(makeRecord('web', 11, 'evil \x1b[31m\nline', { tag: '', procid: '' }))
	double.append(makeRecord('database', 0, 'ready', { tag: 'mysqld', procid: '', realtimeUs: 1_763_762_412_000_000 }))
}
