// Real mounts, real programs: one file at a time, so that a slow machine measures nothing but itself.
import { createRequire } from 'node:module'

const ABOUT_OTHERS = [
	'attach',
	'attach-syslog',
	'canaries-docker',
	'charge',
	'charge-attach',
	'docker',
	'hostile',
	'kernel-messages',
	'privileged',
	'retention',
	'starts',
	'systemd',
]

/** Where fuse-native cannot be had there is one suite, which says so. */
function filesOf(transport) {
	const all = ['test/e2e/**/*.test.ts']
	if (transport !== 'fuse-native') return all
	try {
		createRequire(import.meta.url)('fuse-native')
		// By hand all of it; where time is short, not once more what is about runtimes and the host and knows of no transport.
		return process.env.CI === 'true' ? [...all, ...ABOUT_OTHERS.map(name => `!test/e2e/${name}.test.ts`)] : all
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
