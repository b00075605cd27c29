/**
 * A running API with a double behind it, in a directory of its own, and plain HTTP to it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { startApi } from '../../src/control/api.ts'
import type { ApiOptions } from '../../src/control/api.ts'
import { apiSocketPath } from '../../src/control/calls.ts'
import { Client } from '../../src/control/client.ts'
import { makePog, ServiceDouble } from './double.ts'

export interface Running {
	double: ServiceDouble
	runDir: string
	socketPath: string
	client: Client
	bugs: string[]
	close: () => Promise<void>
}

export async function start(t: ExecutionContext, more: Partial<ApiOptions> = {}): Promise<Running> {
	const runDir = await mkdtemp(join(tmpdir(), 'pogs-api-'))
	t.teardown(() => rm(runDir, { recursive: true, force: true }))
	const double = new ServiceDouble()
	double.add(makePog(1, 'web'))
	const socketPath = apiSocketPath(runDir)
	const bugs: string[] = []
	const api = await startApi({ service: double, socketPath, onBug: what => bugs.push(what), ...more })
	if ('problem' in api) throw new Error(api.problem)
	const close = (): Promise<void> => api.value.close()
	t.teardown(close)
	return { double, runDir, socketPath, client: new Client(runDir), bugs, close }
}

export interface Answer {
	status: number
	headers: IncomingHttpHeaders
	text: string
	json: unknown
}

export function ask(
	socketPath: string,
	method: string,
	path: string,
	body?: string | Buffer,
	headers: Record<string, string> = {},
): Promise<Answer> {
	return new Promise((resolve, reject) => {
		// Without a length, the body of a GET would be the next request.
		const framed = body === undefined ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) }
		const sent = request({ socketPath, method, path, headers: framed, agent: false }, response => {
			const chunks: Buffer[] = []
			response.on('data', (chunk: Buffer) => chunks.push(chunk))
			response.on('error', reject)
			response.on('end', () => {
				const text = Buffer.concat(chunks).toString()
				let json: unknown
				try {
					json = JSON.parse(text)
				} catch {
					json = undefined
				}
				resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
			})
		})
		sent.on('error', reject)
		sent.end(body)
	})
}

export async function until(condition: () => boolean, what: string): Promise<void> {
	for (let waited = 0; waited < 20_000; waited += 5) {
		if (condition()) return
		await delay(5)
	}
	throw new Error(`not within 20 s: ${what}`)
}
