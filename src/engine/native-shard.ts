/**
 * A shard in the main thread, whose POGs are served through fuse-native: that package knows the default event loop only.
 *
 * Invariant: nothing in this thread may touch a POG's mount, not even by a path, because this thread would have to answer.
 */
import { setImmediate } from 'node:timers/promises'
import type { MessagePort } from 'node:worker_threads'
import { loadFuseNative } from '../fuse/native-package.ts'
import { NativeMount } from '../fuse/native-transport.ts'
import { EventLoop } from './event-loop.ts'
import type { ShardData } from './messages.ts'
import { Shard } from './shard.ts'

/** Serves until told to stop. Throws when the package is not there: ask `loadFuseNative` first. */
export async function runNativeShard(port: MessagePort, data: ShardData): Promise<void> {
	const fuseNative = loadFuseNative()
	if (typeof fuseNative === 'string') throw new Error(fuseNative)
	const loop = new EventLoop()
	const shard = new Shard(port, data, loop, ({ mountPoint, name, owner }, tree, log) => {
		const mount = new NativeMount(tree, { mountPoint, fsname: `pogs:${name}`, owner, log })
		return { endpoint: null, mounted: mount.mount(fuseNative), close: () => mount.close() }
	})
	shard.ready()
	await loop.run()
	// The answer to `stop` comes first.
	await setImmediate()
}
