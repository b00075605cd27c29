/**
 * The canary proof with containers of Docker: one as it comes, one that may mount, open any file by its handle and look into any
 * process it sees, without a filter of system calls, and one that is started when the others are gone.
 *
 * The ways in and out are those of `canaries.test.ts`; the image is busybox, beside the host's programs, read-only.
 */
import test from 'ava'
import type { Subject } from '../../src/control/command/canaries.ts'
import { plantAll, searchAll, searchKept, searchLater, sweepReaches } from '../helpers/canaries.ts'
import { BUSYBOX } from '../helpers/containers.ts'
import { Docker, DOCKER_NEEDS } from '../helpers/docker.ts'
import { find, needs } from '../helpers/programs.ts'
import { type Service, startService } from '../helpers/service.ts'

const NEEDED = [...DOCKER_NEEDS, BUSYBOX, 'python3', 'logger']
const PROGRAMS = ['-v', '/usr:/usr:ro', '-v', '/usr/lib:/lib:ro', '-v', '/usr/lib64:/lib64:ro']

const MIGHTY = [
	...['SYS_ADMIN', 'DAC_READ_SEARCH', 'SYS_PTRACE', 'NET_ADMIN', 'MKNOD'].flatMap(name => ['--cap-add', name]),
	'--security-opt',
	'seccomp=unconfined',
]
/** Each way in and out is a program that is started in a container. */
const PATIENCE_MS = 400_000

let service: Service
let docker: Docker

test.before(async () => {
	service = await startService()
	if (NEEDED.every(name => find(name))) docker = await Docker.start(service)
})
test.after.always(async () => {
	await docker?.stop()
	await service?.stop()
})

async function container(letter: string, options: readonly string[] = []): Promise<Subject> {
	const name = `canary-${process.pid}-${letter}`
	await docker.container(name, [
		'--hostname',
		name,
		...PROGRAMS,
		'-e',
		`POGS_SERVICE_DIRECTORY=${service.runDir}`,
		...options,
	])
	const sh = async (script: string): Promise<string> => {
		const { stdout, stderr } = await docker.exec(name, script)
		return stdout + stderr
	}
	return { name, sh }
}

needs(...NEEDED)('docker: what is planted in a container is found there alone', async t => {
	t.timeout(PATIENCE_MS)
	const plain = await container('plain')
	const mighty = await container('mighty', MIGHTY)
	const pair = [plain, mighty]
	const aviary = await plantAll(t, pair)
	await searchAll(t, aviary, pair)
	await searchKept(t, aviary, pair, service.runDir)
	await sweepReaches(t, plain, false)
	await sweepReaches(t, mighty, true)
	for (const { name } of pair) await docker.call('rm', '-f', name)
	await searchLater(t, aviary, await container('later', MIGHTY), service.runDir)
})
