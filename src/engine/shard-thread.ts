/** Entry of a shard's thread: takes its port and what it starts with from its first message, and serves. */
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { ShardData } from './messages.ts'
import { Priority } from './priority.ts'
import { Reactor } from './reactor.ts'
import { rehearse } from './rehearsal.ts'
import { Shard } from './shard.ts'

// Before there is any point to crash at.
if (process.env['POGS_STANDBY'] !== undefined) rehearse()

const crashes = process.env['POGS_TEST_CRASH']
if (crashes !== undefined) {
	const { installCrashPoints } = await import('./crash-points.ts')
	installCrashPoints(crashes)
}
/**
 * How often Node's own loop has a turn. What native code leaves to it (the end of each ArrayBuffer over mapped memory) would stay in
 * memory for ever otherwise: some 200 bytes each, a few for every POG and every resize.
 */
const LET_GO_MS = 1000
const probe = process.env['POGS_TEST_PROBE']
const installProbe = probe === undefined ? undefined : (await import('./turn-probe.ts')).installProbe

parentPort?.once('message', ({ port, data }: { port: MessagePort; data: ShardData }) => {
	const priority = new Priority(data.leader, data.awaited)
	const reactor = new Reactor(() => priority.note())
	reactor.every(1000, () => priority.tick())
	if (probe !== undefined) installProbe?.(probe, reactor)
	new Shard(port, data, reactor).ready()
	reactor.every(LET_GO_MS, () => reactor.pause())
	const serve = (): void => {
		if (reactor.run()) setImmediate(serve)
		else port.close()
	}
	serve()
})
