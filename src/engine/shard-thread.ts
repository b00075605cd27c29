/** Entry of a shard's thread: takes its port and what it starts with from its first message, and serves. */
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { ShardData } from './messages.ts'
import { Priority } from './priority.ts'
import { Reactor } from './reactor.ts'
import { Shard } from './shard.ts'

const crashes = process.env['POGS_TEST_CRASH']
if (crashes !== undefined) {
	const { installCrashPoints } = await import('./crash-points.ts')
	installCrashPoints(crashes)
}
const probe = process.env['POGS_TEST_PROBE']
const installProbe = probe === undefined ? undefined : (await import('./turn-probe.ts')).installProbe

parentPort?.once('message', ({ port, data }: { port: MessagePort; data: ShardData }) => {
	const priority = new Priority(data.leader, data.awaited)
	const reactor = new Reactor(() => priority.note())
	reactor.every(1000, () => priority.tick())
	if (probe !== undefined) installProbe?.(probe, reactor)
	new Shard(port, data, reactor).ready()
	reactor.run()
	port.close()
})
