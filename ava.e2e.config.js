// Real mounts, real programs: one file at a time, so that a slow machine measures nothing but itself.
import { createRequire } from 'node:module'

/** Where fuse-native cannot be had there is one suite, which says so. */
function filesOf(transport) {
	const all = ['test/e2e/**/*.test.ts']
	if (transport !== 'fuse-native') return all
	try {
		createRequire(import.meta.url)('fuse-native')
		return all
	} catch {
		return ['test/e2e/transport-native.test.ts']
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
