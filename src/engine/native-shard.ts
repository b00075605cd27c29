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
import { MountWatch } from './mount-watch.ts'
import { Shard } from './shard.ts'

/** libfuse keeps to itself that a connection has ended. */
const LOOK_EVERY_MS = 1000

/** Serves until told to stop. Throws when the package is not there: ask `loadFuseNative` first. */
export async function runNativeShard(port: MessagePort, data: ShardData): Promise<void> {
	const fuseNative = loadFuseNative()
	if (typeof fuseNative === 'string') throw new Error(fuseNative)
	const loop = new EventLoop()
	const watch = new MountWatch()
	loop.every(LOOK_EVERY_MS, () => watch.look())
	const shard = new Shard(port, data, loop, ({ mountPoint, name, owner, retired }, tree, log, onGone) => {
		const mount = new NativeMount(tree, { mountPoint, fsname: `pogs:${name}`, owner, log })
		// Of a container that is gone only the records are left: there is no place to mount any more.
		if (retired) return { endpoint: null, close: () => mount.close() }
		const shown = watch.resolve(mountPoint)
		const mounted = mount.mount(fuseNative).then(problem => {
			if (problem === null) watch.add(shown, onGone)
			return problem
		})
		const close = (): void => {
			watch.remove(shown)
			mount.close()
		}
		return { endpoint: null, mounted, close }
	})
	shard.ready()
	await loop.run()
	watch.close()
	// The answer to `stop` comes first.
	await setImmediate()
}
