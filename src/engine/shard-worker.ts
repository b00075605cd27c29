/**
 * The shard's thread before it has anything to serve: starting it takes as long as loading the main thread's own modules, so an
 * engine that takes over does both at once. Imports nothing of ours, for the same reason.
 */
import { Worker } from 'node:worker_threads'

/**
 * The data plane makes almost no garbage, but V8 lets a young generation grow to 48 MB before it looks: what setting up
 * POGs leaves behind would stay in memory for as long as they are idle.
 */
const YOUNG_GENERATION_MB = 4

/** Waits for one message, `{ port, data }`. From compiled files its module is loaded as it is; from TypeScript (tests) by tsx. */
export function startShardThread(): Worker {
	const options = {
		stdout: false,
		stderr: false,
		// Descriptors come from the kernel's interfaces as well as from Node's: it would warn of each that it has not seen opened.
		trackUnmanagedFds: false,
		resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
	}
	if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./shard-thread.js', import.meta.url), options)
	const module = JSON.stringify(new URL('./shard-thread.ts', import.meta.url).href)
	return new Worker(`import('tsx/esm/api').then(tsx => tsx.tsImport(${module}, ${module}))`, { ...options, eval: true })
}
