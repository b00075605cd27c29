/** Entry of a shard's thread: takes its port from `workerData` and serves. */
import { type MessagePort, workerData } from 'node:worker_threads'
import type { ShardData } from './messages.ts'
import { Reactor } from './reactor.ts'
import { Shard } from './shard.ts'

const { port, data } = workerData as { port: MessagePort; data: ShardData }
const reactor = new Reactor()
new Shard(port, data, reactor).ready()
reactor.run()
port.close()
