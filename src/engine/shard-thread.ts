/** Entry of a shard's thread: takes its port and what it starts with from its first message, and serves. */
import { type MessagePort, parentPort } from 'node:worker_threads'
import type { ShardData } from './messages.ts'
import { Reactor } from './reactor.ts'
import { Shard } from './shard.ts'

parentPort?.once('message', ({ port, data }: { port: MessagePort; data: ShardData }) => {
	const reactor = new Reactor()
	new Shard(port, data, reactor).ready()
	reactor.run()
	port.close()
})
