// Real mounts, real programs: one file at a time, so that a slow machine measures nothing but itself.
export default {
	files: ['test/e2e/**/*.test.ts'],
	extensions: { ts: 'module' },
	nodeArguments: ['--import=tsx'],
	workerThreads: false,
	concurrency: 1,
	timeout: '180s',
}
