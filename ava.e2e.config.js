// Real mounts, real programs: one file at a time, so that a slow machine measures nothing but itself.
import { createRequire } from 'node:module'

/** What fuse-native cannot do is tested by a suite that starts it by itself; where it cannot be had, that one says so. */
function filesOf(transport) {
	const own = 'test/e2e/transport-native.test.ts'
	if (transport !== 'fuse-native') return ['test/e2e/**/*.test.ts']
	try {
		createRequire(import.meta.url)('fuse-native')
		return ['test/e2e/**/*.test.ts', `!${own}`]
	} catch {
		return [own]
	}
}

export default {
	files: filesOf(process.env.POGS_TEST_TRANSPORT),
	extensions: { ts: 'module' },
	nodeArguments: ['--import=tsx'],
	workerThreads: false,
	concurrency: 1,
	timeout: '180s',
}
